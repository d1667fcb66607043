#pragma once

// Which block gives way when a slot is wanted and none is free.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "cache/slot_entry.h"
#include "core/status.h"

namespace stoker::cache {

enum class Policy : std::uint8_t {
  kNever,      // the first to come stay; later ones are not kept
  kLru,        // least recently used
  kFifo,       // first in, first out
  kRandom,     // any
  kTwoRandom,  // of two at random, the one used longer ago
  kSieve,      // Zhang et al., NSDI 2024
  kS3Fifo,     // Yang et al., SOSP 2023
  kBelady,     // the one used latest in the future; knows the order
};

struct PolicyInfo {
  Policy policy{};
  std::string_view name;  // value of the cache's option `policy`
  std::string_view summary;
};
std::span<const PolicyInfo> Policies();
// kInvalidArgument names those there are.
core::Result<Policy> FindPolicy(std::string_view name);

// What a policy keeps beside the fields of the entries. Lies in shared memory;
// all zero is not a valid state: Eviction::Reset first.
struct EvictionState {
  std::uint32_t newest = kNoSlot;       // head of the main list
  std::uint32_t oldest = kNoSlot;       // its tail
  std::uint32_t small_newest = kNoSlot;  // S3-FIFO's small queue
  std::uint32_t small_oldest = kNoSlot;
  std::uint32_t hand = kNoSlot;         // SIEVE
  std::uint32_t residents = 0;
  std::uint32_t small_residents = 0;
  std::uint32_t ghost_next = 0;  // S3-FIFO: where the next ghost is written
  std::uint64_t random = 0;      // counter of the random stream
  std::uint64_t time = 0;        // counts insertions and uses
};

// A policy over the slots of one class. Only plain operations on the entries'
// use, newer and older, on `state` and on `ghosts`, so that it may lie in memory
// that processes share. But for OnHit where !HitNeedsLock(), the caller holds
// the lock of the class.
class Eviction {
 public:
  // `ghosts`: one hash for each slot, for kS3Fifo; may be empty for others.
  // All outlive this. `seed` is that of the random policies.
  Eviction(Policy policy, EvictionState& state, std::span<SlotEntry> slots,
           std::span<std::uint32_t> ghosts, std::uint64_t seed);

  // Whether OnHit needs the lock: true for kLru alone.
  bool HitNeedsLock() const;
  // The state of a class with no resident.
  void Reset();
  // The slot has become resident. `next_use` is for kBelady: the position in
  // the order at which the block is wanted again, UINT32_MAX for never.
  void OnInsert(std::uint32_t slot, const Fingerprint& key,
                std::uint32_t next_use = UINT32_MAX);
  // A resident slot was read.
  void OnHit(std::uint32_t slot, std::uint32_t next_use = UINT32_MAX);
  // A slot leaves for another reason than Victim.
  void OnRemove(std::uint32_t slot);
  // Takes out and returns the slot that gives way. `may_go` says of a resident
  // slot whether it can (it is neither pinned nor dirty); the policy asks about
  // at most 64 slots and then gives up. Nothing: the new block is not kept
  // (always so for kNever; for kBelady where the new block's `next_use` is not
  // strictly earlier than the victim's).
  std::optional<std::uint32_t> Victim(
      const Fingerprint& newcomer,
      const std::function<bool(std::uint32_t)>& may_go,
      std::uint32_t next_use = UINT32_MAX);
  // After a process died within the lock: makes the lists anew, in the order of
  // the slots, from those of which `is_resident` is true.
  void Rebuild(const std::function<bool(std::uint32_t)>& is_resident);

 private:
  Policy policy_;
  EvictionState& state_;
  std::span<SlotEntry> slots_;
  std::span<std::uint32_t> ghosts_;
  std::uint64_t seed_;
};

}  // namespace stoker::cache
