#pragma once

// hdf5: dataset "records" of uint8 (samples, rows, columns), contiguous or in
// square chunks of one sample, and "labels", int64 zeros. The contiguous file
// is byte for byte what h5py writes; documented in docs/formats.md.

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/status.h"
#include "formats/format.h"

namespace stoker::formats {

// One visit of a file is for one sample and reads only that. The samples of a
// file are one array, sample k at k · rows · columns of its payload.
class Hdf5Format final : public Format {
 public:
  std::string_view name() const override { return "hdf5"; }
  std::string_view suffix() const override { return ".hdf5"; }
  // Contiguous: 2048 + S + 8·samples with S bytes of payload.
  std::uint64_t FileBytes(const FileSpec& file) const override;
  bool streams_samples() const override { return false; }
  // kInvalidArgument: a chunk of 4 GiB or more, which hdf5 cannot have.
  core::Status Encode(const FileSpec& file, PayloadSource& payload,
                      storage::WriteStream& out) const override;
  std::unique_ptr<ReaderProgram> NewReader(
      const ReaderOptions& options) const override;
};

}  // namespace stoker::formats
