#include "formats/jpeg_content.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/crc.h"
#include "formats/byte_order.h"

namespace stoker::formats {
namespace {

// Of our files the segments and a little more; only that they are within the
// buffer counts.
constexpr std::uint64_t kBlindSegments = 360;

core::Status Corrupt(std::uint64_t at, std::string_view what) {
  return {core::Code::kCorruption, fmt::format("at offset {}: {}", at, what)};
}

std::uint16_t BigEndian16(std::span<const std::byte> bytes) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[0]) << 8 |
                                    std::to_integer<unsigned>(bytes[1]));
}

}  // namespace

JpegContent::JpegContent(const ReaderOptions& options, const Format& format)
    : check_(options.check),
      blind_(options.blind),
      comparer_(format, options.expect) {}

core::Status JpegContent::Begin(const FileSpec& file, std::uint32_t,
                                std::uint64_t) {
  file_ = file;
  part_ = Part::kStart;
  gathered_ = 0;
  last_ = {};
  counting_ = check_;
  crc_ = stored_crc_ = 0;
  stamp_.reset();
  rewound_ = false;
  return blind_ ? core::Status() : comparer_.Begin(file);
}

void JpegContent::Count(std::span<const std::byte> bytes) {
  if (counting_) {
    crc_ = core::Crc32c(bytes, crc_);
  }
}

bool JpegContent::Gather(std::span<const std::byte>& bytes,
                         std::size_t wanted) {
  const std::size_t length = std::min(wanted - gathered_, bytes.size());
  std::ranges::copy(bytes.first(length),
                    scratch_.begin() + static_cast<std::ptrdiff_t>(gathered_));
  gathered_ += length;
  bytes = bytes.subspan(length);
  return gathered_ == wanted;
}

core::Status JpegContent::Take(std::uint64_t offset,
                               std::span<const std::byte> bytes) {
  STOKER_TRY(comparer_.Compare(offset, bytes));
  if (bytes.size() >= last_.size()) {
    std::ranges::copy(bytes.last(last_.size()), last_.begin());
  } else if (!bytes.empty()) {
    last_ = {last_[1], bytes[0]};
  }
  while (!bytes.empty()) {
    const std::size_t before = bytes.size();
    STOKER_TRY(TakePart(offset, bytes));
    offset += before - bytes.size();
  }
  return {};
}

core::Status JpegContent::TakePart(std::uint64_t offset,
                                   std::span<const std::byte>& bytes) {
  switch (part_) {
    case Part::kStart:
      if (Gather(bytes, 2)) {
        if (scratch_[0] != jpeg::kPrefix ||
            scratch_[1] != jpeg::kStartOfImage) {
          return Corrupt(0, "expected a jpeg image (FF D8)");
        }
        Count(std::span(scratch_).first(2));
        part_ = Part::kPrefix;
      }
      return {};
    case Part::kPrefix:
    case Part::kMarker: {
      Count(bytes.first(1));
      const std::byte byte = bytes[0];
      bytes = bytes.subspan(1);
      return TakeMarker(offset, byte);
    }
    case Part::kLength:
      return Gather(bytes, 2) ? TakeLength(offset) : core::Status();
    case Part::kStamp:
      return Gather(bytes, scratch_.size()) ? TakeStamp() : core::Status();
    case Part::kSegment: {
      const std::uint64_t length = std::min<std::uint64_t>(left_, bytes.size());
      Count(bytes.first(length));
      bytes = bytes.subspan(length);
      left_ -= length;
      if (left_ == 0) {
        EndSegment();
      }
      return {};
    }
    case Part::kScan:
      Count(bytes);
      bytes = {};
      break;
  }
  return {};
}

core::Status JpegContent::TakeMarker(std::uint64_t offset, std::byte marker) {
  if (part_ == Part::kPrefix) {
    if (marker != jpeg::kPrefix) {
      return Corrupt(offset, fmt::format("expected a marker (FF), found {:02X}",
                                         std::to_integer<int>(marker)));
    }
    part_ = Part::kMarker;
    return {};
  }
  if (marker == jpeg::kPrefix) {
    return {};  // markers may be preceded by any number of FF
  }
  if (marker == std::byte{0} || marker == jpeg::kEndOfImage[1] ||
      marker == jpeg::kStartOfImage) {
    return Corrupt(offset - 1,
                   fmt::format("marker FF{:02X} before the scan of the image",
                               std::to_integer<int>(marker)));
  }
  marker_ = marker;
  gathered_ = 0;
  part_ = jpeg::StandsAlone(marker) ? Part::kPrefix : Part::kLength;
  return {};
}

core::Status JpegContent::TakeLength(std::uint64_t offset) {
  const std::span<const std::byte> length = std::span(scratch_).first(2);
  Count(length);
  const std::uint16_t bytes = BigEndian16(length);
  if (bytes < 2) {
    return Corrupt(offset, fmt::format("a segment of {} bytes, expected at "
                                       "least 2",
                                       bytes));
  }
  left_ = bytes - 2U;
  gathered_ = 0;
  if (left_ == 0) {
    EndSegment();
  } else {
    part_ = marker_ == jpeg::kApp15 && left_ >= scratch_.size() && !stamp_
                ? Part::kStamp
                : Part::kSegment;
  }
  return {};
}

core::Status JpegContent::TakeStamp() {
  const std::span<const std::byte> head = scratch_;
  const std::optional<ImageStamp> stamp = ParseStamp(head);
  left_ -= head.size();
  part_ = Part::kSegment;
  if (!stamp) {
    Count(head);
  } else {
    Count(head.first(kStampBytes));
    stored_crc_ = LoadLe<std::uint32_t>(head, kStampBytes);
    stamp_ = stamp;
    if (check_) {
      STOKER_TRY(CheckStamp(*stamp, file_));
    }
  }
  if (left_ == 0) {
    EndSegment();
  }
  return {};
}

void JpegContent::EndSegment() {
  gathered_ = 0;
  part_ = marker_ == jpeg::kStartOfScan ? Part::kScan : Part::kPrefix;
  if (part_ == Part::kScan && !stamp_) {
    counting_ = false;  // nothing to compare with
  }
}

bool JpegContent::MayEnd() const {
  return part_ == Part::kScan && last_ == jpeg::kEndOfImage;
}

core::Status JpegContent::Finish(std::uint64_t size) {
  STOKER_TRY(comparer_.Finish(size));
  if (part_ != Part::kScan) {
    return Corrupt(size, "the file ends before the scan of its image");
  }
  if (stamp_ && stamp_->file_bytes != size) {
    return Corrupt(size, fmt::format("the file ends here, but its stamp says "
                                     "{} bytes",
                                     stamp_->file_bytes));
  }
  if (last_ != jpeg::kEndOfImage) {
    return Corrupt(size - last_.size(),
                   fmt::format("expected the end-of-image marker FFD9 at the "
                               "file's end, found {:02X}{:02X}",
                               std::to_integer<int>(last_[0]),
                               std::to_integer<int>(last_[1])));
  }
  if (check_ && stamp_ && crc_ != stored_crc_) {
    return {core::Code::kCorruption,
            fmt::format("CRC-32C of the {} bytes at offset 0: expected {:08x} "
                        "as in the stamp, found {:08x}",
                        size, stored_crc_, crc_)};
  }
  return {};
}

FileAsk JpegContent::NextAsk(const FileAsked& last) {
  using Kind = FileAsk::Kind;
  if (rewound_) {
    const bool more =
        last.asked == 0 || (last.got == last.asked && !last.at_planned_end);
    return more ? FileAsk{Kind::kRead, kPillowBlock} : FileAsk{};
  }
  if (last.asked == 0) {
    // Start of the image and the first byte of a marker.
    return {Kind::kRead,
            blind_ ? std::min(kBlindSegments, file_.record_bytes) : 3};
  }
  if (last.got < last.asked) {
    return {};
  }
  if (blind_ || part_ == Part::kScan) {
    rewound_ = true;
    return {Kind::kRewind, 0};
  }
  switch (part_) {
    case Part::kLength:
      return {Kind::kRead, 2};
    case Part::kStamp:
    case Part::kSegment:
      return {Kind::kRead, left_};
    default:
      return {Kind::kRead, 1};
  }
}

}  // namespace stoker::formats
