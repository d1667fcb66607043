#pragma once

// What jpeg and png files of ours carry beside the image: padding up to the
// record's size, and a stamp by which a reader knows the file. Documented in
// docs/formats.md.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/status.h"
#include "formats/format.h"
#include "storage/write_stream.h"

namespace stoker::formats {

// "Stoker", 0, 1; u64 content index of the file; u64 its bytes.
struct ImageStamp {
  std::uint64_t index = 0;
  std::uint64_t file_bytes = 0;
};

inline constexpr std::size_t kStampBytes = 24;

std::array<std::byte, kStampBytes> EncodeStamp(const ImageStamp& stamp);
// Nothing if `bytes`, at least kStampBytes, are no stamp.
std::optional<ImageStamp> ParseStamp(std::span<const std::byte> bytes);
// kCorruption if the stamp is of another file than `file`.
core::Status CheckStamp(const ImageStamp& stamp, const FileSpec& file);

// Cuts `gap` bytes into blocks of `smallest` to `largest` bytes: the next one.
// `gap` must be 0 or at least `smallest`, and `largest` >= 2 * `smallest`.
constexpr std::uint64_t NextBlock(std::uint64_t gap, std::uint64_t smallest,
                                  std::uint64_t largest) {
  const std::uint64_t block = std::min(gap, largest);
  const bool strands = gap > block && gap - block < smallest;
  return strands ? block - smallest : block;
}

// Writes `bytes` of padding: byte i of all padding of the file is byte
// i mod sample_bytes of its sample. Chains `crc` over what was written.
class PaddingWriter {
 public:
  PaddingWriter(const FileSpec& file, PayloadSource& payload,
                storage::WriteStream& out)
      : file_(file), payload_(payload), out_(out) {}

  core::Result<std::uint32_t> Write(
      std::uint64_t bytes,
      std::uint32_t (*crc)(std::span<const std::byte>, std::uint32_t seed),
      std::uint32_t seed);

 private:
  const FileSpec& file_;
  PayloadSource& payload_;
  storage::WriteStream& out_;
  std::uint64_t next_ = 0;  // of the padding
};

// Edges of the image after `halvings`: ⌊edge / 2^halvings⌋, at least 1.
constexpr std::uint32_t HalvedEdge(std::uint32_t edge, int halvings) {
  return std::max(edge >> halvings, 1U);
}

}  // namespace stoker::formats
