#pragma once

// Polynomials over GF(2) modulo CRC-32's, bit-reflected: bit 31 is x^0.

#include <cstdint>

namespace stoker::core::internal {

inline constexpr std::uint32_t kCrc32Polynomial = 0xEDB88320U;

constexpr std::uint32_t Times(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 1U << 31; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) {
      product ^= b;
    }
    b = (b & 1U) != 0 ? (b >> 1) ^ kCrc32Polynomial : b >> 1;
  }
  return product;
}

// x^n, by squaring.
constexpr std::uint32_t PowerOfX(std::uint64_t n) {
  std::uint32_t square = 1U << 30;  // x
  std::uint32_t power = 1U << 31;   // 1
  for (; n != 0; n >>= 1) {
    if ((n & 1U) != 0) {
      power = Times(power, square);
    }
    square = Times(square, square);
  }
  return power;
}

}  // namespace stoker::core::internal
