#include "cache/internal/slot_list.h"

#include "cache/internal/relaxed.h"

namespace stoker::cache::internal {

std::uint32_t SlotList::Checked(std::uint32_t slot) const {
  if (slot < slots_.size() || slot == kNoSlot) {
    return slot;
  }
  damaged_ = true;
  return kNoSlot;
}

std::uint32_t SlotList::size() const {
  const std::uint32_t size = ends_.size;
  if (size <= slots_.size()) {
    return size;
  }
  damaged_ = true;
  return static_cast<std::uint32_t>(slots_.size());
}

std::uint32_t SlotList::oldest() const { return Checked(ends_.oldest); }

std::uint32_t SlotList::NewerThan(std::uint32_t slot) const {
  return Checked(Load(slots_[slot].newer));
}

void SlotList::PushNewest(std::uint32_t slot) {
  const std::uint32_t before = ends_.newest;
  const bool empty = before == kNoSlot;
  if (empty ? ends_.oldest != kNoSlot : before >= slots_.size()) {
    damaged_ = true;
    return;
  }
  Store(slots_[slot].newer, kNoSlot);
  Store(slots_[slot].older, before);
  if (empty) {
    ends_.oldest = slot;
  } else {
    Store(slots_[before].newer, slot);
  }
  ends_.newest = slot;
  ++ends_.size;
}

bool SlotList::Remove(std::uint32_t slot) {
  const std::uint32_t newer = Load(slots_[slot].newer);
  const std::uint32_t older = Load(slots_[slot].older);
  const bool newer_agrees =
      newer == kNoSlot
          ? ends_.newest == slot
          : newer < slots_.size() && Load(slots_[newer].older) == slot;
  const bool older_agrees =
      older == kNoSlot
          ? ends_.oldest == slot
          : older < slots_.size() && Load(slots_[older].newer) == slot;
  if (!newer_agrees || !older_agrees || ends_.size == 0) {
    damaged_ = true;
    return false;
  }
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
  return true;
}

void SlotList::MakeNewest(std::uint32_t slot) {
  if (slot != ends_.newest && slot != kNoSlot && Remove(slot)) {
    PushNewest(slot);
  }
}

}  // namespace stoker::cache::internal
