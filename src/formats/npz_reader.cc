#include "formats/npz_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/crc.h"
#include "formats/byte_order.h"

namespace stoker::formats {
namespace {

using npz::Bytes;

constexpr std::uint64_t kSniffBytes = 6;           // numpy's magic
constexpr std::uint64_t kZipChunk = 4096;          // zipfile's smallest read
constexpr std::uint64_t kNumpyChunk = 256U << 10;  // numpy's BUFFER_SIZE
// The end record, one directory entry and one local header with the
// name of five bytes in both.
constexpr std::uint64_t kSmallestArchive =
    npz::kEndBytes + npz::kEntryBytes + npz::kLocalBytes + 10;

core::Status TooShort(std::uint64_t size) {
  return {core::Code::kCorruption,
          fmt::format("the file ends at offset {}: too short for an npz "
                      "archive (at least {} bytes)",
                      size, kSmallestArchive)};
}

core::Status EndsEarly(std::uint64_t offset, std::uint64_t wanted,
                       std::uint64_t found, std::uint64_t size) {
  return {core::Code::kCorruption,
          fmt::format("at offset {}: expected {} bytes of a file of {} bytes, "
                      "but it ends after {}",
                      offset, wanted, size, found)};
}

}  // namespace

NpzMember::NpzMember(const ReaderOptions& options)
    : check_(options.check), comparer_(options.expect) {}

void NpzMember::Reset(const FileSpec& file, std::uint32_t sample) {
  file_ = file;
  sample_ = sample;
  begun_ = header_known_ = false;
  crc_ = 0;
}

void NpzMember::Begin(const npz::Layout& layout) {
  if (!begun_) {
    begun_ = true;
    next_ = layout.member_offset;
  }
}

core::Status NpzMember::TakeHeader(Bytes header, npz::Layout& layout) {
  header =
      header.first(std::min<std::uint64_t>(header.size(), layout.member_bytes));
  STOKER_ASSIGN(const std::uint64_t length,
                npz::NpyHeaderBytes(header, layout.member_offset));
  if (length == 0 || length > header.size()) {
    return {};  // more will arrive, or Finish will say
  }
  STOKER_TRY(npz::ParseNpy(header.first(length), layout));
  header_known_ = true;
  const std::uint64_t expected = file_.sample_bytes() * file_.samples;
  if (comparer_.active() && layout.payload_bytes() != expected) {
    return {
        core::Code::kCorruption,
        fmt::format("at offset {}: expected an array of {} bytes, found {}",
                    layout.member_offset, expected, layout.payload_bytes())};
  }
  return {};
}

core::Status NpzMember::Take(std::uint64_t offset, Bytes bytes, Bytes header,
                             npz::Layout& layout) {
  if (!begun_) {
    return {};
  }
  if (!header_known_) {
    STOKER_TRY(TakeHeader(header, layout));
  }
  const std::uint64_t end =
      std::min(offset + bytes.size(), layout.member_end());
  if (offset > next_ || end <= next_) {
    return {};
  }
  bytes = bytes.subspan(next_ - offset, end - next_);
  if (check_) {
    crc_ = core::Crc32(bytes, crc_);
  }
  const std::uint64_t payload = layout.payload_offset();
  if (header_known_ && end > payload) {
    const std::uint64_t begin = std::max(next_, payload);
    STOKER_TRY(comparer_.Compare({.file = file_.index, .sample = 0},
                                 begin - payload, begin,
                                 bytes.subspan(begin - next_)));
  }
  next_ = end;
  return {};
}

core::Status NpzMember::Finish(const npz::Layout& layout) const {
  if (!header_known_) {
    return {core::Code::kCorruption,
            fmt::format("at offset {}: expected an array header within the "
                        "member's {} bytes",
                        layout.member_offset, layout.member_bytes)};
  }
  if (check_ && crc_ != layout.crc) {
    return {core::Code::kCorruption,
            fmt::format("CRC-32 of the {} bytes at offset {}: expected {:08x}, "
                        "found {:08x}",
                        layout.member_bytes, layout.member_offset, layout.crc,
                        crc_)};
  }
  if (sample_ >= layout.samples) {
    return {core::Code::kCorruption,
            fmt::format("at offset {}: expected at least {} samples in the "
                        "array's shape, found {}",
                        layout.member_offset, sample_ + 1, layout.samples)};
  }
  return {};
}

NpzReferenceReader::NpzReferenceReader(const ReaderOptions& options)
    : options_(options), file_(options.unit), member_(options) {}

void NpzReferenceReader::Reset(const FileSpec& file, std::uint32_t sample,
                               std::string_view name) {
  name_ = name;
  sample_ = sample;
  layout_ = options_.blind ? npz::PlanLayout(file) : npz::Layout{};
  file_ = BufferedFile(options_.unit);
  member_.Reset(file, sample);
  span_ = {};
  opened_before_ = false;
  unzipped_ = delivered_ = 0;
}

std::uint64_t NpzReferenceReader::MaxRequest(const FileSpec&) const {
  return std::max<std::uint64_t>(options_.unit, kNumpyChunk);
}

core::Result<ReaderProgram::Next> NpzReferenceReader::Step(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kStart:
      Collect(0, 4);
      Await(Stage::kSniff, kSniffBytes);
      break;
    case Event::Kind::kSize:
      STOKER_TRY(Wrap(TakeSize(event.size)));
      break;
    case Event::Kind::kBytes:
      STOKER_TRY(Wrap(TakeBytes(event.bytes)));
      break;
    case Event::Kind::kResume:
      return Next{.kind = Next::Kind::kFileDone};
  }
  return Advance();
}

core::Result<ReaderProgram::Next> NpzReferenceReader::Advance() {
  while (true) {
    if (const BufferedFile::RawRead raw = file_.Pending(); raw.length > 0) {
      asked_ = raw;
      return Next{.kind = Next::Kind::kRead,
                  .offset = asked_.offset,
                  .length = asked_.length};
    }
    if (stage_ == Stage::kSniff) {
      return AskForSize();
    }
    if (stage_ == Stage::kDone) {
      return Next{.kind = Next::Kind::kSampleReady,
                  .payload = layout_.rows * layout_.columns,
                  .sample = sample_};
    }
    STOKER_TRY(Wrap(Proceed()));
  }
}

core::Result<ReaderProgram::Next> NpzReferenceReader::AskForSize() {
  if (!options_.blind &&
      (collected().size() < 4 ||
       LoadLe<std::uint32_t>(collected(), 0) != npz::kLocalMagic)) {
    return Wrap({core::Code::kCorruption,
                 "at offset 0: expected a zip archive (PK\\3\\4)"});
  }
  stage_ = Stage::kSize;
  return Next{.kind = Next::Kind::kSize};
}

core::Status NpzReferenceReader::TakeSize(std::uint64_t size) {
  if (!options_.blind) {
    layout_.file_bytes = size;
  }
  if (layout_.file_bytes < kSmallestArchive) {
    return TooShort(layout_.file_bytes);
  }
  file_.SeekAway(layout_.file_bytes - npz::kEndBytes);
  Collect(file_.position(), npz::kEndBytes);
  stage_ = Stage::kEnd;
  file_.BeginReadAll(layout_.file_bytes);
  return {};
}

core::Status NpzReferenceReader::TakeBytes(Bytes bytes) {
  const std::uint64_t size = layout_.file_bytes;
  if (options_.blind || stage_ != Stage::kSniff) {
    const std::uint64_t left = size - std::min(size, asked_.offset);
    const std::uint64_t due = std::min(asked_.length, left);
    if (!options_.blind && bytes.size() < due) {
      return EndsEarly(asked_.offset, due, bytes.size(), size);
    }
    file_.Got(due);
  } else {
    file_.Got(bytes.size());
  }
  if (options_.blind) {
    return {};
  }
  span_ = bytes;
  const std::uint64_t next = collect_at_ + collected_;
  const std::uint64_t skip = next - std::min(next, asked_.offset);
  if (asked_.offset <= next && skip < bytes.size()) {
    const auto length =
        std::min<std::size_t>(collect_bytes_ - collected_, bytes.size() - skip);
    std::ranges::copy(
        bytes.subspan(skip, length),
        record_.begin() + static_cast<std::ptrdiff_t>(collected_));
    collected_ += length;
  }
  return stage_ >= Stage::kHeader ? TakeSpan() : core::Status();
}

core::Status NpzReferenceReader::TakeSpan() {
  const std::size_t before = std::min<std::size_t>(
      layout_.member_offset - layout_.local_offset, collected_);
  const Bytes bytes = std::exchange(span_, {});
  return member_.Take(asked_.offset, bytes, collected().subspan(before),
                      layout_);
}

core::Status NpzReferenceReader::Proceed() {
  const std::uint64_t size = layout_.file_bytes;
  const bool look = !options_.blind;
  switch (stage_) {
    case Stage::kEnd:
      if (look) {
        STOKER_TRY(npz::ParseEnd(collected(), size - npz::kEndBytes, layout_));
      }
      file_.SeekAway(size - npz::kEndBytes - npz::kLocatorBytes);
      Collect(file_.position(), npz::kLocatorBytes);
      Await(Stage::kLocator, npz::kLocatorBytes);
      return {};
    case Stage::kLocator: {
      const std::uint64_t at = size - npz::kEndBytes - npz::kLocatorBytes;
      if (look && npz::IsLocator(collected())) {
        if (at < npz::kEnd64Bytes) {
          return TooShort(size);
        }
        STOKER_TRY(npz::ParseLocator(collected(), at, layout_));
      }
      if (!layout_.zip64_end) {
        return TakeDirectory();
      }
      file_.SeekAway(at - npz::kEnd64Bytes);
      Collect(file_.position(), npz::kEnd64Bytes);
      Await(Stage::kEnd64, npz::kEnd64Bytes);
      return {};
    }
    case Stage::kEnd64:
      if (look) {
        STOKER_TRY(npz::ParseEnd64(
            collected(),
            size - npz::kEndBytes - npz::kLocatorBytes - npz::kEnd64Bytes,
            layout_));
      }
      return TakeDirectory();
    case Stage::kDirectory:
      if (look) {
        STOKER_TRY(npz::ParseDirectory(collected(), layout_));
      }
      Collect(layout_.local_offset, record_.size());
      OpenMember();
      return {};
    default:
      return ProceedInMember();
  }
}

core::Status NpzReferenceReader::TakeDirectory() {
  const std::uint64_t tail =
      npz::kEndBytes +
      (layout_.zip64_end ? npz::kLocatorBytes + npz::kEnd64Bytes : 0);
  STOKER_TRY(npz::CheckDirectory(layout_.file_bytes - tail, layout_));
  if (layout_.directory_bytes > record_.size()) {
    return {core::Code::kUnsupported,
            fmt::format("at offset {}: a directory of {} bytes; at most {} are "
                        "read",
                        layout_.directory_offset, layout_.directory_bytes,
                        record_.size())};
  }
  file_.SeekTo(layout_.directory_offset);
  Collect(layout_.directory_offset, layout_.directory_bytes);
  Await(Stage::kDirectory, layout_.directory_bytes);
  return {};
}

void NpzReferenceReader::OpenMember() {
  file_.SeekTo(layout_.local_offset);
  Await(Stage::kLocal, npz::kLocalBytes);
}

core::Status NpzReferenceReader::ProceedInMember() {
  const bool look = !options_.blind;
  // Each read of a member begins with a seek to where the last one ended.
  file_.SeekTo(file_.position());
  switch (stage_) {
    case Stage::kLocal:
      if (look) {
        STOKER_TRY(npz::ParseLocalSizes(collected(), layout_));
      }
      Await(Stage::kName, layout_.name_bytes);
      return {};
    case Stage::kName:
      Await(Stage::kExtra, layout_.extra_bytes);
      return {};
    case Stage::kExtra: {
      const std::uint64_t local = layout_.member_offset - layout_.local_offset;
      if (look && local > record_.size() - kZipChunk) {
        return {core::Code::kUnsupported,
                fmt::format("at offset {}: a local header of {} bytes; at most "
                            "{} are read",
                            layout_.local_offset, local,
                            record_.size() - kZipChunk)};
      }
      if (look) {
        STOKER_TRY(npz::ParseLocal(collected().first(local), layout_));
        member_.Begin(layout_);
        STOKER_TRY(TakeSpan());
      }
      Await(Stage::kHeader, std::min(kZipChunk, layout_.member_bytes));
      return {};
    }
    case Stage::kHeader:
      return TakeHeader();
    default:
      return NextData();
  }
}

core::Status NpzReferenceReader::TakeHeader() {
  // numpy.load opens the member to see its magic, and again to read it.
  if (!opened_before_) {
    opened_before_ = true;
    OpenMember();
    return {};
  }
  if (!options_.blind && !member_.header_known()) {
    return member_.Finish(layout_);
  }
  const std::uint64_t chunk = std::min(kZipChunk, layout_.member_bytes);
  unzipped_ = chunk - layout_.header_bytes;
  return NextData();
}

core::Status NpzReferenceReader::NextData() {
  while (delivered_ < layout_.payload_bytes()) {
    const std::uint64_t wanted =
        std::min(kNumpyChunk, layout_.payload_bytes() - delivered_);
    const std::uint64_t ready = std::min(wanted, unzipped_);
    unzipped_ -= ready;
    delivered_ += wanted;
    if (wanted > ready) {
      Await(Stage::kData, wanted - ready);
      return {};
    }
  }
  stage_ = Stage::kDone;
  return options_.blind ? core::Status() : member_.Finish(layout_);
}

void NpzReferenceReader::Await(Stage stage, std::uint64_t bytes) {
  stage_ = stage;
  file_.BeginRead(bytes);
}

void NpzReferenceReader::Collect(std::uint64_t offset, std::uint64_t bytes) {
  collect_at_ = offset;
  collect_bytes_ = bytes;
  collected_ = 0;
}

Bytes NpzReferenceReader::collected() const {
  return std::span(record_).first(collected_);
}

core::Status NpzReferenceReader::Wrap(const core::Status& status) const {
  return status.ok() ? status : status.WithContext(name_);
}

}  // namespace stoker::formats
