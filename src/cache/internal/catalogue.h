#pragma once

// The objects that are in the cache as they were written, with what the store
// behind needs to be told of them.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cache/tier.h"
#include "core/aligned_buffer.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/block_device.h"

namespace stoker::cache::internal {

// What is known of an object that was written through the cache. It is in a
// slot of its own ("commit"), as JSON, at most a granule long; its key is that
// of the name, its sequence number is in its record.
struct Commit {
  std::string store;  // StoreName of what is behind
  std::string name;   // of the object there
  std::uint64_t sequence = 0;
  std::uint64_t size = 0;     // bytes
  std::uint64_t version = 0;  // of its blocks' keys; drawn for each writing
  bool dirty = true;          // the store does not have it yet
  std::uint64_t store_version = 0;  // there, once it has it
  // The first of the writings of this name, one after the other, that the store
  // has not seen. While it is behind that, what is there under the name is of
  // before.
  std::uint64_t first_sequence = 0;
  std::vector<std::string> after{};  // WriteOptions::after
  DirtySlot slot{};
};

// A block of an object that is being written.
struct Placed {
  TierUnit* unit = nullptr;
  DirtySlot slot{};
  SlotRecord record{};
};

// Of this process; all see the same commits. Safe for concurrent use.
class Catalogue {
 public:
  // `store`: StoreName. `tier` and `clock` outlive it.
  static core::Result<std::unique_ptr<Catalogue>> Make(Tier& tier,
                                                       std::string store,
                                                       core::Clock& clock);

  // Cheap where there is none.
  bool any() const;
  // Nothing if it was not written through the cache, or is not known any more.
  std::optional<Commit> Find(std::string_view name);
  // Those that the store does not have yet, the oldest first; of all stores.
  std::vector<Commit> Dirty();
  // As Dirty, of this store, and but those that their writers have not settled.
  std::vector<Commit> ReadyForUpload();

  // Makes an object of `blocks`, which are all on the device: dirty ones that
  // nobody evicts, or clean ones if the store has it. Replaces what was known
  // under the name. `durable`: all of it is on stable storage then. Fills in
  // sequence and slot. An error: `blocks` are still the caller's.
  core::Status Add(Commit& commit, const std::vector<Placed>& blocks,
                   bool durable);
  // The store has it, in that version.
  core::Status MakeClean(const Commit& commit, std::uint64_t store_version);
  // Forgets the object; dirty blocks are lost. Returns whether there was one.
  bool Remove(std::string_view name);
  // Decides on what dead writers left: objects that are whole are to stay, the
  // rest is let go of. Any number of processes may do so at once.
  void Adopt();

  // Whether it can be noted; else its name or `after` is too long.
  bool Fits(const Commit& commit) const;

 private:
  Catalogue(Tier& tier, std::string store, core::Clock& clock);
  std::optional<Commit> FindLocked(const Fingerprint& key);
  std::optional<Commit> ReadLocked(TierUnit& unit, const DirtySlot& slot,
                                   const SlotRecord& record);
  core::Status WriteLocked(Commit& commit, bool durable);
  core::Status Flush();
  std::vector<Commit> DirtyLocked();
  void Forget(const Commit& commit);
  using SlotSet = std::vector<std::vector<bool>>;  // by unit
  void MarkKnown(SlotSet& known);
  template <class Visit>
  void ForEachBlock(const Commit& commit, Visit visit);
  std::uint64_t granule_bytes() const;

  Tier& tier_;
  const std::string store_;
  core::Clock& clock_;
  std::mutex mutex_;  // guards what follows
  std::unique_ptr<storage::BlockQueue> queue_;
  core::AlignedBuffer page_;
  std::set<std::uint64_t> adding_;  // sequences that are not settled
};

}  // namespace stoker::cache::internal
