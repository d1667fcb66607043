#pragma once

// The Fowler-Noll-Vo hash, for names and other short texts.

#include <cstdint>
#include <string_view>

namespace stoker::core {

// FNV-1a of the bytes of `text`, in its 64-bit form: offset basis
// 0xCBF29CE484222325, prime 0x100000001B3. Fnv1a64("a") is 0xAF63DC4C8601EC8C.
constexpr std::uint64_t Fnv1a64(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  }
  return hash;
}

}  // namespace stoker::core
