#pragma once

// Slots without order, of which any can be found by a number.

#include <cstdint>
#include <optional>
#include <span>

#include "cache/internal/relaxed.h"
#include "cache/slot_entry.h"

namespace stoker::cache::internal {

// An array that lies in the entries: entry p holds in `newer` the slot at
// position p, entry s in `older` the position of slot s. So inserting, removing
// and picking one at random are all O(1), however many of the class's slots are
// out of it. Its size is where the caller says; all of it outlives this. Not
// safe for concurrent use. What memory errors leave in it is treated as by
// SlotList.
class SlotArray {
 public:
  SlotArray(std::span<SlotEntry> slots, std::uint32_t& size, bool& damaged)
      : slots_(slots), size_(size), damaged_(damaged) {}

  std::uint32_t size() const {  // no more than there are slots
    const std::uint32_t size = size_;
    if (size <= slots_.size()) {
      return size;
    }
    damaged_ = true;
    return static_cast<std::uint32_t>(slots_.size());
  }
  // Of a position below size(); a slot's number in any case.
  std::uint32_t At(std::uint32_t position) const {
    const std::uint32_t slot = Load(slots_[position].newer);
    if (slot < slots_.size()) {
      return slot;
    }
    damaged_ = true;
    return 0;
  }
  // Of a slot in the array; nothing if it was not.
  std::optional<std::uint32_t> PositionOf(std::uint32_t slot) const {
    const std::uint32_t position = Load(slots_[slot].older);
    if (position < size() && Load(slots_[position].newer) == slot) {
      return position;
    }
    damaged_ = true;
    return std::nullopt;
  }

  // The slot is not in the array.
  void Append(std::uint32_t slot) {
    if (const std::uint32_t end = size(); end < slots_.size()) {
      Put(end, slot);
      size_ = end + 1;
    } else {
      damaged_ = true;
    }
  }
  // The slot is in the array; the last one takes its position.
  void Remove(std::uint32_t slot) {
    if (const auto position = PositionOf(slot); position.has_value()) {
      const std::uint32_t last = size() - 1;
      Put(*position, At(last));
      size_ = last;
    }
  }
  // For sorting: whoever was there has to be put elsewhere.
  void Put(std::uint32_t position, std::uint32_t slot) {
    Store(slots_[position].newer, slot);
    Store(slots_[slot].older, position);
  }

 private:
  std::span<SlotEntry> slots_;
  std::uint32_t& size_;
  bool& damaged_;
};

}  // namespace stoker::cache::internal
