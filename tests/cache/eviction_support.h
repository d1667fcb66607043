#pragma once

// What a policy keeps, looked at from outside.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "cache/eviction.h"
#include "cache/internal/item_cache.h"

namespace stoker::cache {

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
