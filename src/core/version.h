#pragma once

// The version of this program, as --version and every result state it.

#include <string_view>

namespace stoker::core {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace stoker::core
