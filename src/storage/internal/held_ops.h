#pragma once

// Answers held back until their time has come on the clock.

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/clock.h"
#include "storage/read_queue.h"

namespace stoker::storage::internal {

// A heap by due time, then by order of arrival. Allocates at construction
// only. Belongs to one thread.
class HeldOps {
 public:
  explicit HeldOps(std::size_t capacity) : capacity_(capacity) {
    heap_.reserve(capacity);
  }

  void Push(core::TimePoint due, ReadDone done) {
    STOKER_CHECK(heap_.size() < capacity_);
    heap_.push_back({due, next_number_++, std::move(done)});
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }

  // Moves those due at `now` to the front of `out`; returns the count.
  std::size_t Pop(core::TimePoint now, std::span<ReadDone> out) {
    std::size_t count = 0;
    while (count < out.size() && !heap_.empty() && heap_.front().due <= now) {
      std::pop_heap(heap_.begin(), heap_.end(), Later);
      out[count++] = std::move(heap_.back().done);
      heap_.pop_back();
    }
    return count;
  }

  // kNever if nothing is held.
  core::TimePoint next_due() const {
    return heap_.empty() ? core::kNever : heap_.front().due;
  }

 private:
  struct Held {
    core::TimePoint due;
    std::uint64_t number;
    ReadDone done;
  };
  static bool Later(const Held& a, const Held& b) {
    return std::pair(a.due, a.number) > std::pair(b.due, b.number);
  }

  std::size_t capacity_;
  std::vector<Held> heap_;
  std::uint64_t next_number_ = 0;
};

// Waiting on a clock that another thread can end.
class ClockWaker {
 public:
  // Waits until `until` or Wake(); may return early without reason.
  void WaitUntil(core::Clock& clock, core::TimePoint until) {
    std::unique_lock lock(mutex_);
    if (!woken_) {
      clock.WaitUntil(changed_, lock, until);
    }
  }
  void Wake(core::Clock& clock) {
    const std::scoped_lock lock(mutex_);
    woken_ = true;
    clock.NotifyAll(changed_);
  }
  // Whether Wake was called since this was asked last.
  bool TakeWoken() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(woken_, false);
  }

 private:
  std::mutex mutex_;  // guards woken_
  std::condition_variable changed_;
  bool woken_ = false;
};

}  // namespace stoker::storage::internal
