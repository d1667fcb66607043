#include "generators/internal/read_ahead.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/abandon.h"
#include "core/check.h"
#include "core/units.h"

namespace stoker::generators::internal {

namespace {

using core::Code;
using core::Status;

// Reads in flight, and the two pieces the caller may hold.
constexpr std::size_t kDepth = 8;
constexpr std::size_t kSlots = kDepth + 2;
// Room for the byte behind the end, rounded to what direct reads align to.
constexpr std::size_t kRoom = ReadAhead::kPiece + 4096;

std::size_t RoundUp(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

ReadAhead::ReadAhead(storage::Backend& backend, NextObject next,
                     core::Clock& clock, const core::CancelFlag& cancel,
                     core::Nanos patience)
    : backend_(backend),
      next_(std::move(next)),
      clock_(clock),
      cancel_(cancel),
      patience_(patience),
      done_(kDepth) {}

core::Result<std::unique_ptr<ReadAhead>> ReadAhead::Make(
    storage::Backend& backend, NextObject next, core::Clock& clock,
    const core::CancelFlag& cancel, core::Nanos patience) {
  std::unique_ptr<ReadAhead> ahead(
      new ReadAhead(backend, std::move(next), clock, cancel, patience));
  STOKER_ASSIGN(ahead->memory_, core::AlignedBuffer::Make(kSlots * kRoom,
                                                          /*resident=*/false));
  STOKER_ASSIGN(ahead->queue_, backend.NewReadQueue({.depth = kDepth}, clock));
  if (!ahead->queue_->limits().real_data) {
    return Status(
        Code::kInvalidArgument,
        fmt::format("{} holds no data that could be read", backend.uri()));
  }
  ahead->slots_.resize(kSlots);
  for (std::size_t i = 0; i < kSlots; ++i) {
    ahead->slots_[i].buffer = ahead->memory_.bytes().subspan(i * kRoom, kRoom);
    ahead->free_.push_back(i);
  }
  return ahead;
}

ReadAhead::~ReadAhead() {
  if (broken_ && queue_ != nullptr && queue_->in_flight() > 0) {
    // Storage that hangs may still write into the buffers; neither may go, nor
    // can the queue's end be waited for.
    struct Abandoned {
      std::unique_ptr<storage::ReadQueue> queue;
      core::AlignedBuffer memory;
    };
    core::Abandon(std::make_shared<Abandoned>(
        Abandoned{std::move(queue_), std::move(memory_)}));
    return;
  }
  queue_.reset();  // waits for what is in flight
  for (const Object& object : objects_) {
    backend_.Release(object.id);
  }
}

const Expected* ReadAhead::Begin() {
  STOKER_CHECK(!began_);
  if (!broken_ && !TopUp().ok()) {
    broken_ = true;
  }
  if (objects_.empty() || broken_) {
    return nullptr;
  }
  began_ = true;
  taken_ = 0;
  return &objects_.front().expected;
}

// Asks for the next piece of the last object, or the first one of a new object;
// false if nothing is left to ask for.
bool ReadAhead::Ask() {
  if (objects_.empty() || objects_.back().asked == objects_.back().pieces) {
    Object object;
    if (no_more_ || !next_(object.expected)) {
      no_more_ = true;
      return false;
    }
    object.pieces = std::max<std::uint64_t>(
        (object.expected.bytes + kPiece - 1) / kPiece, 1);
    object.id = backend_.Resolve(object.expected.name);
    objects_.push_back(std::move(object));
  }
  Object& object = objects_.back();
  const std::uint64_t offset = object.asked * kPiece;
  const bool last = object.asked + 1 == object.pieces;
  const std::size_t index = free_.back();
  Slot& slot = slots_[index];
  slot.whole = false;
  slot.done = {};
  slot.wanted =
      last ? static_cast<std::size_t>(object.expected.bytes - offset) + 1
           : kPiece;
  const storage::ReadOp op = {.object = object.id,
                              .offset = offset,
                              .buffer = slot.buffer.first(RoundUp(
                                  slot.wanted, queue_->limits().offset_align)),
                              .tag = index};
  const core::Result<std::size_t> taken = queue_->Submit({&op, 1});
  if (!taken.ok() || taken.value() == 0) {
    broken_ = broken_ || !taken.ok();
    return false;
  }
  free_.pop_back();
  ++object.asked;
  ordered_.push_back(index);
  return true;
}

Status ReadAhead::TopUp() {
  while (!broken_ && queue_->in_flight() < kDepth && !free_.empty() && Ask()) {
  }
  return broken_ ? Status(Code::kIoError, "the read queue is unusable")
                 : Status();
}

Status ReadAhead::WaitFor(std::size_t slot) {
  const core::TimePoint give_up = clock_.Now() + patience_;
  while (!slots_[slot].whole) {
    if (cancel_.IsSet()) {
      return {Code::kCancelled, "asked to stop"};
    }
    const core::TimePoint now = clock_.Now();
    if (now >= give_up) {
      return {Code::kTimedOut,
              fmt::format("no answer from the storage within {}; is it "
                          "reachable? --io-timeout sets the limit",
                          core::FormatSeconds(core::Seconds(patience_)))};
    }
    const core::TimePoint slice =
        now + std::chrono::milliseconds(core::kCancelPollMillis);
    STOKER_ASSIGN(const std::size_t count,
                  queue_->Reap(done_, 1, std::min(slice, give_up)));
    for (const storage::ReadDone& done : std::span(done_).first(count)) {
      Slot& finished = slots_[done.tag];
      finished.done = done;
      finished.whole = true;
    }
  }
  return {};
}

void ReadAhead::Drop(std::size_t slot) {
  if (slot != SIZE_MAX) {
    free_.push_back(slot);
  }
}

core::Result<std::span<const std::byte>> ReadAhead::Piece() {
  STOKER_CHECK(began_);
  const Object& object = objects_.front();
  STOKER_CHECK(taken_ < object.pieces);
  if (last_slot_ != first_slot_) {
    Drop(last_slot_);
  }
  last_slot_ = SIZE_MAX;
  Status status = TopUp();
  if (status.ok()) {
    STOKER_CHECK(!ordered_.empty());
    status = WaitFor(ordered_.front());
  }
  if (!status.ok()) {
    broken_ = true;
    return status;
  }
  const std::size_t index = ordered_.front();
  ordered_.pop_front();
  last_slot_ = index;
  first_slot_ = taken_ == 0 ? index : first_slot_;
  const bool last = ++taken_ == object.pieces;
  const Slot& slot = slots_[index];
  STOKER_TRY(slot.done.status);
  const auto got = static_cast<std::size_t>(
      std::min<std::uint64_t>(slot.done.bytes, slot.wanted));
  bytes_ += got;
  if (got + (last ? 1 : 0) < slot.wanted) {
    return Status(
        Code::kCorruption,
        fmt::format("it ends at byte {}, {} are expected",
                    (taken_ - 1) * kPiece + got, object.expected.bytes));
  }
  return slot.buffer.first(got);
}

Status ReadAhead::End() {
  STOKER_CHECK(began_);
  Object& object = objects_.front();
  if (last_slot_ != first_slot_) {
    Drop(last_slot_);
  }
  Drop(first_slot_);
  first_slot_ = last_slot_ = SIZE_MAX;
  for (; taken_ < object.asked && !broken_; ++taken_) {
    const std::size_t index = ordered_.front();
    const Status waited = WaitFor(index);
    if (!waited.ok()) {
      broken_ = true;
      return waited;
    }
    ordered_.pop_front();
    Drop(index);
  }
  began_ = false;
  if (broken_) {
    return {};
  }
  backend_.Release(object.id);
  objects_.pop_front();
  return {};
}

}  // namespace stoker::generators::internal
