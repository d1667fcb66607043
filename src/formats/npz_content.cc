#include "formats/npz_content.h"

#include <fmt/format.h>

#include <algorithm>

#include "formats/byte_order.h"

namespace stoker::formats {
namespace {

using npz::Bytes;

ReaderOptions MemberOptions(ReaderOptions options) {
  options.check =
      options.check && options.style != ReaderOptions::Style::kDirect;
  return options;
}

}  // namespace

NpzContent::NpzContent(const ReaderOptions& options)
    : direct_(options.style == ReaderOptions::Style::kDirect),
      blind_(options.blind),
      member_(MemberOptions(options)) {}

core::Status NpzContent::Begin(const FileSpec& file, std::uint32_t sample,
                               std::uint64_t) {
  layout_ = blind_ ? npz::PlanLayout(file) : npz::Layout{};
  member_.Reset(file, sample);
  part_ = Part::kLocal;
  head_bytes_ = tail_bytes_ = 0;
  return {};
}

core::Status NpzContent::Take(std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const std::size_t before = bytes.size();
    STOKER_TRY(TakePart(offset, bytes));
    offset += before - bytes.size();
  }
  return {};
}

// Takes some bytes, or ends a part that needs none.
core::Status NpzContent::TakePart(std::uint64_t offset, Bytes& bytes) {
  switch (part_) {
    case Part::kLocal:
      if (Gather(bytes, npz::kLocalBytes)) {
        return TakeLocal();
      }
      return {};
    case Part::kNames:
      if (Gather(bytes, layout_.member_offset - layout_.local_offset)) {
        return TakeNames();
      }
      return {};
    case Part::kSkip: {
      const std::uint64_t length = std::min<std::uint64_t>(skip_, bytes.size());
      bytes = bytes.subspan(length);
      skip_ -= length;
      if (skip_ == 0) {
        part_ = Part::kLocal;
        head_bytes_ = 0;
      }
      return {};
    }
    case Part::kMember:
      return TakeMember(offset, bytes);
    case Part::kTail:
      KeepTail(bytes);
      bytes = {};
      break;
  }
  return {};
}

bool NpzContent::Gather(Bytes& bytes, std::size_t wanted) {
  const std::size_t length =
      std::min(wanted - std::min(wanted, head_bytes_), bytes.size());
  std::ranges::copy(bytes.first(length),
                    head_.begin() + static_cast<std::ptrdiff_t>(head_bytes_));
  head_bytes_ += length;
  bytes = bytes.subspan(length);
  return head_bytes_ >= wanted;
}

core::Status NpzContent::TakeLocal() {
  const Bytes record = std::span(head_).first(npz::kLocalBytes);
  layout_.local_offset = layout_.member_end();  // of the one before; or 0
  const auto magic = LoadLe<std::uint32_t>(record, 0);
  if (magic != npz::kLocalMagic) {
    return {core::Code::kCorruption,
            layout_.local_offset == 0
                ? "at offset 0: expected a zip archive (PK\\3\\4)"
                : fmt::format("at offset {}: expected a further member, the "
                              "array x.npy not having come yet",
                              layout_.local_offset)};
  }
  const std::size_t names = std::size_t{LoadLe<std::uint16_t>(record, 26)} +
                            LoadLe<std::uint16_t>(record, 28);
  if (npz::kLocalBytes + names > head_.size() - npz::kMaxNpyBytes) {
    return {core::Code::kUnsupported,
            fmt::format("at offset {}: a local header of {} bytes; at most {} "
                        "are read",
                        layout_.local_offset, npz::kLocalBytes + names,
                        head_.size() - npz::kMaxNpyBytes)};
  }
  layout_.member_offset = layout_.local_offset + npz::kLocalBytes + names;
  layout_.member_bytes = 0;
  part_ = Part::kNames;
  return names == 0 ? TakeNames() : core::Status();
}

core::Status NpzContent::TakeNames() {
  STOKER_ASSIGN(
      const bool array,
      npz::ParseLocalAlone(std::span(head_).first(head_bytes_), layout_));
  if (array) {
    part_ = Part::kMember;
    member_.Begin(layout_);
    return {};
  }
  skip_ = layout_.member_bytes;
  part_ = skip_ > 0 ? Part::kSkip : Part::kLocal;
  head_bytes_ = skip_ > 0 ? head_bytes_ : 0;
  return {};
}

core::Status NpzContent::TakeMember(std::uint64_t offset, Bytes& bytes) {
  const std::uint64_t left = layout_.member_end() - offset;
  const Bytes piece = bytes.first(std::min<std::uint64_t>(left, bytes.size()));
  bytes = bytes.subspan(piece.size());
  const std::size_t local = layout_.member_offset - layout_.local_offset;
  if (!member_.header_known()) {
    Bytes start = piece;
    Gather(start, std::min(head_.size(), local + npz::kMaxNpyBytes));
  }
  STOKER_TRY(member_.Take(offset, piece,
                          std::span(head_).first(head_bytes_).subspan(local),
                          layout_));
  if (piece.size() == left) {
    part_ = Part::kTail;
  }
  return {};
}

void NpzContent::KeepTail(Bytes bytes) {
  if (bytes.size() >= tail_.size()) {
    std::ranges::copy(bytes.last(tail_.size()), tail_.begin());
    tail_bytes_ = tail_.size();
    return;
  }
  const std::size_t room = tail_.size() - tail_bytes_;
  if (bytes.size() > room) {
    const std::size_t drop = bytes.size() - room;
    std::ranges::copy(std::span(tail_).first(tail_bytes_).subspan(drop),
                      tail_.begin());
    tail_bytes_ -= drop;
  }
  std::ranges::copy(bytes,
                    tail_.begin() + static_cast<std::ptrdiff_t>(tail_bytes_));
  tail_bytes_ += bytes.size();
}

bool NpzContent::MayEnd() const {
  return part_ == Part::kTail && tail_bytes_ >= npz::kEndBytes &&
         LoadLe<std::uint32_t>(std::span(tail_).first(tail_bytes_),
                               tail_bytes_ - npz::kEndBytes) == npz::kEndMagic;
}

core::Status NpzContent::Finish(std::uint64_t size) {
  const bool whole = part_ == Part::kTail ||
                     (part_ == Part::kMember && layout_.member_bytes == 0);
  if (!whole) {
    return EndsWithin(size);
  }
  if (!direct_) {
    STOKER_TRY(CompareDirectory(size));
  }
  return member_.Finish(layout_);
}

core::Status NpzContent::EndsWithin(std::uint64_t size) const {
  if (part_ == Part::kMember) {
    return {core::Code::kCorruption,
            fmt::format("at offset {}: the file ends here, within member x.npy "
                        "of {} bytes at {}",
                        size, layout_.member_bytes, layout_.member_offset)};
  }
  return {core::Code::kCorruption,
          fmt::format("at offset {}: the file ends here, before an array x.npy",
                      size)};
}

core::Result<Bytes> NpzContent::Tail(std::uint64_t at, std::uint64_t bytes,
                                     std::uint64_t size) const {
  const std::uint64_t start = size - tail_bytes_;
  if (at > size || bytes > size - at ||
      (at < start && size - at <= tail_.size())) {
    return core::Status(
        core::Code::kCorruption,
        fmt::format("at offset {}: expected {} bytes behind the array, but the "
                    "file ends at {}",
                    at, bytes, size));
  }
  if (at < start) {
    return core::Status(
        core::Code::kUnsupported,
        fmt::format("at offset {}: a directory of {} bytes; at most {} are "
                    "read",
                    at, bytes, tail_.size()));
  }
  return std::span(tail_).subspan(at - start, bytes);
}

// The directory as another reader finds it, from the end.
core::Status NpzContent::CompareDirectory(std::uint64_t size) {
  npz::Layout listed;
  listed.file_bytes = size;
  if (tail_bytes_ < npz::kEndBytes) {
    return {core::Code::kCorruption,
            fmt::format("at offset {}: the file ends here, expected the "
                        "directory behind the array",
                        size)};
  }
  std::uint64_t at = size - npz::kEndBytes;
  STOKER_ASSIGN(const Bytes end, Tail(at, npz::kEndBytes, size));
  STOKER_TRY(npz::ParseEnd(end, at, listed));
  const std::uint64_t before = npz::kLocatorBytes + npz::kEnd64Bytes;
  if (tail_bytes_ >= npz::kEndBytes + before) {
    const std::uint64_t locator_at = at - npz::kLocatorBytes;
    STOKER_ASSIGN(const Bytes locator,
                  Tail(locator_at, npz::kLocatorBytes, size));
    if (npz::IsLocator(locator)) {
      STOKER_TRY(npz::ParseLocator(locator, locator_at, listed));
      at -= before;
      STOKER_ASSIGN(const Bytes end64, Tail(at, npz::kEnd64Bytes, size));
      STOKER_TRY(npz::ParseEnd64(end64, at, listed));
    }
  }
  STOKER_TRY(npz::CheckDirectory(at, listed));
  STOKER_ASSIGN(const Bytes directory,
                Tail(listed.directory_offset, listed.directory_bytes, size));
  STOKER_TRY(npz::ParseDirectory(directory, listed));
  if (listed.local_offset != layout_.local_offset) {
    return {core::Code::kCorruption,
            fmt::format("at offset {}: the directory has member x.npy at {}, "
                        "expected {}",
                        listed.directory_offset, listed.local_offset,
                        layout_.local_offset)};
  }
  const Bytes head = std::span(head_).first(head_bytes_);
  STOKER_TRY(npz::ParseLocalSizes(head.first(npz::kLocalBytes), listed));
  return npz::ParseLocal(
      head.first(layout_.member_offset - layout_.local_offset), listed);
}

}  // namespace stoker::formats
