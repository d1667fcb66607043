#pragma once

// Which blocks are in which slots of one cache directory: a table in memory
// that all processes of a host share, without a process of its own.

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "cache/directory.h"
#include "cache/eviction.h"
#include "cache/slot_entry.h"
#include "core/clock.h"
#include "core/status.h"

namespace stoker::cache {

namespace internal {
struct CommitBoard;
}

struct IndexOptions {
  CacheId id;
  Geometry geometry;
  // Another than before is possible while nobody uses the index. Of a tool
  // (`run` ""): that of the index, if there is one.
  Policy policy = Policy::kNever;
  std::uint64_t seed = 0;  // of the random policies
  // How long a process may keep others waiting for a block without a sign of
  // life; then one of them fetches it.
  core::Nanos lease = std::chrono::milliseconds(500);
  // How long a slot rests whose owner died or was given up: what it had sent to
  // the device may still arrive.
  core::Nanos grace = std::chrono::seconds(5);
  // Names the run; processes of two runs do not share an index. "": a tool.
  std::string run{};
  // Whether the first process that attaches finds nothing in it.
  bool start_empty = false;
  // What may be written to the device, of a day's worth at once.
  double write_bytes_per_day = std::numeric_limits<double>::infinity();
};

// A block that stays where it is until it is let go of.
struct PinnedSlot {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint32_t length = 0;  // bytes
  std::array<std::uint32_t, kGranulesPerSlot> crc{};
};

// A place to note a pin in; of this process.
struct PinCell {
  std::uint32_t number = 0;
};

enum class Look : std::uint8_t {
  kHit,      // pinned
  kFilling,  // somebody fetches it
  kMiss,
};

enum class ClaimOutcome : std::uint8_t {
  kMine,    // the caller fetches it
  kTaken,   // it is there, or another fetches it: look again
  kNoRoom,  // it will not be kept
};

struct Claim {
  ClaimOutcome outcome = ClaimOutcome::kNoRoom;
  std::uint32_t slot = 0;  // kMine
  std::uint32_t generation = 0;
  std::uint32_t next_use = kNeverAgain;
};

// A use of a slot.
struct DirtySlot {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
};

// Slots with a key of this upper half belong to the table of what was written
// (internal/commit_table.h). The lower 32 bits of the key are a number; this
// one says which directories there are.
inline constexpr std::uint64_t kCommitKeyHigh = 0x636F6D6D69740001;
inline constexpr std::uint32_t kLayoutMark = UINT32_MAX;
inline bool IsCommitKey(const Fingerprint& key) {
  return key.high == kCommitKeyHigh;
}

// Slots by state; together they are all there are.
struct SlotCounts {
  std::uint32_t free = 0;
  std::uint32_t filling = 0;
  std::uint32_t valid = 0;
  std::uint32_t evicting = 0;
  std::uint32_t dirty = 0;
  std::uint32_t table = 0;  // dirty, and of the table of what was written
  std::uint32_t quarantined = 0;
  std::uint64_t valid_bytes = 0;  // lengths of the valid ones
  std::uint32_t all() const {
    return free + filling + valid + evicting + dirty + table + quarantined;
  }
  friend bool operator==(const SlotCounts&, const SlotCounts&) = default;
};

// What this process did, in slots.
struct IndexCounters {
  std::uint64_t evictions = 0;
  std::uint64_t takeovers = 0;  // fetched because the owner died or hangs
  std::uint64_t lost = 0;       // fetched in vain: another had taken over
  std::uint64_t repairs = 0;    // chains and lists made anew
  std::uint64_t damages = 0;    // of these, for a memory error and no death
};

// Safe for concurrent use by threads and, over the same memory, by processes;
// any of them may die at any point. A transition of a slot is one
// compare-and-swap of its word (docs/design/0005).
class Index {
 public:
  // Attaches to the index of the cache, or makes it, in memory named after the
  // cache and the user: then `restore` is called once, under a lock that keeps
  // others waiting, to give what is known of slots by calling its argument. It
  // returns the generation the other slots begin with, so that none is used
  // twice.
  // kUnavailable: in use by another run or with another policy, or being made
  // for longer than `patience`. kIoError: no room in /dev/shm; says how much is
  // needed.
  using Restore = std::function<void(std::uint32_t, const SlotRecord&)>;
  static core::Result<std::unique_ptr<Index>> Attach(
      const IndexOptions& options,
      const std::function<core::Result<std::uint32_t>(const Restore&)>& restore,
      core::Clock& clock, core::Nanos patience = std::chrono::seconds(30));
  // In memory of this process and those it forks.
  static std::unique_ptr<Index> MakePrivate(const IndexOptions& options,
                                            core::Clock& clock);
  // Removes the shared memory of a cache, as a reboot would. Nobody may use it.
  static void Forget(const CacheId& id);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  // For a forked process, which needs a row of its own. Not while other threads
  // use the index.
  core::Status Rejoin();

  // kPinsPerThread cells for a thread to pin with, numbered from the one
  // returned; nothing if none are left in this process (eight threads).
  static constexpr std::uint32_t kPinsPerThread = 64;
  std::optional<PinCell> ReservePins();
  void ReleasePins(PinCell first);  // all unpinned

  // Pins the block if it is there. `cell` is free.
  // `next_use` is for Policy::kBelady.
  Look Pin(const Fingerprint& key, PinCell cell, PinnedSlot& pinned,
           std::uint32_t next_use = kNeverAgain);
  void Unpin(PinCell cell);
  // As Pin, without a pin, for those who wait.
  Look Peek(const Fingerprint& key) const;
  // The block, if it is there, was read elsewhere than from its slot.
  void Touch(const Fingerprint& key, std::uint32_t next_use);

  // Takes a slot for a block of `length` bytes that is not there, for
  // Publish or Abandon by the same process. A block whose owner died, or has
  // not renewed its lease in time, is taken over.
  Claim ClaimSlot(const Fingerprint& key, std::uint32_t length,
                  std::uint32_t next_use = kNeverAgain);
  // As ClaimSlot, but kNoRoom where a block would have to give way.
  Claim ClaimFreeSlot(const Fingerprint& key, std::uint32_t length);
  // Extends the lease of a claim; false if it was taken over.
  bool Renew(const Claim& claim);
  // The block is on the device: from now on everybody finds it. False: it was
  // taken over, and the slot has been given back.
  bool Publish(const Claim& claim, const SlotRecord& record);
  // It will not be; the slot is free again.
  void Abandon(const Claim& claim);
  // The device does not answer to what was written to the slot of a claim: it
  // rests, and others may fetch the block, until Abandon, which says that the
  // answer has come, or Forsake: nobody waits for it any more, and the slot
  // rests until the index is made anew.
  void Rest(const Claim& claim);
  void Forsake(const Claim& claim);
  // The block is not what it should be: it is let go of, also by the caller.
  void Drop(const PinnedSlot& pinned, PinCell cell);

  // Takes back what those who died had, and what has rested long enough.
  // Returns the number of processes found dead. Costs a look at every slot.
  std::size_t Sweep();
  // As Sweep, by one process of the host every `kSweepEvery`: whoever calls
  // when it is due has the role until then. Cheap otherwise.
  static constexpr core::Nanos kSweepEvery = std::chrono::seconds(5);
  void SweepIfDue();
  // Frees everything that is valid and not pinned.
  void Clear();
  SlotCounts Count() const;
  IndexCounters counters() const;
  // Calls `visit` per valid slot. Others may change it meanwhile.
  void ForEachValid(
      const std::function<void(std::uint32_t, const SlotRecord&)>& visit) const;

  // Whether the host's budget of writes has room for so many bytes, and what
  // takes them from it (internal/write_budget.h). After a reboot it is whole.
  bool AllowsWrite(std::uint64_t bytes) const;
  void SpendWrite(std::uint64_t bytes);

  // --- Objects that the store behind does not have yet (index_dirty.cc) ------
  // Their blocks are published with a record that says kDirty; nothing evicts
  // them. `DirtySlot` names a use of a slot.

  // As ClaimSlot, for a block that must be kept: where no slot is free, and the
  // policy has none to give, any valid block gives way.
  Claim ClaimDirtySlot(const Fingerprint& key, std::uint32_t length);
  // A dirty slot that its writer may still take back, or whose writer died, is
  // to stay. False: it is another's, or used for something else.
  bool Settle(const DirtySlot& dirty);
  // The store has it: from now on a block like others. False as Settle.
  bool MakeClean(const DirtySlot& dirty);
  // Free, or at rest where others read it; dirty or clean.
  void Discard(const DirtySlot& slot);
  // Whether a dirty slot's writer died before it was to stay; whether it is to
  // stay, and nobody brings it to the store.
  bool IsOrphan(const DirtySlot& dirty) const;
  // Whether it is dirty, of this use, and this process has not settled it.
  bool IsMine(const DirtySlot& dirty) const;
  bool IsSettled(const DirtySlot& dirty) const;
  // The block, if it is there, dirty or not. It is not pinned: what is read of
  // it afterwards is proved by its checksums, or by it still being dirty.
  struct FoundBlock {
    DirtySlot slot{};
    SlotRecord record{};
  };
  std::optional<FoundBlock> FindBlock(const Fingerprint& key);
  // Those of the table as well.
  void ForEachDirty(const std::function<void(const DirtySlot&,
                                             const SlotRecord&)>& visit) const;
  // Dirty slots, without those of the table. Costs a look at every slot.
  std::uint32_t DirtyCount() const;
  // Slots that are promised to processes for dirty blocks; those of dead ones
  // count for nothing. `slots` may be negative: of those of this process.
  std::uint64_t reserved_dirty() const;
  void ReserveDirty(std::int64_t slots);

  // Of the first directory: what processes share about what they write.
  internal::CommitBoard& commit_board();
  // With the board's lock held: the caller's process is the one who brings the
  // object of that name (a hash) to the store. False: another is, which lives
  // and is not stopped, or no seat is free.
  bool TakeSeat(std::uint64_t name);
  void LeaveSeat(std::uint64_t name);

  // Grows whenever an object behind the cache may have changed.
  std::uint64_t mutations() const;
  void NoteMutation();
  // Living processes of this index besides this one.
  std::size_t others() const;
  // Whether this call of Attach made the index.
  bool made() const { return made_; }
  const Geometry& geometry() const { return options_.geometry; }
  std::uint64_t memory_bytes() const;  // shared, of the index

 private:
  struct Header;
  class Region;
  Index(const IndexOptions& options, core::Clock& clock,
        std::unique_ptr<Region> region);

  void Initialise();
  core::Status Remake(
      const std::function<core::Result<std::uint32_t>(const Restore&)>&
          restore);
  void RestoreSlot(std::uint32_t slot, const SlotRecord& record);
  void ForgetUses();
  std::uint32_t BucketOf(const Fingerprint& key) const;
  // The slot of the bucket that holds `key`, or kNoSlot.
  std::uint32_t Find(const Fingerprint& key) const;
  void RepairStripe(std::uint32_t stripe);
  bool IsWhole(std::uint32_t bucket) const;
  void MendChain(std::uint32_t bucket);
  void RepairClass(std::size_t number);
  template <class Body>
  auto WithStripe(std::uint32_t bucket, Body body);
  template <class Body>
  auto WithClass(std::size_t number, Body body);
  void Link(std::uint32_t slot, const Fingerprint& key);
  void Unlink(std::uint32_t slot);
  // A slot held exclusively (kEvicting, ours), or kNoSlot.
  std::uint32_t Allocate(std::uint32_t length, std::uint32_t next_use);
  bool IsSmall(std::uint32_t length) const;
  std::uint32_t TakeFreeFor(std::uint32_t length);
  // A claim of `key` with `slot`, held exclusively, or kNoSlot.
  Claim ClaimWith(std::uint32_t slot, const Fingerprint& key,
                  std::uint32_t length, std::uint32_t next_use);
  std::uint32_t TakeFree(std::size_t number);
  std::uint32_t Evict(std::size_t number, std::uint32_t next_use);
  std::uint32_t EvictAny(std::size_t number);
  void Leave(std::uint32_t slot, const SlotWord& word);
  std::optional<FoundBlock> LookUp(const Fingerprint& key) const;
  void SetRecord(std::uint32_t slot, const SlotRecord& record);
  SlotRecord RecordOf(std::uint32_t slot) const;
  void GiveBack(std::uint32_t slot);
  bool IsGivenUp(const SlotWord& word, std::uint32_t lease_ms) const;
  void Quarantine(std::uint32_t slot, SlotWord word);
  bool HasOrder() const { return options_.policy != Policy::kNever; }
  // The class of a slot, and its number there.
  struct Place {
    std::size_t number = 0;
    std::uint32_t local = 0;
  };
  Place PlaceOf(std::uint32_t slot) const;
  std::uint32_t FirstOf(std::size_t number) const;
  void Evacuate(std::uint32_t slot, std::uint32_t generation);
  std::uint32_t NowMs() const;
  SlotEntry& entry(std::uint32_t slot) const;

  IndexOptions options_;
  core::Clock& clock_;
  std::unique_ptr<Region> region_;
  Header* header_;
  std::atomic<std::uint32_t>* buckets_;
  SlotEntry* entries_;
  std::array<std::unique_ptr<Eviction>, 2> evictions_;
  std::uint16_t row_ = 0;
  bool made_ = false;
  std::atomic<std::uint32_t> pins_reserved_ = 0;  // a bit for a thread
  std::atomic<std::uint64_t> evicted_ = 0, taken_over_ = 0, lost_ = 0,
                             repaired_ = 0, damaged_ = 0;
};

}  // namespace stoker::cache
