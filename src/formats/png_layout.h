#pragma once

// Where things are in a png file of ours (ISO/IEC 15948), computed.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/status.h"
#include "formats/format.h"
#include "formats/image_padding.h"

namespace stoker::formats::png {

inline constexpr std::array<std::uint8_t, 8> kSignature = {
    0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
inline constexpr std::uint64_t kChunkFrame = 12;   // length, type, CRC-32
inline constexpr std::uint64_t kHeaderBytes = 13;  // of IHDR
inline constexpr std::uint64_t kMaxChunk = (1ULL << 31) - 1;  // data of a chunk
inline constexpr std::uint64_t kMaxPadding = 1ULL << 30;      // of ours

inline constexpr std::uint32_t kIhdr = 0x49484452;
inline constexpr std::uint32_t kIdat = 0x49444154;
inline constexpr std::uint32_t kIend = 0x49454E44;
inline constexpr std::uint32_t kStamp = 0x73744B72;    // "stKr": ancillary,
inline constexpr std::uint32_t kPadding = 0x73744B70;  // "stKp": private

// Data is stored in the largest blocks that deflate has.
inline constexpr std::uint64_t kBlockBytes = 65535;
inline constexpr std::uint64_t kBlockHead = 5;
inline constexpr std::uint64_t kZlibFrame = 2 + 4;  // header, Adler-32

// The image, of `depth` bits a pixel, and what is around it.
struct Plan {
  std::uint32_t rows = 1;
  std::uint32_t columns = 1;
  std::uint32_t depth = 8;
  std::uint64_t slack = 0;    // padding bytes behind the stamp in its chunk
  std::uint64_t padding = 0;  // bytes of the padding chunks, frames included

  // A row: the filter's number, and its pixels.
  std::uint64_t row_bytes() const {
    return 1 + (std::uint64_t{columns} * depth + 7) / 8;
  }
  std::uint64_t raw_bytes() const { return rows * row_bytes(); }
  std::uint64_t blocks() const {
    return (raw_bytes() + kBlockBytes - 1) / kBlockBytes;
  }
  std::uint64_t idat_bytes() const {
    return kZlibFrame + blocks() * kBlockHead + raw_bytes();
  }
  std::uint64_t stamp_bytes() const { return kStampBytes + slack; }
  // Without padding.
  std::uint64_t image_bytes() const {
    return kSignature.size() + 4 * kChunkFrame + kHeaderBytes + stamp_bytes() +
           idat_bytes();
  }
};

// The first image of those in docs/formats.md that fits file.record_bytes;
// kInvalidArgument if none does.
core::Result<Plan> PlanFile(const FileSpec& file);

}  // namespace stoker::formats::png
