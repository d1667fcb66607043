#pragma once

// Slots without order, of which any can be found by a number.

#include <cstdint>
#include <span>

#include "cache/internal/relaxed.h"
#include "cache/slot_entry.h"

namespace stoker::cache::internal {

// An array that lies in the entries: entry p holds in `newer` the slot at
// position p, entry s in `older` the position of slot s. So inserting, removing
// and picking one at random are all O(1), however many of the class's slots are
// out of it. Its size is where the caller says; all of it outlives this. Not
// safe for concurrent use.
class SlotArray {
 public:
  SlotArray(std::span<SlotEntry> slots, std::uint32_t& size)
      : slots_(slots), size_(size) {}

  std::uint32_t size() const { return size_; }
  // Of a position below size().
  std::uint32_t At(std::uint32_t position) const {
    return Load(slots_[position].newer);
  }
  // Of a slot in the array.
  std::uint32_t PositionOf(std::uint32_t slot) const {
    return Load(slots_[slot].older);
  }

  // The slot is not in the array.
  void Append(std::uint32_t slot) { Put(size_++, slot); }
  // The slot is in the array; the last one takes its position.
  void Remove(std::uint32_t slot) {
    const std::uint32_t position = PositionOf(slot);
    Put(position, At(--size_));
  }
  // For sorting: whoever was there has to be put elsewhere.
  void Put(std::uint32_t position, std::uint32_t slot) {
    Store(slots_[position].newer, slot);
    Store(slots_[slot].older, position);
  }

 private:
  std::span<SlotEntry> slots_;
  std::uint32_t& size_;
};

}  // namespace stoker::cache::internal
