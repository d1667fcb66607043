#pragma once

// Offsets and lengths in whole pages, as reads past the page cache need them.

#include <cstdint>

namespace stoker::core {

inline constexpr std::uint64_t kPageBytes =
    4096;  // what O_DIRECT needs at most

constexpr std::uint64_t PagesDown(std::uint64_t bytes) {
  return bytes / kPageBytes * kPageBytes;
}
constexpr std::uint64_t PagesUp(std::uint64_t bytes) {
  return PagesDown(bytes + kPageBytes - 1);
}

}  // namespace stoker::core
