#pragma once

// Slots in a row, from the newest to the oldest.

#include <cstdint>
#include <span>

#include "cache/slot_entry.h"

namespace stoker::cache::internal {

// A list linked through newer and older of the entries, so that a slot can be
// in one only. Its ends and its size are where the caller says; all of it
// outlives this. Not safe for concurrent use.
class SlotList {
 public:
  struct Ends {
    std::uint32_t& newest;
    std::uint32_t& oldest;
    std::uint32_t& size;
  };
  SlotList(std::span<SlotEntry> slots, const Ends& ends)
      : slots_(slots), ends_(ends) {}

  std::uint32_t size() const { return ends_.size; }
  std::uint32_t newest() const { return ends_.newest; }  // or kNoSlot
  std::uint32_t oldest() const { return ends_.oldest; }  // or kNoSlot
  // Of a slot in the list; kNoSlot for the newest.
  std::uint32_t NewerThan(std::uint32_t slot) const;

  // The slot is in no list.
  void PushNewest(std::uint32_t slot);
  // The slot is in this list.
  void Remove(std::uint32_t slot);
  void MakeNewest(std::uint32_t slot);

 private:
  std::span<SlotEntry> slots_;
  Ends ends_;
};

}  // namespace stoker::cache::internal
