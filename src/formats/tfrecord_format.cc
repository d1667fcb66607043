#include "formats/tfrecord_format.h"

#include <fmt/format.h>

#include <iterator>
#include <vector>

#include "core/crc.h"
#include "formats/byte_order.h"
#include "formats/example_wire.h"
#include "formats/payload_io.h"
#include "formats/tfrecord_reader.h"

namespace stoker::formats {

std::uint64_t TfrecordBytes(const FileSpec& file) {
  return kRecordHeaderBytes +
         ExampleBytes(file.sample_bytes(), file.nominal_edge) +
         kRecordFooterBytes;
}

std::string TfrecordIndex(const FileSpec& file) {
  const std::uint64_t bytes = TfrecordBytes(file);
  std::string index;
  for (std::uint64_t i = 0; i < file.samples; ++i) {
    fmt::format_to(std::back_inserter(index), "{} {}\n", i * bytes, bytes);
  }
  return index;
}

std::uint64_t TfrecordFormat::FileBytes(const FileSpec& file) const {
  return TfrecordBytes(file) * file.samples;
}

core::Status TfrecordFormat::Encode(const FileSpec& file,
                                    PayloadSource& payload,
                                    storage::WriteStream& out) const {
  const ExampleFrame frame =
      FrameExample(file.sample_bytes(), file.nominal_edge);
  std::vector<std::byte> head;
  AppendLe<std::uint64_t>(
      head, frame.before.size() + file.sample_bytes() + frame.after.size());
  AppendLe(head, core::MaskCrc32c(core::Crc32c(head)));
  head.insert(head.end(), frame.before.begin(), frame.before.end());
  const std::uint32_t before_crc = core::Crc32c(frame.before);

  std::vector<std::byte> tail = frame.after;
  for (std::uint32_t sample = 0; sample < file.samples; ++sample) {
    STOKER_TRY(out.Write(head));
    STOKER_ASSIGN(const std::uint32_t crc,
                  StreamPayload({.file = file.index,
                                 .sample = sample,
                                 .bytes = file.sample_bytes()},
                                payload, core::Crc32c, before_crc, out));
    tail.resize(frame.after.size());
    AppendLe(tail, core::MaskCrc32c(core::Crc32c(frame.after, crc)));
    STOKER_TRY(out.Write(tail));
  }
  return {};
}

std::unique_ptr<ReaderProgram> TfrecordFormat::NewReader(
    const ReaderOptions& options) const {
  return std::make_unique<TfrecordReader>(options);
}

}  // namespace stoker::formats
