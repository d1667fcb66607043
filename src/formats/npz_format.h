#pragma once

// npz: a zip of two stored arrays, as numpy.savez writes it. "x" is uint8 of
// shape (rows, columns, samples) in C order, "y" is int64 zeros of shape
// (samples,). Byte for byte what numpy writes under CPython 3.11.2; documented
// in docs/formats.md.

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/status.h"
#include "formats/format.h"

namespace stoker::formats {

// One visit of a file is for one sample, but reads the whole array (quirk Q14).
class NpzFormat final : public Format {
 public:
  std::string_view name() const override { return "npz"; }
  std::string_view suffix() const override { return ".npz"; }
  // S + 490 + 8·samples with S bytes of payload; a few more from 2 GiB on.
  std::uint64_t FileBytes(const FileSpec& file) const override;
  bool streams_samples() const override { return false; }
  bool Supports(ReaderOptions::Style /*style*/) const override { return true; }
  core::Status Encode(const FileSpec& file, PayloadSource& payload,
                      storage::WriteStream& out) const override;
  std::unique_ptr<ReaderProgram> NewReader(
      const ReaderOptions& options) const override;
};

}  // namespace stoker::formats
