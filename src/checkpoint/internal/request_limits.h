#pragma once

// What bounds a request in the reference's sizes.

#include <cstdint>

namespace stoker::checkpoint::internal {

// Bytes that Linux takes in one call: INT_MAX rounded down to pages.
inline constexpr std::uint64_t kKernelCap = 2147479552;

}  // namespace stoker::checkpoint::internal
