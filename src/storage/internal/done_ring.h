#pragma once

// Finished ops that wait to be reaped, oldest first.

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "core/check.h"
#include "storage/read_queue.h"

namespace stoker::storage::internal {

// Fixed capacity; allocates at construction only. Not safe for concurrent use.
class DoneRing {
 public:
  explicit DoneRing(std::size_t capacity) : done_(capacity) {}

  std::size_t size() const { return size_; }

  void Push(ReadDone done) {
    STOKER_CHECK(size_ < done_.size());
    std::size_t at = first_ + size_;
    if (at >= done_.size()) {
      at -= done_.size();
    }
    done_[at] = std::move(done);
    ++size_;
  }

  // Moves as many as fit to the front of `out`; returns the count.
  std::size_t Pop(std::span<ReadDone> out) {
    const std::size_t count = std::min(out.size(), size_);
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = std::move(done_[first_]);
      first_ = first_ + 1 == done_.size() ? 0 : first_ + 1;
    }
    size_ -= count;
    return count;
  }

 private:
  std::vector<ReadDone> done_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace stoker::storage::internal
