#pragma once

// A queue whose ops are answered while they are submitted: memory, null.

#include "storage/internal/done_ring.h"
#include "storage/read_queue.h"

namespace stoker::storage::internal {

class InstantQueue : public ReadQueue {
 public:
  void Wake() final {}  // a Reap never waits

 protected:
  InstantQueue(const ReadLimits& limits, core::Clock& clock);

 private:
  // Sets status, bytes and tier of `done`.
  virtual void Answer(const ReadOp& op, ReadDone& done) = 0;
  core::Result<std::size_t> DoSubmit(std::span<const ReadOp> ops) final;
  core::Result<std::size_t> DoReap(std::span<ReadDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) final;

  DoneRing done_;
};

}  // namespace stoker::storage::internal
