#pragma once

// Slots of a queue that wait for their turn, oldest first.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/check.h"

namespace stoker::storage::internal {

// Fixed capacity; allocates at construction only. Not safe for concurrent use.
class SlotRing {
 public:
  explicit SlotRing(std::size_t capacity) : slots_(capacity) {}

  bool empty() const { return size_ == 0; }
  // Those two require that it is not empty.
  std::uint32_t front() const { return slots_[first_]; }
  void Pop() {
    first_ = first_ + 1 == slots_.size() ? 0 : first_ + 1;
    --size_;
  }
  void Push(std::uint32_t slot) {
    STOKER_CHECK(size_ < slots_.size());
    std::size_t at = first_ + size_;
    if (at >= slots_.size()) {
      at -= slots_.size();
    }
    slots_[at] = slot;
    ++size_;
  }

 private:
  std::vector<std::uint32_t> slots_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace stoker::storage::internal
