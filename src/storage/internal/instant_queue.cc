#include "storage/internal/instant_queue.h"

#include <utility>

namespace stoker::storage::internal {

InstantQueue::InstantQueue(const ReadLimits& limits, core::Clock& clock)
    : ReadQueue(limits, clock), done_(limits.capacity) {}

core::Result<std::size_t> InstantQueue::DoSubmit(std::span<const ReadOp> ops) {
  for (const ReadOp& op : ops) {
    ReadDone done{.tag = op.tag};
    Answer(op, done);
    done_.Push(std::move(done));
  }
  return ops.size();
}

core::Result<std::size_t> InstantQueue::DoReap(std::span<ReadDone> done,
                                               std::size_t /*at_least*/,
                                               core::TimePoint /*deadline*/) {
  return done_.Pop(done);
}

}  // namespace stoker::storage::internal
