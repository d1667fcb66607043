#pragma once

// Checksums of the data formats, by ISA-L (run-time dispatch to the CPU's best
// instructions). Pure; safe for concurrent use.

#include <cstddef>
#include <cstdint>
#include <span>

namespace stoker::core {

// CRC-32 as in zip and gzip (reflected 0xEDB88320). `seed` is the CRC of the
// bytes before `data`, so calls chain; 0 to begin. Crc32("123456789") is
// 0xCBF43926.
std::uint32_t Crc32(std::span<const std::byte> data, std::uint32_t seed = 0);

// The CRC-32 of a text whose first part has `first` and whose second part, of
// `second_bytes` bytes, has `second`: parts may be summed in any order. Costs
// some hundred operations, whatever the length.
std::uint32_t Crc32Combine(std::uint32_t first, std::uint32_t second,
                           std::uint64_t second_bytes);

// CRC-32C (Castagnoli), chained alike. Crc32c("123456789") is 0xE3069283.
std::uint32_t Crc32c(std::span<const std::byte> data, std::uint32_t seed = 0);

// Adler-32 as in zlib, chained alike; 1 to begin. Adler32("123456789") is
// 0x091E01DE.
std::uint32_t Adler32(std::span<const std::byte> data, std::uint32_t seed = 1);

// TFRecord's masking of a CRC-32C: rotate right by 15, add 0xA282EAD8.
constexpr std::uint32_t MaskCrc32c(std::uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8U;
}

}  // namespace stoker::core
