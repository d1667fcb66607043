#include "storage/write_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/check.h"

namespace stoker::storage {

namespace {
constexpr std::size_t kPartAlign = 4096;
constexpr std::size_t kMostInFlight = 1024;
}  // namespace

WriteStream::WriteStream(const WriteOptions& options, core::Clock& clock)
    : options_(options), clock_(clock) {}

core::Status WriteStream::CheckUsable() const {
  if (committed_) {
    return {core::Code::kInvalidArgument,
            "write: the object was committed already"};
  }
  if (options_.part_size % kPartAlign != 0) {
    return {core::Code::kInvalidArgument,
            fmt::format("write: a part size of {} bytes; allowed are "
                        "multiples of {}",
                        options_.part_size, kPartAlign)};
  }
  if (options_.in_flight > kMostInFlight) {
    return {core::Code::kInvalidArgument,
            fmt::format("write: {} parts in flight; allowed are 0 to {}",
                        options_.in_flight, kMostInFlight)};
  }
  return failed_;
}

core::Result<std::span<std::byte>> WriteStream::Buffer() {
  STOKER_TRY(CheckUsable());
  if (part_.empty()) {
    STOKER_TRY(NextPart());
  }
  return part_.subspan(position_ - part_start_);
}

core::Status WriteStream::NextPart() {
  const core::TimePoint start = clock_.Now();
  const core::Result<std::span<std::byte>> part = DoBuffer(position_);
  counters_.busy += clock_.Now() - start;
  if (!part.ok()) {
    failed_ = part.status();
    return failed_;
  }
  const std::size_t size = part.value().size();
  STOKER_CHECK(options_.part_size == 0 ? size > 0 && size % kPartAlign == 0
                                       : size == options_.part_size);
  part_ = part.value();
  part_start_ = position_;
  return {};
}

core::Status WriteStream::Append(std::size_t bytes) {
  STOKER_TRY(CheckUsable());
  const std::uint64_t used = part_.empty() ? 0 : position_ - part_start_;
  if (bytes > part_.size() - used) {
    return {core::Code::kInvalidArgument,
            fmt::format("write: {} bytes appended, but the buffer given holds "
                        "{}",
                        bytes, part_.size() - used)};
  }
  if (bytes == 0) {
    return {};
  }
  position_ += bytes;
  if (IsKeptBack(part_start_)) {
    first_part_ = part_.first(position_);
  }
  if (used + bytes < part_.size()) {
    return {};
  }
  const std::span<std::byte> full = std::exchange(part_, {});
  return IsKeptBack(part_start_) ? core::Status{} : Send(part_start_, full);
}

core::Status WriteStream::Cut() {
  STOKER_TRY(CheckUsable());
  if (part_.empty() || position_ == part_start_ || IsKeptBack(part_start_)) {
    return {};
  }
  const std::span<std::byte> part = std::exchange(part_, {});
  return Send(part_start_, part.first(position_ - part_start_));
}

core::Status WriteStream::Send(std::uint64_t offset,
                               std::span<const std::byte> part) {
  const core::TimePoint start = clock_.Now();
  if (counters_.parts == 0) {
    times_.first = start;
  }
  failed_ = DoSend(offset, part);
  times_.last = clock_.Now();
  counters_.busy += times_.last - start;
  if (failed_.ok()) {
    ++counters_.parts;
    counters_.bytes += part.size();
  }
  return failed_;
}

core::Status WriteStream::Write(std::span<const std::byte> data) {
  while (!data.empty()) {
    STOKER_ASSIGN(const std::span<std::byte> buffer, Buffer());
    const std::size_t count = std::min(buffer.size(), data.size());
    std::memcpy(buffer.data(), data.data(), count);
    STOKER_TRY(Append(count));
    data = data.subspan(count);
  }
  return {};
}

core::Status WriteStream::Patch(std::uint64_t offset,
                                std::span<const std::byte> bytes) {
  STOKER_TRY(CheckUsable());
  if (!options_.patch) {
    return {core::Code::kInvalidArgument,
            fmt::format("patch {} bytes at offset {}: the stream was made "
                        "without patch",
                        bytes.size(), offset)};
  }
  if (offset > first_part_.size() ||
      bytes.size() > first_part_.size() - offset) {
    return {core::Code::kInvalidArgument,
            fmt::format("patch {} bytes at offset {}: only the {} bytes "
                        "appended to the first part can be changed",
                        bytes.size(), offset, first_part_.size())};
  }
  if (!bytes.empty()) {
    std::memcpy(first_part_.data() + offset, bytes.data(), bytes.size());
  }
  return {};
}

core::Result<WriteTimes> WriteStream::Commit() {
  STOKER_TRY(Cut());
  if (position_ == 0) {
    times_.first = times_.last = clock_.Now();
  }
  if (!first_part_.empty()) {
    STOKER_TRY(Send(0, first_part_));
  }
  times_.synced = times_.last;
  const core::TimePoint start = clock_.Now();
  failed_ = DoCommit(position_, times_);
  times_.synced = std::max(times_.synced, times_.last);
  times_.committed = clock_.Now();
  counters_.busy += times_.committed - start;
  STOKER_TRY(failed_);
  committed_ = true;
  return times_;
}

}  // namespace stoker::storage
