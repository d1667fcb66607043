#pragma once

// Payload from a PayloadSource into a stream, and compared with one.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/status.h"
#include "formats/format.h"
#include "storage/write_stream.h"

namespace stoker::formats {

using CrcFunction = std::uint32_t (*)(std::span<const std::byte>,
                                      std::uint32_t seed);

// Which bytes of a PayloadSource are meant.
struct PayloadRange {
  std::uint64_t file = 0;
  std::uint32_t sample = 0;
  std::uint64_t bytes = 0;
  std::uint64_t begin = 0;  // [begin, begin + bytes)
};

// Fills the stream's own memory, piece by piece while it is in the CPU's cache.
// Returns `seed` chained over the bytes.
core::Result<std::uint32_t> StreamPayload(const PayloadRange& range,
                                          PayloadSource& payload,
                                          CrcFunction crc, std::uint32_t seed,
                                          storage::WriteStream& out);

// The same for formats without a checksum.
core::Status StreamPayload(const PayloadRange& range, PayloadSource& payload,
                           storage::WriteStream& out);

core::Status StreamZeros(std::uint64_t bytes, storage::WriteStream& out);

// Compares arriving bytes with a source. Belongs to one thread.
class PayloadComparer {
 public:
  // Null: every comparison succeeds at no cost. Not owned.
  explicit PayloadComparer(PayloadSource* expect);

  bool active() const { return expect_ != nullptr; }
  // `actual` are the bytes at `offset` of the range's payload, found at
  // `file_offset` of the file. kCorruption names the first difference.
  core::Status Compare(const PayloadRange& range, std::uint64_t offset,
                       std::uint64_t file_offset,
                       std::span<const std::byte> actual);

 private:
  PayloadSource* expect_;
  std::vector<std::byte> wanted_;
};

}  // namespace stoker::formats
