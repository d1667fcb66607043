#include "storage/internal/model_queue.h"

#include <algorithm>
#include <utility>

namespace stoker::storage::internal {

ModelQueue::ModelQueue(ModelStore& store, ObjectTable<ModelObject>& objects,
                       std::unique_ptr<ReadQueue> inner, core::Clock& clock)
    : ReadQueue(inner->limits(), clock),
      objects_(objects),
      inner_(std::move(inner)),
      service_(store, limits().capacity),
      answers_(limits().capacity),
      slots_(limits().capacity) {
  forward_.reserve(limits().capacity);
}

core::Status ModelQueue::ReadInner() {
  std::size_t submitted = 0;
  while (submitted < forward_.size() || inner_->in_flight() > 0) {
    STOKER_ASSIGN(const std::size_t taken,
                  inner_->Submit(std::span(forward_).subspan(submitted)));
    submitted += taken;
    STOKER_ASSIGN(const std::size_t count,
                  inner_->Reap(answers_, 1, core::kNever));
    for (ReadDone& answer : std::span(answers_).first(count)) {
      slots_[answer.tag].answer = std::move(answer);
    }
  }
  return {};
}

core::Result<std::size_t> ModelQueue::DoSubmit(std::span<const ReadOp> ops) {
  // The inner back end's own time is part of the store's.
  const core::TimePoint now = clock().Now();
  forward_.clear();
  for (const ReadOp& op : ops) {
    forward_.push_back(op);
    forward_.back().object = objects_.Get(op.object).inner;
  }
  STOKER_TRY(ReadInner());
  for (const ReadOp& op : ops) {
    Slot& slot = slots_[op.tag];
    slot.object = op.object;
    slot.kind = op.kind;
    const bool is_read = op.kind == ReadOp::Kind::kRead;
    const bool has_bytes = is_read && slot.answer.status.ok();
    service_.Start(op.tag,
                   {.place = {.kind = is_read ? OpPlace::Kind::kRead
                                              : OpPlace::Kind::kSize,
                              .object = objects_.Get(op.object).hash,
                              .offset = op.offset},
                    .bytes = has_bytes ? slot.answer.bytes : 0},
                   now);
  }
  return ops.size();
}

std::size_t ModelQueue::TakeEnded(core::TimePoint now,
                                  std::span<ReadDone> done) {
  std::size_t count = 0;
  ModelService::Ended ended;
  while (count < done.size() && service_.TakeEnded(now, ended)) {
    Slot& slot = slots_[ended.tag];
    ReadDone& out = done[count++];
    out = std::move(slot.answer);
    out.first_byte = ended.first_byte;
    if (ended.outcome != ModelSchedule::Outcome::kServed) {
      out.status =
          OutcomeOf(ended,
                    slot.kind == ReadOp::Kind::kRead ? OpPlace::Kind::kRead
                                                     : OpPlace::Kind::kSize,
                    objects_.Get(slot.object).name);
      out.bytes = 0;
    }
  }
  return count;
}

core::Result<std::size_t> ModelQueue::DoReap(std::span<ReadDone> done,
                                             std::size_t at_least,
                                             core::TimePoint deadline) {
  std::size_t count = 0;
  while (true) {
    const core::TimePoint now = clock().Now();
    service_.Advance(now);
    count += TakeEnded(now, done.subspan(count));
    if (waker_.TakeWoken() || count >= at_least || deadline <= now) {
      return count;
    }
    waker_.WaitUntil(clock(), std::min(service_.next_due(), deadline));
  }
}

}  // namespace stoker::storage::internal
