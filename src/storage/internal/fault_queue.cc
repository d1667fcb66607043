#include "storage/internal/fault_queue.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "storage/internal/op_draws.h"

namespace stoker::storage::internal {

FaultQueue::FaultQueue(FaultScriptState& script,
                       ObjectTable<FaultObject>& objects,
                       std::unique_ptr<ReadQueue> inner, core::Clock& clock)
    : ReadQueue(inner->limits(), clock),
      script_(script),
      objects_(objects),
      inner_(std::move(inner)),
      slots_(limits().capacity),
      from_inner_(limits().capacity),
      done_(limits().capacity),
      held_(limits().capacity) {
  forward_.reserve(limits().capacity);
}

void FaultQueue::Wake() {
  waker_.Wake(clock());
  inner_->Wake();
}

const FaultRule* FaultQueue::Judge(const ReadOp& op, const FaultObject& object,
                                   core::TimePoint now) {
  if (op.kind == ReadOp::Kind::kSize) {
    return script_.Judge({.operation = FaultRule::Operation::kSize,
                          .object = object.name,
                          .at = script_.Age(now)});
  }
  return script_.Judge({.operation = FaultRule::Operation::kRead,
                        .object = object.name,
                        .offset = op.offset,
                        .bytes = op.buffer.size(),
                        .at = script_.Age(now)});
}

core::Result<std::size_t> FaultQueue::DoSubmit(std::span<const ReadOp> ops) {
  const core::TimePoint now = clock().Now();
  forward_.clear();
  for (const ReadOp& op : ops) {
    const FaultObject& object = objects_.Get(op.object);
    const FaultRule* const rule = Judge(op, object, now);
    if (rule != nullptr) {
      if (const auto* error = std::get_if<FaultRule::Error>(&rule->action)) {
        done_.Push(
            {.tag = op.tag, .status = error->status.WithContext(object.name)});
        continue;
      }
    }
    slots_[op.tag] = {.rule = rule, .submitted = now, .op = op};
    forward_.push_back(op);
    forward_.back().object = object.inner;
  }
  if (!forward_.empty()) {
    STOKER_ASSIGN(const std::size_t taken, inner_->Submit(forward_));
    STOKER_CHECK(taken == forward_.size());
  }
  return ops.size();
}

namespace {

void FlipBit(const FaultRule& rule, std::uint64_t object, const ReadOp& op,
             std::uint64_t bytes) {
  const std::uint64_t offset = std::get<FaultRule::Flip>(rule.action).offset;
  if (offset != FaultRule::Flip::kAnywhere) {
    if (offset - op.offset < bytes) {
      op.buffer[offset - op.offset] ^= std::byte{1};
    }
    return;
  }
  if (bytes > 0) {
    // Another attempt than the one that drew whether the rule hits.
    core::CounterRandom draws = DrawsFor(
        rule.seed, {.object = object, .offset = op.offset, .attempt = 1});
    const std::uint64_t at = draws.Below(bytes);
    op.buffer[at] ^= std::byte{1} << static_cast<int>(draws.Below(8));
  }
}

}  // namespace

// An op has come back from the inner queue: acts on it, then answers or holds.
void FaultQueue::Returned(ReadDone done) {
  const core::TimePoint now = clock().Now();
  const Slot& slot = slots_[done.tag];
  const bool is_read = slot.op.kind == ReadOp::Kind::kRead;
  core::TimePoint due = now;
  if (slot.rule != nullptr) {
    const auto& action = slot.rule->action;
    if (const auto* cut = std::get_if<FaultRule::Short>(&action)) {
      done.bytes = std::min(done.bytes, cut->bytes);
    } else if (std::holds_alternative<FaultRule::Flip>(action)) {
      FlipBit(*slot.rule, objects_.Get(slot.op.object).hash, slot.op,
              done.bytes);
    } else if (const auto* delay = std::get_if<FaultRule::Delay>(&action)) {
      due = slot.submitted + delay->time;
    }
  }
  due = std::max(due,
                 script_.Shaped(Direction::kRead, slot.submitted, now,
                                is_read && done.status.ok() ? done.bytes : 0));
  if (due > now) {
    held_.Push(due, std::move(done));
  } else {
    done_.Push(std::move(done));
  }
}

core::Status FaultQueue::ReapInner(std::size_t at_least,
                                   core::TimePoint deadline) {
  STOKER_ASSIGN(const std::size_t count,
                inner_->Reap(from_inner_, at_least, deadline));
  for (ReadDone& done : std::span(from_inner_).first(count)) {
    Returned(std::move(done));
  }
  return {};
}

core::Result<std::size_t> FaultQueue::DoReap(std::span<ReadDone> done,
                                             std::size_t at_least,
                                             core::TimePoint deadline) {
  std::size_t count = 0;
  while (true) {
    const core::TimePoint now = clock().Now();
    STOKER_TRY(ReapInner(0, now));
    count += done_.Pop(done.subspan(count));
    count += held_.Pop(now, done.subspan(count));
    if (waker_.TakeWoken() || count >= at_least || deadline <= now) {
      return count;
    }
    const core::TimePoint until = std::min(held_.next_due(), deadline);
    if (inner_->in_flight() > 0) {
      STOKER_TRY(ReapInner(1, until));
    } else if (done_.size() == 0) {
      waker_.WaitUntil(clock(), until);
    }
  }
}

}  // namespace stoker::storage::internal
