#include "formats/tfrecord_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/check.h"
#include "core/crc.h"
#include "formats/byte_order.h"
#include "formats/range_reader.h"
#include "formats/tfrecord_format.h"

namespace stoker::formats {

TfrecordReader::TfrecordReader(const ReaderOptions& options)
    : options_(options), comparer_(options.expect) {
  STOKER_CHECK(options.request > 0 || !reference());
}

bool TfrecordReader::reference() const {
  return options_.style == ReaderOptions::Style::kReference;
}

bool TfrecordReader::one_record() const {
  return options_.style == ReaderOptions::Style::kSample;
}

// The whole file in one read, after its size.
bool TfrecordReader::one_read() const {
  return options_.request == 0 && !one_record();
}

std::uint64_t TfrecordReader::MaxRequest(const FileSpec& file) const {
  if (options_.request > 0) {
    return options_.request;
  }
  return TfrecordBytes(file) * (one_record() ? 1 : file.samples);
}

void TfrecordReader::Reset(const FileSpec& file, std::uint32_t sample,
                           std::string_view name) {
  file_ = file;
  name_ = name;
  record_bytes_ = TfrecordBytes(file);
  next_offset_ = asked_ = skip_ = 0;
  at_end_ = false;
  span_ = {};
  record_ = one_record() ? sample : 0;
  end_record_ = one_record() ? sample + 1 : file.samples;
  record_offset_ = record_ * record_bytes_;
  part_ = Part::kHeader;
  gathered_ = 0;
}

core::Result<ReaderProgram::Next> TfrecordReader::Step(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kStart:
      return Begin();
    case Event::Kind::kSize:
      return TakeSize(event.size);
    case Event::Kind::kBytes:
      return TakeBytes(event.bytes);
    case Event::Kind::kResume:
      break;
  }
  return Resume();
}

core::Result<ReaderProgram::Next> TfrecordReader::Begin() {
  if (one_read()) {
    return Next{.kind = Next::Kind::kSize};
  }
  return one_record() ? BeginSample() : Refill();
}

core::Result<ReaderProgram::Next> TfrecordReader::BeginSample() {
  if (record_ >= file_.samples) {
    return Corrupt(fmt::format("record {} is wanted, but the file has {}",
                               record_, file_.samples));
  }
  const std::uint64_t start = record_offset_;
  next_offset_ = options_.request > 0
                     ? start / options_.request * options_.request
                     : start;
  skip_ = start - next_offset_;
  return Refill();
}

core::Result<ReaderProgram::Next> TfrecordReader::TakeSize(std::uint64_t size) {
  const std::uint64_t planned = record_bytes_ * file_.samples;
  asked_ = options_.blind ? planned : size;
  STOKER_TRY(CheckNotLarger(asked_, planned).WithContext(name_));
  if (asked_ == 0) {
    return AtEnd();
  }
  return Next{.kind = Next::Kind::kRead, .length = asked_};
}

core::Result<ReaderProgram::Next> TfrecordReader::Refill() {
  if (one_read()) {
    return AtEnd();
  }
  asked_ = options_.request > 0 ? options_.request : record_bytes_;
  return Next{
      .kind = Next::Kind::kRead, .offset = next_offset_, .length = asked_};
}

core::Result<ReaderProgram::Next> TfrecordReader::TakeBytes(
    std::span<const std::byte> bytes) {
  std::uint64_t arrived = bytes.size();
  if (options_.blind) {
    const std::uint64_t size = record_bytes_ * file_.samples;
    arrived = std::min(asked_, size - std::min(size, next_offset_));
  } else {
    const std::uint64_t skipped = std::min<std::uint64_t>(skip_, arrived);
    skip_ -= skipped;
    span_ = bytes.subspan(skipped);
  }
  next_offset_ += arrived;
  // The reference asks once more behind a short read.
  at_end_ = reference() ? arrived == 0 : arrived < asked_;
  if (!options_.blind && one_read() && arrived < asked_) {
    return Corrupt(
        fmt::format("at offset {}: the file ends here, but its size "
                    "was given as {} bytes",
                    arrived, asked_));
  }
  return Resume();
}

// All that was wanted is there, and the style does not look for more.
bool TfrecordReader::Satisfied() const {
  return !reference() && record_ == end_record_ && part_ == Part::kHeader &&
         gathered_ == 0 && (one_record() || span_.empty());
}

core::Result<ReaderProgram::Next> TfrecordReader::Resume() {
  if (Satisfied()) {
    return Next{.kind = Next::Kind::kFileDone};
  }
  return options_.blind ? NextBlind() : Parse();
}

core::Result<ReaderProgram::Next> TfrecordReader::NextBlind() {
  if ((record_ + std::uint64_t{1}) * record_bytes_ <= next_offset_) {
    return Ready(file_.sample_bytes());
  }
  return at_end_ ? AtEnd() : Refill();
}

core::Result<ReaderProgram::Next> TfrecordReader::AtEnd() {
  if (one_record() && part_ == Part::kHeader && gathered_ == 0) {
    return Corrupt(
        fmt::format("record {} at offset {}: the file ends before it", record_,
                    record_offset_));
  }
  if (part_ != Part::kHeader || gathered_ > 0) {
    return Truncated(next_offset_);
  }
  if (record_ != file_.samples) {
    return Corrupt(
        fmt::format("at offset {}: the file ends after {} records, "
                    "expected {}",
                    next_offset_, record_, file_.samples));
  }
  return Next{.kind = Next::Kind::kFileDone};
}

core::Result<ReaderProgram::Next> TfrecordReader::Truncated(
    std::uint64_t end) const {
  if (part_ == Part::kHeader) {
    return Corrupt(
        fmt::format("record {} at offset {}: the file ends at {} "
                    "within the record's header of {} bytes",
                    record_, record_offset_, end, kRecordHeaderBytes));
  }
  return Corrupt(fmt::format(
      "record {} at offset {}: its length says {} bytes, so it ends at {}, but "
      "the file ends at {}",
      record_, record_offset_, message_bytes_,
      record_offset_ + kRecordHeaderBytes + message_bytes_ + kRecordFooterBytes,
      end));
}

core::Status TfrecordReader::Corrupt(std::string_view what) const {
  return {core::Code::kCorruption, fmt::format("{}: {}", name_, what)};
}

ReaderProgram::Next TfrecordReader::Ready(std::uint64_t payload) {
  return {.kind = Next::Kind::kSampleReady,
          .payload = payload,
          .sample = record_++};
}

bool TfrecordReader::Gather(std::size_t bytes) {
  const std::size_t length = std::min(bytes - gathered_, span_.size());
  std::ranges::copy(span_.first(length),
                    scratch_.begin() + static_cast<std::ptrdiff_t>(gathered_));
  gathered_ += length;
  span_ = span_.subspan(length);
  return gathered_ == bytes;
}

core::Result<ReaderProgram::Next> TfrecordReader::Parse() {
  while (true) {
    // A part of no bytes is complete without more of them.
    bool complete = true;
    switch (part_) {
      case Part::kHeader:
        complete = Gather(kRecordHeaderBytes);
        if (complete) {
          STOKER_TRY(TakeHeader());
        }
        break;
      case Part::kHead:
        complete =
            Gather(std::min<std::uint64_t>(kExampleHead, message_bytes_));
        if (complete) {
          STOKER_TRY(TakeHead());
        }
        break;
      case Part::kBody:
        STOKER_TRY(TakeBody());
        complete = part_ != Part::kBody;
        break;
      case Part::kFooter:
        complete = Gather(kRecordFooterBytes);
        if (complete) {
          STOKER_TRY(TakeFooter());
          return Ready(image_.bytes);
        }
        break;
    }
    if (!complete) {
      return at_end_ ? AtEnd() : Refill();
    }
  }
}

core::Status TfrecordReader::TakeHeader() {
  record_offset_ = parsed() - kRecordHeaderBytes;
  const std::span<const std::byte> header =
      std::span(scratch_).first(kRecordHeaderBytes);
  if (record_ >= file_.samples) {
    return Corrupt(
        fmt::format("at offset {}: expected the file to end after "
                    "{} records",
                    record_offset_, file_.samples));
  }
  message_bytes_ = LoadLe<std::uint64_t>(header, 0);
  const auto stored = LoadLe<std::uint32_t>(header, 8);
  const std::uint32_t crc = core::MaskCrc32c(core::Crc32c(header.first(8)));
  if (options_.check && crc != stored) {
    return Corrupt(
        fmt::format("record {} at offset {}: masked CRC-32C of the "
                    "length {}: expected {:08x}, found {:08x}{}",
                    record_, record_offset_, message_bytes_, stored, crc,
                    one_record() ? "; are all records of equal size?" : ""));
  }
  part_ = Part::kHead;
  gathered_ = 0;
  message_done_ = 0;
  crc_ = 0;
  return {};
}

core::Status TfrecordReader::TakeHead() {
  const std::span<const std::byte> head = std::span(scratch_).first(gathered_);
  const core::Result<ImageField> image = FindImage(head, message_bytes_);
  if (!image.ok()) {
    return image.status().WithContext(fmt::format(
        "{}: record {} at offset {}: message at offset {}", name_, record_,
        record_offset_, record_offset_ + kRecordHeaderBytes));
  }
  image_ = image.value();
  if (comparer_.active() && image_.bytes != file_.sample_bytes()) {
    return Corrupt(fmt::format(
        "record {} at offset {}: expected an image of "
        "{} bytes, found {}",
        record_, record_offset_, file_.sample_bytes(), image_.bytes));
  }
  if (options_.check) {
    crc_ = core::Crc32c(head);
  }
  STOKER_TRY(CompareImage(0, head));
  message_done_ = gathered_;
  gathered_ = 0;
  part_ = Part::kBody;
  return {};
}

core::Status TfrecordReader::TakeBody() {
  const std::uint64_t length =
      std::min<std::uint64_t>(message_bytes_ - message_done_, span_.size());
  const std::span<const std::byte> bytes = span_.first(length);
  if (options_.check) {
    crc_ = core::Crc32c(bytes, crc_);
  }
  STOKER_TRY(CompareImage(message_done_, bytes));
  span_ = span_.subspan(length);
  message_done_ += length;
  if (message_done_ == message_bytes_) {
    part_ = Part::kFooter;
  }
  return {};
}

core::Status TfrecordReader::CompareImage(std::uint64_t at,
                                          std::span<const std::byte> bytes) {
  const std::uint64_t begin = std::max(at, image_.offset);
  const std::uint64_t end =
      std::min(at + bytes.size(), image_.offset + image_.bytes);
  if (!comparer_.active() || begin >= end) {
    return {};
  }
  return comparer_
      .Compare({.file = file_.index, .sample = record_}, begin - image_.offset,
               record_offset_ + kRecordHeaderBytes + begin,
               bytes.subspan(begin - at, end - begin))
      .WithContext(name_);
}

core::Status TfrecordReader::TakeFooter() {
  const auto stored = LoadLe<std::uint32_t>(scratch_, 0);
  if (options_.check && core::MaskCrc32c(crc_) != stored) {
    return Corrupt(
        fmt::format("record {} at offset {}: masked CRC-32C of the "
                    "message's {} bytes: expected {:08x}, found "
                    "{:08x}",
                    record_, record_offset_, message_bytes_, stored,
                    core::MaskCrc32c(crc_)));
  }
  part_ = Part::kHeader;
  gathered_ = 0;
  record_offset_ = parsed();
  return {};
}

}  // namespace stoker::formats
