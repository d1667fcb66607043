#pragma once

// Memory for a policy, and a cache of blocks without bytes over it.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
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

// Of `items` blocks each one slot large. Alone with its policy.
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

  // Reads an item, wanted again at `next_use`; whether it was there.
  bool Read(std::uint32_t item, std::uint32_t next_use) {
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

// The slots of a list from the oldest on; adds a failure where the links of
// both directions, the ends or the size disagree.
inline std::vector<std::uint32_t> Walk(const PolicyMemory& memory,
                                       std::uint32_t newest,
                                       std::uint32_t oldest,
                                       std::uint32_t size) {
  std::vector<std::uint32_t> slots;
  std::uint32_t before = kNoSlot;
  for (std::uint32_t at = oldest; at != kNoSlot && slots.size() <= size;
       at = memory.entries.at(at).newer) {
    EXPECT_EQ(memory.entries.at(at).older, before);
    slots.push_back(at);
    before = at;
  }
  EXPECT_EQ(newest, before);
  EXPECT_EQ(slots.size(), size);
  return slots;
}

inline std::vector<std::uint32_t> MainList(const PolicyMemory& memory) {
  const EvictionState& state = memory.state;
  return Walk(memory, state.newest, state.oldest, state.residents);
}

inline std::vector<std::uint32_t> SmallQueue(const PolicyMemory& memory) {
  const EvictionState& state = memory.state;
  return Walk(memory, state.small_newest, state.small_oldest,
              state.small_residents);
}

// The slots of an array by position; a failure where a slot does not know its
// position.
inline std::vector<std::uint32_t> Array(const PolicyMemory& memory) {
  std::vector<std::uint32_t> slots;
  for (std::uint32_t at = 0; at < memory.state.residents; ++at) {
    slots.push_back(memory.entries.at(at).newer);
    EXPECT_EQ(memory.entries.at(slots.back()).older, at);
  }
  return slots;
}

// All residents a policy knows, with the invariants of its structure checked.
inline std::set<std::uint32_t> Residents(Policy policy,
                                         const PolicyMemory& memory) {
  std::vector<std::uint32_t> slots;
  switch (policy) {
    case Policy::kLru:
    case Policy::kFifo:
    case Policy::kSieve:
      slots = MainList(memory);
      break;
    case Policy::kS3Fifo:
      slots = SmallQueue(memory);
      for (const std::uint32_t slot : MainList(memory)) {
        slots.push_back(slot);
      }
      break;
    case Policy::kRandom:
    case Policy::kTwoRandom:
      slots = Array(memory);
      break;
    case Policy::kBelady:
      slots = Array(memory);
      for (std::size_t at = 1; at < slots.size(); ++at) {
        EXPECT_GE(memory.entries.at(slots[(at - 1) / 2]).use,
                  memory.entries.at(slots[at]).use);
      }
      break;
    case Policy::kNever:
      break;
  }
  std::set<std::uint32_t> residents(slots.begin(), slots.end());
  EXPECT_EQ(residents.size(), slots.size()) << "a slot twice";
  if (policy == Policy::kSieve && memory.state.hand != kNoSlot) {
    EXPECT_TRUE(residents.contains(memory.state.hand));
  }
  return residents;
}

inline std::string NameOf(Policy policy) {
  for (const PolicyInfo& info : Policies()) {
    if (info.policy == policy) {
      return std::string(info.name);
    }
  }
  return "?";
}

}  // namespace stoker::cache
