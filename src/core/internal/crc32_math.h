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

// What moves a 128-bit part of a text over `bits` bits, where its halves are
// multiplied by FoldFactor(bits + 32) and FoldFactor(bits - 32) and added to
// what stands there (Gopal et al., "Fast CRC Computation for Generic
// Polynomials Using PCLMULQDQ Instruction", Intel 2009; bit-reflected, so a
// product lies one bit low).
constexpr std::uint64_t FoldFactor(std::uint64_t bits) {
  return std::uint64_t{PowerOfX(bits)} << 1;
}

}  // namespace stoker::core::internal
