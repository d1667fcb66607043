#pragma once

// Which block gives way when a slot is wanted and none is free.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

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

// The next use of a block that is not wanted again.
inline constexpr std::uint32_t kNeverAgain = UINT32_MAX;

// What a policy keeps beside the fields of the entries. Lies in shared memory;
// all zero is not a valid state: Eviction::Reset first.
struct EvictionState {
  std::uint32_t newest = kNoSlot;  // ends of the list; S3-FIFO: main queue
  std::uint32_t oldest = kNoSlot;
  std::uint32_t small_newest = kNoSlot;  // S3-FIFO's small queue
  std::uint32_t small_oldest = kNoSlot;
  std::uint32_t hand = kNoSlot;       // SIEVE; kNoSlot: at the oldest
  std::uint32_t residents = 0;        // without those of the small queue
  std::uint32_t small_residents = 0;  // S3-FIFO: of the small queue
  std::uint32_t ghosts = 0;           // S3-FIFO: counts ghosts; may wrap
  std::uint64_t random = 0;           // counts victims looked for at random
  std::uint64_t time = 0;             // 2-random: counts insertions and uses
};

// Where a policy lives. All of it outlives the policy.
struct EvictionMemory {
  EvictionState& state;
  std::span<SlotEntry> slots;  // of one class
  // For kS3Fifo as many as slots (with fewer it remembers less), starting as
  // anything; may be empty for others.
  std::span<std::uint32_t> ghosts;
};

// A policy over the slots of one class. It keeps nothing but what is in its
// memory, and there only plain numbers: so processes that share the memory,
// each with an Eviction of its own, have one policy. It reads the entries' keys
// and writes their use, newer and older. But for OnHit where !HitNeedsLock(),
// the caller holds the lock of the class. Costs are O(1) unless stated.
class Eviction {
 public:
  using MayGo = std::function<bool(std::uint32_t slot)>;
  // Victim asks this often at most.
  static constexpr std::uint32_t kMostAsked = 64;

  // `seed` is that of the random policies: the same for all processes.
  static std::unique_ptr<Eviction> Make(Policy policy,
                                        const EvictionMemory& memory,
                                        std::uint64_t seed);
  virtual ~Eviction() = default;
  Eviction(const Eviction&) = delete;
  Eviction& operator=(const Eviction&) = delete;

  // Whether OnHit needs the lock: true for kLru and kBelady. Where not, OnHit
  // may run at the same time as any other call, but for Reset.
  virtual bool HitNeedsLock() const { return false; }
  // The state of a class with no resident.
  void Reset();
  // The slot, which was no resident, has become one; its entry has its key.
  // `next_use` is for kBelady: the position in the order at which the block is
  // wanted again, or kNeverAgain. kBelady: O(log residents).
  virtual void OnInsert(std::uint32_t slot, std::uint32_t next_use) = 0;
  // A resident slot was read. Without the lock it may have left, and even come
  // again, by now: that does no harm. kBelady: O(log residents).
  virtual void OnHit(std::uint32_t slot, std::uint32_t next_use) = 0;
  // A resident slot leaves for another reason than Victim. kBelady:
  // O(log residents).
  virtual void OnRemove(std::uint32_t slot) = 0;
  // Takes out and returns the slot that gives way. `may_go` says of a resident
  // slot whether it can (it is neither pinned nor dirty); after kMostAsked that
  // cannot the policy gives up. Those it has asked in vain wait another round,
  // so that the next search gets further; not so with kBelady, whose search
  // ends at the same ones again. Nothing: the new block is not kept (always so
  // for kNever; for kBelady where the new block's `next_use` is not strictly
  // earlier than the victim's). kSieve and kS3Fifo pass over the slots read
  // since their last turn: O(1) for each hit there was, O(residents) at worst.
  virtual std::optional<std::uint32_t> Victim(const MayGo& may_go,
                                              std::uint32_t next_use) = 0;
  // After a process died within the lock: whatever newer, older and the state
  // hold, makes the lists anew from the slots of which `is_resident` is true;
  // that of the lowest number counts as the oldest. O(slots), for kBelady
  // O(slots * log slots) at worst.
  void Rebuild(const std::function<bool(std::uint32_t)>& is_resident);
  // Whether a call since the last of this one met links that cannot be, as
  // memory errors leave them. It has followed none of them, and what it has
  // returned is a slot or nothing; Rebuild makes the lists right again. With
  // the lock of the class.
  bool TakeDamage() { return std::exchange(damaged_, false); }

 protected:
  explicit Eviction(const EvictionMemory& memory) : memory_(memory) {}
  bool damaged_ = false;
  EvictionState& state() const { return memory_.state; }
  SlotEntry& entry(std::uint32_t slot) const { return memory_.slots[slot]; }

 private:
  // Takes in a resident as Rebuild finds it: its `use` tells what it has told
  // before.
  virtual void Adopt(std::uint32_t slot) = 0;

  EvictionMemory memory_;
};

}  // namespace stoker::cache
