#include "core/crc.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include <algorithm>

namespace stoker::core {

std::uint32_t Crc32(std::span<const std::byte> data, std::uint32_t seed) {
  return ::crc32_gzip_refl(
      seed, reinterpret_cast<const unsigned char*>(data.data()), data.size());
}

namespace {

// Polynomials over GF(2) modulo CRC-32's, bit-reflected: bit 31 is x^0.
constexpr std::uint32_t kPolynomial = 0xEDB88320U;
constexpr std::uint32_t kOne = 1U << 31;

constexpr std::uint32_t TimesX(std::uint32_t a) {
  return (a & 1U) != 0 ? (a >> 1) ^ kPolynomial : a >> 1;
}

constexpr std::uint32_t Times(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = kOne; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) {
      product ^= b;
    }
    b = TimesX(b);
  }
  return product;
}

// x^(8 * bytes), by squaring.
constexpr std::uint32_t PowerOfX(std::uint64_t bytes) {
  std::uint32_t square = kOne >> 8;  // x^8
  std::uint32_t power = kOne;
  for (; bytes != 0; bytes >>= 1) {
    if ((bytes & 1U) != 0) {
      power = Times(power, square);
    }
    square = Times(square, square);
  }
  return power;
}

}  // namespace

// A CRC is the remainder of the text times x^32, and zip's inversions at begin
// and end cancel out: appending n bytes multiplies by x^(8 n).
std::uint32_t Crc32Combine(std::uint32_t first, std::uint32_t second,
                           std::uint64_t second_bytes) {
  return Times(first, PowerOfX(second_bytes)) ^ second;
}

std::uint32_t Adler32(std::span<const std::byte> data, std::uint32_t seed) {
  return ::isal_adler32(
      seed, reinterpret_cast<const unsigned char*>(data.data()), data.size());
}

std::uint32_t Crc32c(std::span<const std::byte> data, std::uint32_t seed) {
  // crc32_iscsi takes the length as int and a non-const pointer.
  constexpr std::size_t kMaxBytes = 1U << 30;
  std::uint32_t state = ~seed;
  while (!data.empty()) {
    const std::size_t bytes = std::min(data.size(), kMaxBytes);
    auto* start =
        reinterpret_cast<unsigned char*>(const_cast<std::byte*>(data.data()));
    state = ::crc32_iscsi(start, static_cast<int>(bytes), state);
    data = data.subspan(bytes);
  }
  return ~state;
}

}  // namespace stoker::core
