#include "checkpoint/internal/chunk_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "checkpoint/internal/request_limits.h"
#include "core/abandon.h"
#include "core/pages.h"
#include "core/units.h"

namespace stoker::checkpoint::internal {

namespace {

using core::Code;
using core::Status;

constexpr std::uint64_t kLeanRequest = 1ULL << 20;
constexpr std::size_t kLeanDepth = 32;
// The v3.0 reference reads raw files by four readers of 128 MiB each.
constexpr std::uint64_t kRawRequest = 128ULL << 20;
constexpr std::size_t kRawDepth = 4;

std::uint64_t Fit(std::uint64_t request, std::size_t depth,
                  std::uint64_t pool) {
  return std::max(core::kPageBytes,
                  std::min(request, core::PagesDown(pool / depth)));
}

}  // namespace

ReadShape ShapeOfReads(const ShardContext& context, FileFormat format,
                       std::uint64_t preferred_unit) {
  const std::uint64_t pool = context.pool_bytes;
  if (context.style == IoStyle::kLean) {
    const std::uint64_t request =
        std::max(kLeanRequest, core::PagesUp(preferred_unit));
    const std::size_t depth = static_cast<std::size_t>(
        std::clamp<std::uint64_t>(pool / request, 1, kLeanDepth));
    return {.request_bytes = Fit(request, depth, pool), .depth = depth};
  }
  if (format == FileFormat::kRaw) {
    return {.request_bytes = Fit(kRawRequest, kRawDepth, pool),
            .depth = kRawDepth};
  }
  return {.request_bytes = Fit(kKernelCap, 1, pool), .depth = 1};
}

core::Result<std::unique_ptr<ChunkReader>> ChunkReader::Make(
    const ShardContext& context, FileFormat format) {
  STOKER_ASSIGN(const auto probe,
                context.backend->NewReadQueue({.depth = 1}, *context.clock));
  const ReadShape shape =
      ShapeOfReads(context, format, probe->limits().preferred_unit);
  std::unique_ptr<ChunkReader> reader(new ChunkReader(context, shape));
  STOKER_ASSIGN(
      reader->queue_,
      context.backend->NewReadQueue(
          {.depth = shape.depth, .gives_up_buffers = true}, *context.clock));
  STOKER_ASSIGN(reader->memory_,
                core::AlignedBuffer::Make(shape.request_bytes * shape.depth,
                                          /*resident=*/false));
  reader->queue_->RegisterMemory(reader->memory_.bytes());
  for (std::size_t i = 0; i < shape.depth; ++i) {
    reader->slots_[i].buffer = reader->memory_.bytes().subspan(
        i * shape.request_bytes, shape.request_bytes);
  }
  return reader;
}

ChunkReader::ChunkReader(const ShardContext& context, ReadShape shape)
    : context_(context),
      shape_(shape),
      slots_(shape.depth),
      done_(shape.depth) {
  for (std::size_t i = shape.depth; i-- > 0;) {
    free_.push_back(i);
  }
}

ChunkReader::~ChunkReader() {
  const bool in_flight = queue_ != nullptr && queue_->in_flight() > 0;
  const bool hangs = broken_ && in_flight;
  if (!hangs) {
    queue_.reset();
  }
  if (in_flight || any_held_) {
    // Storage that hangs may still write into the buffers; neither may go, nor
    // can the queue's end be waited for.
    struct Abandoned {
      std::unique_ptr<storage::ReadQueue> queue;
      core::AlignedBuffer memory;
      std::vector<core::AlignedBuffer> more_memory;
    };
    core::Abandon(std::make_shared<Abandoned>(Abandoned{
        std::move(queue_), std::move(memory_), std::move(more_memory_)}));
  }
  if (!hangs) {
    Close();
  }
}

void ChunkReader::Close() {
  if (std::exchange(open_, false)) {
    context_.backend->Release(id_);
  }
}

void ChunkReader::Open(std::string_view object) {
  Close();
  object_ = object;
  id_ = context_.backend->Resolve(object);
  open_ = true;
}

void ChunkReader::StartOver() {
  first_done_ = last_done_ = idle_since_ = core::kNever;
  idle_ = {};
  bytes_ = 0;
}

core::Result<std::uint64_t> ChunkReader::Size() {
  auto size =
      storage::AskSize(*queue_, id_, *context_.clock, context_.io_timeout);
  if (!size.ok()) {
    broken_ = true;
    return size.status().WithContext("read " + object_);
  }
  return size;
}

Status ChunkReader::Read(std::uint64_t begin, std::uint64_t end,
                         ChunkSink& sink, std::uint64_t request_bytes) {
  const std::uint64_t align = queue_->limits().offset_align;
  const std::uint64_t request =
      request_bytes == 0
          ? shape_.request_bytes
          : std::min(shape_.request_bytes,
                     (request_bytes + align - 1) / align * align);
  Range range{.begin = begin,
              .end = end,
              .next = begin / align * align,
              .request = request};
  Status status;
  while (status.ok() && (range.next < end || queue_->in_flight() > 0)) {
    if (range.next < end && !free_.empty()) {
      status = Ask(range);
      // What the page cache had is done by now, and still near the core.
      if (status.ok()) {
        status = Take(range, 0, sink);
      }
    } else {
      status = Take(range, 1, sink);
    }
  }
  if (!status.ok()) {
    broken_ = true;
    return status.WithContext("read " + object_);
  }
  return {};
}

Status ChunkReader::Ask(Range& range) {
  const std::uint64_t align = queue_->limits().offset_align;
  Slot& slot = slots_[free_.back()];
  const std::uint64_t stop = std::min(range.end, range.next + range.request);
  slot.offset = range.next;
  slot.wanted = stop - range.next;
  slot.submitted = context_.clock->Now();
  const storage::ReadOp op{
      .object = id_,
      .offset = slot.offset,
      .buffer = slot.buffer.first((slot.wanted + align - 1) / align * align),
      .tag = free_.back()};
  if (idle_since_ != core::kNever) {
    idle_ += slot.submitted - std::exchange(idle_since_, core::kNever);
  }
  STOKER_ASSIGN(const std::size_t taken, queue_->Submit({&op, 1}));
  if (taken == 1) {
    free_.pop_back();
    slot.busy = true;
    range.next = stop;
  }
  return {};
}

Status ChunkReader::CheckPatience(core::TimePoint now) const {
  if (context_.cancel != nullptr && context_.cancel->IsSet()) {
    return {Code::kCancelled, "asked to stop"};
  }
  for (const Slot& slot : slots_) {
    if (slot.busy && now - slot.submitted >= context_.io_timeout) {
      return {
          Code::kTimedOut,
          fmt::format("no answer from the storage within {}; is it "
                      "reachable? --io-timeout sets the limit",
                      core::FormatSeconds(core::Seconds(context_.io_timeout)))};
    }
  }
  return {};
}

Status ChunkReader::Take(const Range& range, std::size_t at_least,
                         ChunkSink& sink) {
  core::TimePoint deadline = core::kNever;
  if (at_least > 0) {
    const core::TimePoint now = context_.clock->Now();
    STOKER_TRY(CheckPatience(now));
    deadline = now + std::min<core::Nanos>(
                         std::chrono::milliseconds(core::kCancelPollMillis),
                         context_.io_timeout);
  }
  STOKER_ASSIGN(const std::size_t count,
                queue_->Reap(done_, at_least, deadline));
  if (count > 0 && queue_->in_flight() == 0) {
    idle_since_ = done_[count - 1].finished;
  }
  for (const storage::ReadDone& done : std::span(done_).first(count)) {
    any_held_ = any_held_ || done.buffer_held;
  }
  for (const storage::ReadDone& done : std::span(done_).first(count)) {
    STOKER_TRY(Hand(range, done, sink));
  }
  return {};
}

Status ChunkReader::Hand(const Range& range, const storage::ReadDone& done,
                         ChunkSink& sink) {
  Slot& slot = slots_[done.tag];
  slot.busy = false;
  free_.push_back(done.tag);
  const std::span<const std::byte> buffer = slot.buffer;
  if (done.buffer_held) {
    STOKER_ASSIGN(core::AlignedBuffer more,
                  core::AlignedBuffer::Make(shape_.request_bytes,
                                            /*resident=*/false));
    more_memory_.push_back(std::move(more));
    slot.buffer = more_memory_.back().bytes();
  }
  STOKER_TRY(done.status);
  if (done.bytes < slot.wanted) {
    return {Code::kCorruption,
            fmt::format("it ends at byte {}, {} are expected",
                        slot.offset + done.bytes, range.end)};
  }
  if (first_done_ == core::kNever) {
    first_done_ = done.finished;
  }
  last_done_ = done.finished;
  bytes_ += slot.wanted;
  // The first request may begin before what was asked for.
  const std::uint64_t skip =
      range.begin > slot.offset ? range.begin - slot.offset : 0;
  return sink.OnChunk(slot.offset + skip,
                      buffer.subspan(skip, slot.wanted - skip));
}

Status BlockSource::Read(std::uint64_t offset, std::span<std::byte> out) {
  if (offset > file_bytes_ || out.size() > file_bytes_ - offset) {
    return {Code::kCorruption,
            fmt::format("bytes {} to {} lie behind the end at {}", offset,
                        offset + out.size(), file_bytes_)};
  }
  struct Keep final : ChunkSink {
    Status OnChunk(std::uint64_t at, std::span<const std::byte> data) override {
      std::memcpy(block->data() + (at - start), data.data(), data.size());
      return {};
    }
    std::vector<std::byte>* block = nullptr;
    std::uint64_t start = 0;
  };
  while (!out.empty()) {
    if (offset < block_start_ || offset >= block_start_ + block_.size()) {
      block_start_ = offset / unit_ * unit_;
      block_.resize(static_cast<std::size_t>(
          std::min(unit_, file_bytes_ - block_start_)));
      Keep keep;
      keep.block = &block_;
      keep.start = block_start_;
      STOKER_TRY(
          reader_.Read(block_start_, block_start_ + block_.size(), keep));
    }
    const std::size_t skip = static_cast<std::size_t>(offset - block_start_);
    const std::size_t count = std::min(out.size(), block_.size() - skip);
    std::memcpy(out.data(), block_.data() + skip, count);
    out = out.subspan(count);
    offset += count;
  }
  return {};
}

}  // namespace stoker::checkpoint::internal
