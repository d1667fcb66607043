#include "generators/internal/compare_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace stoker::generators::internal {

namespace {

using core::Code;
using core::Status;

constexpr std::size_t kPiece = ReadAhead::kPiece;

}  // namespace

CompareStream::CompareStream(core::Clock& clock, ReadAhead& ahead,
                             std::span<std::byte> memory)
    : WriteStream({.part_size = kPiece}, clock),
      ahead_(ahead),
      memory_(memory) {}

core::Result<std::span<std::byte>> CompareStream::DoBuffer(
    std::uint64_t offset) {
  return memory_.subspan(offset == 0 ? 0 : kPiece, kPiece);
}

// The object's first piece stays until its end, so that the encoder may change
// what it put there.
Status CompareStream::TakeFirst() {
  if (!has_first_) {
    STOKER_ASSIGN(first_, ahead_.Piece());
    has_first_ = true;
  }
  return {};
}

Status CompareStream::DoSend(std::uint64_t offset,
                             std::span<const std::byte> part) {
  STOKER_TRY(TakeFirst());
  if (offset == 0) {
    return Compare(0, part, first_);
  }
  STOKER_ASSIGN(const std::span<const std::byte> found, ahead_.Piece());
  return Compare(offset, part, found);
}

Status CompareStream::Compare(std::uint64_t offset,
                              std::span<const std::byte> wanted,
                              std::span<const std::byte> found) {
  if (found.size() < wanted.size()) {
    return {Code::kCorruption,
            fmt::format("it ends at byte {}", offset + found.size())};
  }
  if (std::memcmp(wanted.data(), found.data(), wanted.size()) != 0) {
    const auto at = static_cast<std::size_t>(
        std::ranges::mismatch(wanted, found).in1 - wanted.begin());
    differs_at_ = offset + at;
    return {Code::kCorruption,
            fmt::format("byte {} is {}, expected is {}", offset + at,
                        std::to_integer<int>(found[at]),
                        std::to_integer<int>(wanted[at]))};
  }
  longer_ = longer_ || found.size() > wanted.size();
  return {};
}

Status CompareStream::DoCommit(std::uint64_t size,
                               storage::WriteTimes& /*times*/) {
  STOKER_TRY(TakeFirst());  // of an empty object
  if (longer_ || (size == 0 && !first_.empty())) {
    return {Code::kCorruption,
            fmt::format("it goes on behind its {} bytes", size)};
  }
  return {};
}

}  // namespace stoker::generators::internal
