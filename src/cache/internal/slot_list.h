#pragma once

// Slots in a row, from the newest to the oldest.

#include <cstdint>
#include <span>

#include "cache/slot_entry.h"

namespace stoker::cache::internal {

// A list linked through newer and older of the entries, so that a slot can be
// in one only. Its ends and its size are where the caller says; all of it
// outlives this. Not safe for concurrent use.
//
// Nothing that memory errors leave in it is followed: where a number is no
// slot's, or the links of two neighbours disagree, `damaged` is set, and what
// cannot be done is left undone.
class SlotList {
 public:
  struct Ends {
    std::uint32_t& newest;
    std::uint32_t& oldest;
    std::uint32_t& size;
  };
  SlotList(std::span<SlotEntry> slots, const Ends& ends, bool& damaged)
      : slots_(slots), ends_(ends), damaged_(damaged) {}

  std::uint32_t size() const;    // no more than there are slots
  std::uint32_t oldest() const;  // or kNoSlot
  // Of a slot in the list; kNoSlot for the newest.
  std::uint32_t NewerThan(std::uint32_t slot) const;

  // The slot is in no list.
  void PushNewest(std::uint32_t slot);
  // The slot is in this list; false if it was not.
  bool Remove(std::uint32_t slot);
  void MakeNewest(std::uint32_t slot);

 private:
  // The slot's number, or kNoSlot for what is none.
  std::uint32_t Checked(std::uint32_t slot) const;

  std::span<SlotEntry> slots_;
  Ends ends_;
  bool& damaged_;
};

}  // namespace stoker::cache::internal
