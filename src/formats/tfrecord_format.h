#pragma once

// tfrecord: a sequence of framed records, each one tf.train.Example with the
// features "image" (the sample) and "size" (the nominal edge). A record is u64
// length, u32 masked CRC-32C of the length, message, u32 masked CRC-32C of the
// message; all little-endian. Documented in docs/formats.md.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/status.h"
#include "formats/format.h"

namespace stoker::formats {

class TfrecordFormat final : public Format {
 public:
  std::string_view name() const override { return "tfrecord"; }
  std::string_view suffix() const override { return ".tfrecord"; }
  std::uint64_t FileBytes(const FileSpec& file) const override;
  bool streams_samples() const override { return true; }
  core::Status Encode(const FileSpec& file, PayloadSource& payload,
                      storage::WriteStream& out) const override;
  std::unique_ptr<ReaderProgram> NewReader(
      const ReaderOptions& options) const override;
};

// Bytes of one record of the file with its framing.
std::uint64_t TfrecordBytes(const FileSpec& file);

// The text index of the file: one line "<offset> <bytes>" per record, with
// framing, in bytes. Computed; the file is not read.
std::string TfrecordIndex(const FileSpec& file);

}  // namespace stoker::formats
