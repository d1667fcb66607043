#pragma once

// Counts the plain allocations of a program that links allocations.cc.

#include <cstdint>

namespace stoker::testing {

// Calls of operator new so far, of all threads.
std::uint64_t Allocations();

}  // namespace stoker::testing
