#include "cache/internal/slot_list.h"

#include "cache/internal/relaxed.h"

namespace stoker::cache::internal {

std::uint32_t SlotList::NewerThan(std::uint32_t slot) const {
  return Load(slots_[slot].newer);
}

void SlotList::PushNewest(std::uint32_t slot) {
  Store(slots_[slot].newer, kNoSlot);
  Store(slots_[slot].older, ends_.newest);
  if (ends_.newest == kNoSlot) {
    ends_.oldest = slot;
  } else {
    Store(slots_[ends_.newest].newer, slot);
  }
  ends_.newest = slot;
  ++ends_.size;
}

void SlotList::Remove(std::uint32_t slot) {
  const std::uint32_t newer = Load(slots_[slot].newer);
  const std::uint32_t older = Load(slots_[slot].older);
  if (newer == kNoSlot) {
    ends_.newest = older;
  } else {
    Store(slots_[newer].older, older);
  }
  if (older == kNoSlot) {
    ends_.oldest = newer;
  } else {
    Store(slots_[older].newer, newer);
  }
  --ends_.size;
}

void SlotList::MakeNewest(std::uint32_t slot) {
  if (slot != ends_.newest) {
    Remove(slot);
    PushNewest(slot);
  }
}

}  // namespace stoker::cache::internal
