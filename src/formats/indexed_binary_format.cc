#include "formats/indexed_binary_format.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/check.h"
#include "formats/byte_order.h"
#include "formats/payload_io.h"
#include "formats/range_reader.h"

namespace stoker::formats {
namespace {

// Nothing but the length guards the samples.
class IndexedContent final : public RangeContent {
 public:
  explicit IndexedContent(PayloadSource* expect) : comparer_(expect) {}

  void Reset(const FileSpec& file, std::uint32_t /*sample*/) override {
    file_ = file;
  }
  std::uint64_t FileBytes(const FileSpec& file) const override {
    return file.sample_bytes() * file.samples;
  }
  Extent ExtentOf(const FileSpec& file, std::uint32_t sample) const override {
    const std::uint64_t begin = file.sample_bytes() * sample;
    return {begin, begin + file.sample_bytes()};
  }
  core::Status TakeSize(std::uint64_t size) override {
    if (size == FileBytes(file_)) {
      return {};
    }
    return {core::Code::kCorruption,
            fmt::format("expected a file of {} bytes ({} samples of {}), "
                        "found {}",
                        FileBytes(file_), file_.samples, file_.sample_bytes(),
                        size)};
  }
  core::Status Take(std::uint64_t offset,
                    std::span<const std::byte> bytes) override;
  core::Result<std::uint64_t> Finish() override { return file_.sample_bytes(); }

 private:
  PayloadComparer comparer_;
  FileSpec file_;
};

core::Status IndexedContent::Take(std::uint64_t offset,
                                  std::span<const std::byte> bytes) {
  if (!comparer_.active() || offset >= FileBytes(file_)) {
    return {};
  }
  bytes = bytes.first(
      std::min<std::uint64_t>(bytes.size(), FileBytes(file_) - offset));
  while (!bytes.empty()) {
    const std::uint64_t within = offset % file_.sample_bytes();
    const std::span<const std::byte> piece = bytes.first(
        std::min<std::uint64_t>(bytes.size(), file_.sample_bytes() - within));
    STOKER_TRY(comparer_.Compare(
        {.file = file_.index,
         .sample = static_cast<std::uint32_t>(offset / file_.sample_bytes())},
        within, offset, piece));
    offset += piece.size();
    bytes = bytes.subspan(piece.size());
  }
  return {};
}

}  // namespace

std::uint64_t IndexedBinaryFormat::FileBytes(const FileSpec& file) const {
  return file.sample_bytes() * file.samples;
}

std::uint64_t IndexedBinaryFormat::SidecarBytes(const FileSpec& file,
                                                std::size_t which) const {
  STOKER_CHECK(which < kSidecars.size());
  return sizeof(std::uint64_t) * file.samples;
}

core::Status IndexedBinaryFormat::EncodeSidecar(
    const FileSpec& file, std::size_t which, storage::WriteStream& out) const {
  STOKER_CHECK(which < kSidecars.size());
  const bool offsets = which == 0;
  std::array<std::byte, 4096> buffer;
  std::size_t filled = 0;
  for (std::uint64_t sample = 0; sample < file.samples; ++sample) {
    StoreLe(std::span<std::byte>(buffer), filled,
            offsets ? sample * file.sample_bytes() : file.sample_bytes());
    filled += sizeof(std::uint64_t);
    if (filled == buffer.size() || sample + 1 == file.samples) {
      STOKER_TRY(out.Write(std::span(buffer).first(filled)));
      filled = 0;
    }
  }
  return {};
}

core::Status IndexedBinaryFormat::Encode(const FileSpec& file,
                                         PayloadSource& payload,
                                         storage::WriteStream& out) const {
  for (std::uint32_t sample = 0; sample < file.samples; ++sample) {
    STOKER_TRY(StreamPayload(
        {.file = file.index, .sample = sample, .bytes = file.sample_bytes()},
        payload, out));
  }
  return {};
}

std::unique_ptr<ReaderProgram> IndexedBinaryFormat::NewReader(
    const ReaderOptions& options) const {
  auto content = std::make_unique<IndexedContent>(options.expect);
  if (options.style != ReaderOptions::Style::kReference) {
    return NewRangeReader(options, std::move(content));
  }
  return std::make_unique<RangeReader>(options, RangeRule::kSampleExactly,
                                       mapped_ ? options.request : 0,
                                       std::move(content));
}

}  // namespace stoker::formats
