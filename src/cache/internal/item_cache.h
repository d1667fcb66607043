#pragma once

// A cache of blocks without bytes, each one slot large: what a policy does, and
// nothing else.

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cache/eviction.h"
#include "core/random.h"

namespace stoker::cache {

// What shared memory would hold for one class of slots.
struct PolicyMemory {
  explicit PolicyMemory(std::uint32_t slots) : entries(slots), ghosts(slots) {}
  EvictionMemory view() { return {state, entries, ghosts}; }
  std::unique_ptr<Eviction> Make(Policy policy, std::uint64_t seed = 1) {
    return Eviction::Make(policy, view(), seed);
  }
  // Sets the key of a slot and reports it resident.
  void Insert(Eviction& eviction, std::uint32_t slot, std::uint64_t block,
              std::uint32_t next_use = kNeverAgain) {
    entries[slot].key_high = core::Mix64(block);
    entries[slot].key_low = block;
    eviction.OnInsert(slot, next_use);
  }

  EvictionState state;
  std::vector<SlotEntry> entries;
  std::vector<std::uint32_t> ghosts;
};

// Of blocks 0 ... items - 1, in `slots` > 0 slots, empty at first. Belongs to
// one thread.
class ItemCache {
 public:
  ItemCache(Policy policy, std::uint32_t items, std::uint32_t slots,
            std::uint64_t seed)
      : memory_(slots),
        eviction_(memory_.Make(policy, seed)),
        slot_of_(items, kNoSlot),
        item_of_(slots) {
    eviction_->Reset();
  }
  ItemCache(const ItemCache&) = delete;
  ItemCache& operator=(const ItemCache&) = delete;

  // Reads an item, wanted again at `next_use`; whether it was there.
  bool Read(std::uint32_t item, std::uint32_t next_use = kNeverAgain) {
    if (const std::uint32_t slot = slot_of_[item]; slot != kNoSlot) {
      eviction_->OnHit(slot, next_use);
      return true;
    }
    const std::optional<std::uint32_t> slot = FreeSlot(next_use);
    if (slot.has_value()) {
      slot_of_[item] = *slot;
      item_of_[*slot] = item;
      memory_.Insert(*eviction_, *slot, item, next_use);
    }
    return false;
  }

 private:
  std::optional<std::uint32_t> FreeSlot(std::uint32_t next_use) {
    if (used_ < item_of_.size()) {
      return used_++;
    }
    const std::optional<std::uint32_t> victim =
        eviction_->Victim(all_may_go_, next_use);
    if (victim.has_value()) {
      slot_of_[item_of_[*victim]] = kNoSlot;
    }
    return victim;
  }

  PolicyMemory memory_;
  std::unique_ptr<Eviction> eviction_;
  std::vector<std::uint32_t> slot_of_;
  std::vector<std::uint32_t> item_of_;
  std::uint32_t used_ = 0;
  const Eviction::MayGo all_may_go_ = [](std::uint32_t) { return true; };
};

}  // namespace stoker::cache
