#include "storage/internal/fault_queue.h"

#include <algorithm>
#include <utility>

#include "core/check.h"

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

const FaultRule* FaultQueue::Judge(const ReadOp& op,
                                   const FaultObject& object) {
  if (op.kind == ReadOp::Kind::kSize) {
    return script_.Judge(
        {.operation = FaultRule::Operation::kSize, .object = object.name});
  }
  return script_.Judge({.operation = FaultRule::Operation::kRead,
                        .object = object.name,
                        .offset = op.offset,
                        .bytes = op.buffer.size()});
}

core::Result<std::size_t> FaultQueue::DoSubmit(std::span<const ReadOp> ops) {
  forward_.clear();
  for (const ReadOp& op : ops) {
    const FaultObject& object = objects_.Get(op.object);
    const FaultRule* const rule = Judge(op, object);
    if (rule != nullptr) {
      if (const auto* error = std::get_if<FaultRule::Error>(&rule->action)) {
        done_.Push(
            {.tag = op.tag, .status = error->status.WithContext(object.name)});
        continue;
      }
    }
    slots_[op.tag] = {.rule = rule, .submitted = clock().Now(), .op = op};
    forward_.push_back(op);
    forward_.back().object = object.inner;
  }
  if (!forward_.empty()) {
    STOKER_ASSIGN(const std::size_t taken, inner_->Submit(forward_));
    STOKER_CHECK(taken == forward_.size());
  }
  return ops.size();
}

// An op has come back from the inner queue: acts on it, then answers or holds.
void FaultQueue::Returned(ReadDone done) {
  const Slot& slot = slots_[done.tag];
  if (slot.rule == nullptr) {
    done_.Push(std::move(done));
    return;
  }
  const auto& action = slot.rule->action;
  if (const auto* cut = std::get_if<FaultRule::Short>(&action)) {
    done.bytes = std::min(done.bytes, cut->bytes);
  } else if (const auto* flip = std::get_if<FaultRule::Flip>(&action)) {
    const std::uint64_t at = flip->offset - slot.op.offset;
    if (at < done.bytes) {
      slot.op.buffer[at] ^= std::byte{1};
    }
  } else if (const auto* delay = std::get_if<FaultRule::Delay>(&action)) {
    held_.Push(slot.submitted + delay->time, std::move(done));
    return;
  }
  done_.Push(std::move(done));
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
