#include "formats/npy_format.h"

#include <fmt/format.h>

#include "formats/npy_header.h"
#include "formats/npy_reader.h"
#include "formats/npz_layout.h"
#include "formats/payload_io.h"
#include "formats/range_reader.h"

namespace stoker::formats {

std::uint64_t NpyFileBytes(const FileSpec& file) {
  return npz::kNpyBytes + file.sample_bytes() * file.samples;
}

std::uint64_t NpyFormat::FileBytes(const FileSpec& file) const {
  return NpyFileBytes(file);
}

core::Status NpyFormat::Encode(const FileSpec& file, PayloadSource& payload,
                               storage::WriteStream& out) const {
  STOKER_TRY(
      out.Write(NpyHeader("|u1", fmt::format("({}, {}, {})", file.rows,
                                             file.columns, file.samples))));
  return StreamPayload(
      {.file = file.index, .bytes = file.sample_bytes() * file.samples},
      payload, out);
}

std::unique_ptr<ReaderProgram> NpyFormat::NewReader(
    const ReaderOptions& options) const {
  if (options.style == ReaderOptions::Style::kReference) {
    return std::make_unique<NpyReferenceReader>(options);
  }
  return NewRangeReader(options, std::make_unique<NpyContent>(options.expect));
}

}  // namespace stoker::formats
