#pragma once

// npy: one uint8 array of shape (rows, columns, samples) in C order behind its
// header, as numpy.save writes it; documented in docs/formats.md.

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/status.h"
#include "formats/format.h"

namespace stoker::formats {

// One visit of a file is for one sample, but reads the whole array (quirk Q14):
// the samples lie interleaved in it.
class NpyFormat final : public Format {
 public:
  std::string_view name() const override { return "npy"; }
  std::string_view suffix() const override { return ".npy"; }
  std::uint64_t FileBytes(const FileSpec& file) const override;
  bool streams_samples() const override { return false; }
  bool Supports(ReaderOptions::Style /*style*/) const override { return true; }
  core::Status Encode(const FileSpec& file, PayloadSource& payload,
                      storage::WriteStream& out) const override;
  std::unique_ptr<ReaderProgram> NewReader(
      const ReaderOptions& options) const override;
};

// Header and array, bytes.
std::uint64_t NpyFileBytes(const FileSpec& file);

}  // namespace stoker::formats
