#pragma once

// synthetic: files that nobody reads.

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/status.h"
#include "formats/format.h"

namespace stoker::formats {

// A file holds its content's index in decimal. A reader delivers the wanted
// sample at once and never touches storage, as the reference's.
class SyntheticFormat final : public Format {
 public:
  std::string_view name() const override { return "synthetic"; }
  std::string_view suffix() const override { return ".synthetic"; }
  std::uint64_t FileBytes(const FileSpec& file) const override;
  bool streams_samples() const override { return false; }
  core::Status Encode(const FileSpec& file, PayloadSource& payload,
                      storage::WriteStream& out) const override;
  std::unique_ptr<ReaderProgram> NewReader(
      const ReaderOptions& options) const override;
};

}  // namespace stoker::formats
