#include "storage/read_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "core/check.h"

namespace stoker::storage {

namespace {

// Stands for the time an op was submitted.
constexpr core::TimePoint kAtSubmit = core::TimePoint::min();

core::Status Unaligned(const ReadOp& op, const ReadLimits& limits) {
  if (op.offset % limits.offset_align != 0) {
    return {core::Code::kInvalidArgument,
            fmt::format("submit a read: offset {} is not a multiple of {}",
                        op.offset, limits.offset_align)};
  }
  if (op.buffer.size() % limits.offset_align != 0) {
    return {core::Code::kInvalidArgument,
            fmt::format("submit a read at offset {}: the length {} is not a "
                        "multiple of {}",
                        op.offset, op.buffer.size(), limits.offset_align)};
  }
  return {core::Code::kInvalidArgument,
          fmt::format("submit a read at offset {}: the buffer is not aligned "
                      "to {} bytes",
                      op.offset, limits.buffer_align)};
}

}  // namespace

ReadQueue::ReadQueue(ReadLimits limits, core::Clock& clock, Finishes finishes)
    : limits_(limits),
      clock_(clock),
      finishes_at_once_(finishes == Finishes::kAtOnce),
      slots_(limits.capacity) {
  STOKER_CHECK(limits.capacity > 0 && limits.capacity <= UINT32_MAX);
  STOKER_CHECK(std::has_single_bit(limits.offset_align));
  STOKER_CHECK(std::has_single_bit(limits.buffer_align));
  free_slots_.reserve(limits.capacity);
  for (std::size_t slot = limits.capacity; slot-- > 0;) {
    free_slots_.push_back(static_cast<std::uint32_t>(slot));
  }
  batch_.resize(limits.capacity);
}

core::Status ReadQueue::CheckAligned(std::span<const ReadOp> ops) const {
  // Powers of two: all set bits of what must be multiples, in one look.
  const std::uint64_t offset_mask = limits_.offset_align - 1;
  const std::uint64_t buffer_mask = limits_.buffer_align - 1;
  for (const ReadOp& op : ops) {
    const auto address = std::bit_cast<std::uintptr_t>(op.buffer.data());
    if (op.kind == ReadOp::Kind::kRead &&
        (((op.offset | op.buffer.size()) & offset_mask) |
         (address & buffer_mask)) != 0) {
      return Unaligned(op, limits_);
    }
  }
  return {};
}

core::Result<std::size_t> ReadQueue::Submit(std::span<const ReadOp> ops) {
  if ((limits_.offset_align | limits_.buffer_align) > 1) {
    STOKER_TRY(CheckAligned(ops));
  }
  const std::size_t count = std::min(ops.size(), free_slots_.size());
  if (count == 0) {
    return count;
  }
  const core::TimePoint now = clock_.Now();
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    slots_[slot].op = ops[i];
    slots_[slot].submitted = now;
    slots_[slot].busy = true;
    batch_[i] = ops[i];
    batch_[i].tag = slot;
  }
  const core::Result<std::size_t> taken =
      DoSubmit(std::span(batch_).first(count));
  const std::size_t kept = taken.ok() ? taken.value() : 0;
  STOKER_CHECK(kept <= count);
  for (std::size_t i = count; i-- > kept;) {
    const auto slot = static_cast<std::uint32_t>(batch_[i].tag);
    slots_[slot].busy = false;
    free_slots_.push_back(slot);
  }
  in_flight_ += kept;
  return taken;
}

core::Result<std::size_t> ReadQueue::Reap(std::span<ReadDone> done,
                                          std::size_t at_least,
                                          core::TimePoint deadline) {
  if (done.empty() || in_flight_ == 0) {
    return std::size_t{0};
  }
  at_least = std::min({at_least, in_flight_, done.size()});
  STOKER_ASSIGN(const std::size_t count, DoReap(done, at_least, deadline));
  STOKER_CHECK(count <= done.size() && count <= in_flight_);
  if (count == 0) {
    return count;
  }
  const core::TimePoint now = finishes_at_once_ ? kAtSubmit : clock_.Now();
  for (ReadDone& one : done.first(count)) {
    Finish(one, now);
  }
  return count;
}

void ReadQueue::AddLatency(const ReadOp& op, const ReadDone& done) {
  const core::Nanos latency = done.finished - done.submitted;
  if (op.kind == ReadOp::Kind::kSize) {
    latencies_.Add(LatencyKind::kSize, 0, latency);
    return;
  }
  latencies_.Add(LatencyKind::kRead, op.buffer.size(), latency);
  if (done.first_byte != core::TimePoint{}) {
    latencies_.Add(LatencyKind::kFirstByte, op.buffer.size(),
                   done.first_byte - done.submitted);
  }
}

void ReadQueue::Finish(ReadDone& done, core::TimePoint now) {
  STOKER_CHECK(done.tag < slots_.size() && slots_[done.tag].busy);
  const auto number = static_cast<std::uint32_t>(done.tag);
  Slot& slot = slots_[number];
  slot.busy = false;
  free_slots_.push_back(number);
  --in_flight_;

  done.tag = slot.op.tag;
  done.kind = slot.op.kind;
  done.submitted = slot.submitted;
  done.finished = now == kAtSubmit ? slot.submitted : now;
  const bool is_read = slot.op.kind == ReadOp::Kind::kRead;
  if (is_read) {
    const core::Nanos latency = done.finished - slot.submitted;
    ++counters_.reads;
    counters_.bytes += done.bytes;
    counters_.latency_sum += latency;
    counters_.latency_max = std::max(counters_.latency_max, latency);
    counters_.bytes_from_cache += done.from_cache;
    counters_.bytes_from_memory += done.from_memory;
  } else {
    ++counters_.size_queries;
  }
  if (!done.status.ok()) {
    ++counters_.errors;
  } else if (!finishes_at_once_) {
    AddLatency(slot.op, done);
  }
  if (observer_ != nullptr) {
    observer_->OnRead(slot.op.object, is_read ? slot.op.offset : 0,
                      is_read ? slot.op.buffer.size() : 0, done);
  }
}

}  // namespace stoker::storage
