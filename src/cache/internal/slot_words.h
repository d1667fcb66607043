#pragma once

// What entries say, and the one way they change.

#include <cstdint>

#include "cache/slot_entry.h"

namespace stoker::cache::internal {

// "No process": of slots whose owner is gone.
inline constexpr std::uint16_t kNobody = UINT16_MAX;
// Of dirty slots whose owner died before it said that they are to stay.
inline constexpr std::uint16_t kOrphan = UINT16_MAX - 1;

// Of slots at rest to which a write that hangs may still come: nobody uses them
// before the index is made anew.
inline constexpr std::uint16_t kForsaken = UINT16_MAX - 2;

inline Fingerprint KeyOf(const SlotEntry& entry) {
  return {.high = entry.key_high.load(std::memory_order_relaxed),
          .low = entry.key_low.load(std::memory_order_relaxed)};
}

inline SlotWord WordOf(const SlotEntry& entry) {
  return SlotWord::Unpack(entry.word.load());
}

inline bool Swap(SlotEntry& entry, const SlotWord& from, const SlotWord& to) {
  std::uint64_t expected = from.Pack();
  return entry.word.compare_exchange_strong(expected, to.Pack());
}

inline bool IsLinkedState(SlotState state) {
  return state == SlotState::kFilling || state == SlotState::kValid ||
         state == SlotState::kDirty;
}

}  // namespace stoker::cache::internal
