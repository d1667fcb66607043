#include "formats/npy_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "formats/npy_format.h"

namespace stoker::formats {
namespace {

constexpr std::uint64_t kPrefixBytes = 10;           // magic, version, length
constexpr std::uint64_t kLargestStdioBuffer = 8192;  // glibc's BUFSIZ

}  // namespace

void NpyContent::Reset(const FileSpec& file, std::uint32_t sample) {
  file_ = file;
  sample_ = sample;
  layout_ = {};
  layout_.member_bytes = FileBytes(file);
  next_ = 0;
  gathered_ = 0;
}

std::uint64_t NpyContent::FileBytes(const FileSpec& file) const {
  return NpyFileBytes(file);
}

core::Status NpyContent::TakeSize(std::uint64_t size) {
  if (size < kPrefixBytes) {
    return {core::Code::kCorruption,
            fmt::format("the file ends at offset {}: too short for an array "
                        "header",
                        size)};
  }
  layout_.member_bytes = size;
  return {};
}

core::Status NpyContent::TakeHeader(std::span<const std::byte> bytes) {
  bytes = bytes.first(std::min(bytes.size(), header_.size() - gathered_));
  std::ranges::copy(bytes, header_.begin() + gathered_);
  gathered_ += bytes.size();
  const std::span<const std::byte> start = std::span(header_).first(gathered_);
  STOKER_ASSIGN(const std::uint64_t length, npz::NpyHeaderBytes(start, 0));
  if (length == 0 || length > gathered_) {
    return {};  // more will arrive, or Finish will say
  }
  if (length >= layout_.member_bytes) {
    return EndsEarly(length, 1, 0);
  }
  STOKER_TRY(npz::ParseNpy(start.first(length), layout_));
  const std::uint64_t expected = file_.sample_bytes() * file_.samples;
  if (comparer_.active() && layout_.payload_bytes() != expected) {
    return {core::Code::kCorruption,
            fmt::format("at offset 0: expected an array of {} bytes, found {}",
                        expected, layout_.payload_bytes())};
  }
  return {};
}

core::Result<std::uint64_t> NpyContent::AnnouncedHeaderBytes() const {
  return npz::NpyHeaderBytes(std::span(header_).first(gathered_), 0);
}

core::Status NpyContent::Take(std::uint64_t offset,
                              std::span<const std::byte> bytes) {
  const std::uint64_t end =
      std::min(offset + bytes.size(), layout_.member_end());
  if (offset > next_ || end <= next_) {
    return {};
  }
  bytes = bytes.subspan(next_ - offset, end - next_);
  if (header_bytes() == 0) {
    STOKER_TRY(TakeHeader(bytes));
  }
  const std::uint64_t payload = layout_.payload_offset();
  if (header_bytes() > 0 && end > payload) {
    const std::uint64_t begin = std::max(next_, payload);
    STOKER_TRY(comparer_.Compare({.file = file_.index}, begin - payload, begin,
                                 bytes.subspan(begin - next_)));
  }
  next_ = end;
  return {};
}

core::Result<std::uint64_t> NpyContent::Finish() {
  if (header_bytes() == 0) {
    return core::Status(
        core::Code::kCorruption,
        fmt::format("at offset 0: expected an array header within the file's "
                    "{} bytes",
                    file_bytes()));
  }
  if (sample_ >= layout_.samples) {
    return core::Status(core::Code::kCorruption,
                        fmt::format("at offset 0: expected at least {} samples "
                                    "in the array's shape, found {}",
                                    sample_ + 1, layout_.samples));
  }
  return layout_.rows * layout_.columns;
}

NpyReferenceReader::NpyReferenceReader(const ReaderOptions& options)
    : blind_(options.blind),
      unit_(options.unit),
      block_(std::min<std::uint64_t>(options.unit, kLargestStdioBuffer)),
      content_(options.expect),
      buffered_(options.unit) {}

void NpyReferenceReader::Reset(const FileSpec& file, std::uint32_t sample,
                               std::string_view name) {
  name_ = name;
  sample_ = sample;
  sample_bytes_ = file.sample_bytes();
  content_.Reset(file, sample);
  buffered_ = BufferedFile(unit_);
  stage_ = Stage::kPrefix;
}

std::uint64_t NpyReferenceReader::MaxRequest(const FileSpec& file) const {
  // The first block is never part of the long read.
  const std::uint64_t size = NpyFileBytes(file);
  return std::max(unit_, (size - std::min(size, block_)) / block_ * block_);
}

std::uint64_t NpyReferenceReader::header_bytes() const {
  return blind_ ? npz::kNpyBytes : content_.header_bytes();
}

std::uint64_t NpyReferenceReader::file_bytes() const {
  return content_.file_bytes();
}

core::Result<ReaderProgram::Next> NpyReferenceReader::Step(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kStart:
      return Next{.kind = Next::Kind::kSize};
    case Event::Kind::kSize:
      return TakeSize(event.size);
    case Event::Kind::kBytes: {
      core::Result<Next> next = TakeBytes(event.bytes);
      return next.ok() ? std::move(next)
                       : core::Result<Next>(next.status().WithContext(name_));
    }
    case Event::Kind::kResume:
      break;
  }
  return Next{.kind = Next::Kind::kFileDone};
}

core::Result<ReaderProgram::Next> NpyReferenceReader::TakeSize(
    std::uint64_t size) {
  if (!blind_) {
    core::Status status = CheckNotLarger(size, file_bytes());
    if (status.ok()) {
      status = content_.TakeSize(size);
    }
    if (!status.ok()) {
      return status.WithContext(name_);
    }
  }
  buffered_.BeginRead(kPrefixBytes);
  return AskHeader();
}

ReaderProgram::Next NpyReferenceReader::Ask(std::uint64_t offset,
                                            std::uint64_t length) {
  at_ = offset;
  asked_ = length;
  return {.kind = Next::Kind::kRead, .offset = offset, .length = length};
}

ReaderProgram::Next NpyReferenceReader::AskHeader() {
  const BufferedFile::RawRead read = buffered_.Pending();
  return Ask(read.offset, read.length);
}

core::Result<ReaderProgram::Next> NpyReferenceReader::TakeBytes(
    std::span<const std::byte> bytes) {
  const std::uint64_t there =
      std::min(asked_, file_bytes() - std::min(file_bytes(), at_));
  if (!blind_) {
    if (bytes.size() < there) {
      return EndsEarly(at_, there, bytes.size());
    }
    STOKER_TRY(content_.Take(at_, bytes));
  }
  switch (stage_) {
    case Stage::kPrefix:
    case Stage::kHeader:
      return TakeHeaderBytes(there);
    case Stage::kSeek:
      stage_ = Stage::kFill;
      return Ask(at_, block_);
    case Stage::kFill:
      stage_ = Stage::kData;
      at_ += block_;
      return NextData();
    case Stage::kData:
      break;
  }
  at_ += asked_;
  return NextData();
}

core::Result<ReaderProgram::Next> NpyReferenceReader::TakeHeaderBytes(
    std::uint64_t got) {
  buffered_.Got(got);
  if (buffered_.Pending().length > 0) {
    return AskHeader();
  }
  if (header_bytes() > 0) {
    return BeginArray();
  }
  if (stage_ == Stage::kHeader) {
    return content_.Finish().status();
  }
  stage_ = Stage::kHeader;
  STOKER_ASSIGN(const std::uint64_t length, content_.AnnouncedHeaderBytes());
  if (length <= kPrefixBytes) {
    return content_.Finish().status();
  }
  buffered_.BeginRead(length - kPrefixBytes);
  return AskHeader();
}

core::Result<ReaderProgram::Next> NpyReferenceReader::BeginArray() {
  const std::uint64_t block_start = header_bytes() / block_ * block_;
  const std::uint64_t before = header_bytes() - block_start;
  if (before == 0) {
    stage_ = Stage::kData;
    at_ = block_start;
    return NextData();
  }
  stage_ = Stage::kSeek;
  return Ask(block_start, before);
}

core::Result<ReaderProgram::Next> NpyReferenceReader::NextData() {
  const std::uint64_t end = file_bytes();
  if (at_ >= end) {
    return Deliver();
  }
  const std::uint64_t left = end - at_;
  return Ask(at_, left < block_ ? block_ : left / block_ * block_);
}

core::Result<ReaderProgram::Next> NpyReferenceReader::Deliver() {
  std::uint64_t payload = sample_bytes_;
  if (!blind_) {
    STOKER_ASSIGN(payload, content_.Finish());
  }
  return Next{
      .kind = Next::Kind::kSampleReady, .payload = payload, .sample = sample_};
}

}  // namespace stoker::formats
