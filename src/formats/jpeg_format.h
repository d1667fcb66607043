#pragma once

// jpeg: one greyscale image a file, padded with comments to exactly
// record_bytes. Documented in docs/formats.md.

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/status.h"
#include "formats/format.h"

namespace stoker::formats {

// One sample a file, whatever FileSpec::samples says: each visit delivers the
// nominal rows · columns bytes, as the reference's loader hands out a tensor of
// that size whatever it read.
class JpegFormat final : public Format {
 public:
  std::string_view name() const override { return "jpeg"; }
  std::string_view suffix() const override { return ".jpeg"; }
  std::uint64_t FileBytes(const FileSpec& file) const override {
    return file.record_bytes;
  }
  bool streams_samples() const override { return false; }
  // kInvalidArgument: record_bytes hold not even the smallest image.
  core::Status Encode(const FileSpec& file, PayloadSource& payload,
                      storage::WriteStream& out) const override;
  std::unique_ptr<ReaderProgram> NewReader(
      const ReaderOptions& options) const override;
};

}  // namespace stoker::formats
