#include "formats/png_content.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/crc.h"
#include "formats/byte_order.h"

namespace stoker::formats {
namespace {

constexpr std::uint64_t kPillowBlock = 65536;  // ImageFile.MAXBLOCK
constexpr std::size_t kHeadBytes = 8;
constexpr std::size_t kCrcBytes = 4;

core::Status Corrupt(std::uint64_t at, std::string_view what) {
  return {core::Code::kCorruption, fmt::format("at offset {}: {}", at, what)};
}

std::uint32_t BigEndian32(std::span<const std::byte> bytes) {
  return __builtin_bswap32(LoadLe<std::uint32_t>(bytes, 0));
}

bool IsLetter(std::byte byte) {
  const int lower = std::to_integer<int>(byte | std::byte{0x20});
  return lower >= 'a' && lower <= 'z';
}

}  // namespace

PngContent::PngContent(const ReaderOptions& options, const Format& format)
    : check_(options.check),
      blind_(options.blind),
      reference_(options.style == ReaderOptions::Style::kReference),
      comparer_(format, options.expect) {}

core::Status PngContent::Begin(const FileSpec& file, std::uint32_t,
                               std::uint64_t) {
  file_ = file;
  part_ = Part::kSignature;
  gathered_ = 0;
  type_ = 0;
  chunk_at_ = end_ = 0;
  has_data_ = false;
  stamp_.reset();
  if (!blind_) {
    return comparer_.Begin(file);
  }
  STOKER_ASSIGN(plan_, png::PlanFile(file));
  padding_left_ = plan_.padding;
  left_ = png::kSignature.size();
  return {};
}

core::Status PngContent::Take(std::uint64_t offset,
                              std::span<const std::byte> bytes) {
  STOKER_TRY(comparer_.Compare(offset, bytes));
  while (!bytes.empty() && part_ != Part::kEnd) {
    const std::size_t before = bytes.size();
    STOKER_TRY(TakePart(offset, bytes));
    offset += before - bytes.size();
  }
  return {};
}

bool PngContent::Gather(std::span<const std::byte>& bytes, std::size_t wanted) {
  const std::size_t length = std::min(wanted - gathered_, bytes.size());
  std::ranges::copy(bytes.first(length),
                    scratch_.begin() + static_cast<std::ptrdiff_t>(gathered_));
  gathered_ += length;
  bytes = bytes.subspan(length);
  return gathered_ == wanted;
}

core::Status PngContent::TakePart(std::uint64_t offset,
                                  std::span<const std::byte>& bytes) {
  switch (part_) {
    case Part::kSignature:
      return Gather(bytes, png::kSignature.size()) ? TakeSignature()
                                                   : core::Status();
    case Part::kHead: {
      const std::uint64_t start = offset - gathered_;
      return Gather(bytes, kHeadBytes) ? TakeHead(start) : core::Status();
    }
    case Part::kStamp:
      return Gather(bytes, kStampBytes) ? TakeStamp() : core::Status();
    case Part::kData: {
      const std::uint64_t length = std::min<std::uint64_t>(left_, bytes.size());
      if (check_) {
        crc_ = core::Crc32(bytes.first(length), crc_);
      }
      bytes = bytes.subspan(length);
      left_ -= length;
      if (left_ == 0) {
        part_ = Part::kCrc;
        gathered_ = 0;
      }
      return {};
    }
    case Part::kCrc:
      return Gather(bytes, kCrcBytes) ? TakeCrc() : core::Status();
    case Part::kEnd:
      break;
  }
  return {};
}

core::Status PngContent::TakeSignature() {
  if (!std::ranges::equal(std::span(scratch_).first(png::kSignature.size()),
                          std::as_bytes(std::span(png::kSignature)))) {
    return Corrupt(0, "expected a png image (\\x89PNG)");
  }
  part_ = Part::kHead;
  gathered_ = 0;
  return {};
}

std::string PngContent::ChunkName() const {
  std::string name;
  for (int shift = 24; shift >= 0; shift -= 8) {
    name += static_cast<char>(type_ >> shift);
  }
  return name;
}

core::Status PngContent::TakeHead(std::uint64_t offset) {
  const std::span<const std::byte> head = std::span(scratch_).first(kHeadBytes);
  const bool first = chunk_at_ == 0;
  chunk_at_ = offset;
  left_ = BigEndian32(head);
  type_ = BigEndian32(head.subspan(4));
  const bool plausible = std::ranges::all_of(head.subspan(4), IsLetter) &&
                         left_ <= png::kMaxChunk &&
                         first == (type_ == png::kIhdr) &&
                         (!first || left_ == png::kHeaderBytes) &&
                         (type_ != png::kIend || (left_ == 0 && has_data_));
  if (!plausible) {
    return Corrupt(
        offset,
        fmt::format("expected {}, found length {} and type {:08x}",
                    first ? "the image header IHDR of 13 bytes" : "a chunk",
                    left_, type_));
  }
  has_data_ = has_data_ || type_ == png::kIdat;
  if (type_ == png::kIend) {
    end_ = offset + png::kChunkFrame;
  }
  crc_ = core::Crc32(head.subspan(4));
  BeginData();
  return {};
}

void PngContent::BeginData() {
  gathered_ = 0;
  if (left_ == 0) {
    part_ = Part::kCrc;
  } else if (!blind_ && type_ == png::kStamp && left_ >= kStampBytes) {
    part_ = Part::kStamp;
  } else {
    part_ = Part::kData;
  }
}

core::Status PngContent::TakeStamp() {
  const std::optional<ImageStamp> stamp = ParseStamp(scratch_);
  crc_ = check_ ? core::Crc32(scratch_, crc_) : crc_;
  left_ -= kStampBytes;
  part_ = left_ > 0 ? Part::kData : Part::kCrc;
  gathered_ = 0;
  if (stamp) {
    stamp_ = stamp;
    if (check_) {
      return CheckStamp(*stamp, file_);
    }
  }
  return {};
}

core::Status PngContent::TakeCrc() {
  const std::uint32_t stored = BigEndian32(scratch_);
  if (check_ && stored != crc_) {
    return Corrupt(chunk_at_,
                   fmt::format("CRC-32 of chunk {}: expected {:08x}, found "
                               "{:08x}",
                               ChunkName(), stored, crc_));
  }
  EndChunk();
  return {};
}

void PngContent::EndChunk() {
  part_ = type_ == png::kIend ? Part::kEnd : Part::kHead;
  gathered_ = 0;
}

core::Status PngContent::Finish(std::uint64_t size) {
  // Pillow does not ask for the last chunk's CRC-32.
  if (end_ == 0 || (part_ != Part::kEnd && !reference_)) {
    return Corrupt(size, "the file ends here, before the end of chunk IEND");
  }
  const std::uint64_t bytes = std::max(size, end_);
  if (stamp_ && stamp_->file_bytes != bytes) {
    return Corrupt(bytes, fmt::format("the file ends here, but its stamp says "
                                      "{} bytes",
                                      stamp_->file_bytes));
  }
  return comparer_.Finish(bytes);
}

// The parts by their planned lengths.
void PngContent::Skip(std::uint64_t bytes) {
  while (bytes > 0 && part_ != Part::kEnd) {
    const std::uint64_t length = std::min(bytes, left_);
    bytes -= length;
    left_ -= length;
    if (left_ > 0) {
      continue;
    }
    switch (part_) {
      case Part::kHead:
        PlanNextChunk();
        BeginData();
        left_ = part_ == Part::kCrc ? kCrcBytes : left_;
        break;
      case Part::kData:
        part_ = Part::kCrc;
        left_ = kCrcBytes;
        break;
      case Part::kSignature:
      case Part::kCrc:
        EndChunk();
        left_ = kHeadBytes;
        break;
      default:
        break;
    }
  }
}

// Sets type_ and left_ of the chunk behind the one of type_.
void PngContent::PlanNextChunk() {
  switch (type_) {
    case 0:
      type_ = png::kIhdr;
      left_ = png::kHeaderBytes;
      return;
    case png::kIhdr:
      type_ = png::kStamp;
      left_ = plan_.stamp_bytes();
      return;
    case png::kStamp:
      type_ = png::kIdat;
      left_ = plan_.idat_bytes();
      return;
    default:
      break;
  }
  type_ = padding_left_ > 0 ? png::kPadding : png::kIend;
  left_ = 0;
  if (padding_left_ > 0) {
    const std::uint64_t block =
        NextBlock(padding_left_, png::kChunkFrame, png::kMaxPadding);
    padding_left_ -= block;
    left_ = block - png::kChunkFrame;
  }
}

FileAsk PngContent::NextAsk(const FileAsked& last) {
  if (last.got < last.asked) {
    return {};
  }
  const auto read = [](std::uint64_t bytes) {
    return FileAsk{FileAsk::Kind::kRead, bytes};
  };
  switch (part_) {
    case Part::kSignature:
    case Part::kHead:
      return read(kHeadBytes);
    case Part::kStamp:
    case Part::kData:
      return read(std::min(
          left_, type_ == png::kIdat ? kPillowBlock : kPillowChunkBlock));
    case Part::kCrc:
      return type_ == png::kIend ? FileAsk{} : read(kCrcBytes);
    case Part::kEnd:
      break;
  }
  return {};
}

}  // namespace stoker::formats
