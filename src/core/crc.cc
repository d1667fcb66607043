#include "core/crc.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include <algorithm>

namespace stoker::core {

std::uint32_t Crc32(std::span<const std::byte> data, std::uint32_t seed) {
  return ::crc32_gzip_refl(
      seed, reinterpret_cast<const unsigned char*>(data.data()), data.size());
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
