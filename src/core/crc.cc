#include "core/crc.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include <algorithm>

#include "core/internal/crc32_fold.h"
#include "core/internal/crc32_math.h"
#include "core/internal/crc32_mix.h"

namespace stoker::core {

std::uint32_t Crc32(std::span<const std::byte> data, std::uint32_t seed) {
  if (data.size() >= internal::kLeastMix && internal::MixesCrc32()) {
    seed = internal::MixCrc32(data, seed);
  }
  if (data.size() >= internal::kLeastFold && internal::FoldsCrc32()) {
    seed = internal::FoldCrc32(data, seed);
  }
  return ::crc32_gzip_refl(
      seed, reinterpret_cast<const unsigned char*>(data.data()), data.size());
}

// A CRC is the remainder of the text times x^32, and zip's inversions at begin
// and end cancel out: appending n bytes multiplies by x^(8 n).
std::uint32_t Crc32Combine(std::uint32_t first, std::uint32_t second,
                           std::uint64_t second_bytes) {
  return internal::Times(first, internal::PowerOfX(8 * second_bytes)) ^ second;
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
