#pragma once

// What there is to choose from, as text, from the registries.

#include <string>

namespace stoker::run {

std::string DescribeBackends();
std::string DescribeFormats();
std::string DescribeLoaders();

}  // namespace stoker::run
