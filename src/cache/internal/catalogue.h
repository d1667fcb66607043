#pragma once

// The objects that are in the cache as they were written, with what the store
// behind needs to be told of them.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/internal/commit.h"
#include "cache/internal/commit_table.h"
#include "cache/tier.h"
#include "core/aligned_buffer.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/block_device.h"

namespace stoker::cache::internal {

// A block of an object that is being written.
struct Placed {
  TierUnit* unit = nullptr;
  DirtySlot slot{};
  SlotRecord record{};
};

// Of this process; all of a host see the same commits, and change them one at a
// time, under a lock in shared memory. Safe for concurrent use.
//
// Errors of every call: as the device says; kUnavailable if the process that
// holds the lock does not give it back (it is stopped).
class Catalogue {
 public:
  // `store`: StoreName. `tier` and `clock` outlive it. kInvalidArgument: a
  // directory holds what was written through other directories, or these in
  // another order, and the store does not have it yet.
  static core::Result<std::unique_ptr<Catalogue>> Make(Tier& tier,
                                                       std::string store,
                                                       core::Clock& clock);

  ~Catalogue();
  Catalogue(const Catalogue&) = delete;
  Catalogue& operator=(const Catalogue&) = delete;

  // Whether there may be objects; cheap.
  bool any() const;
  // Nothing if it was not written through the cache, or is not known any more.
  // Cheap while nobody changes anything.
  core::Result<std::optional<Commit>> Find(std::string_view name);
  // Those that the store does not have yet, the oldest first; of all stores,
  // and of this one.
  core::Result<std::vector<Commit>> AllDirty();
  core::Result<std::vector<Commit>> Dirty();

  // Promises this process so many slots for dirty blocks, of `most` that are
  // dirty or promised on this host together; false: not now, or no slot is free
  // for the table. Looks at every slot. Given back with GiveBack, one by one as
  // they are used or at once.
  core::Result<bool> Reserve(std::uint64_t slots, std::uint64_t most);
  void GiveBack(std::uint64_t slots);

  // Makes an object of `blocks`, which are all on the device: dirty ones that
  // nobody evicts, or clean ones if the store has it. Replaces what was known
  // under the name, if that was written before. `durable`: all of it is on
  // stable storage then. Fills in store, sequence and `durable`. Waits for a
  // slot for its entry where none is free, if the store does not have it. An
  // error: `blocks` are still the caller's.
  core::Status Add(Commit& commit, const std::vector<Placed>& blocks,
                   bool durable);
  // The caller's process brings it to the store, until Leave, as its uploader.
  // False: another does, or the name is held, or this writing is no longer what
  // the store is to get.
  core::Result<bool> Take(const Commit& commit);
  void Leave(const Commit& commit);
  // Nobody brings an object of that name to the store until Release. Waits for
  // who does, as long as something reaches the store every `patience`.
  core::Status Hold(std::string_view name, core::Nanos patience);
  void Release(std::string_view name);
  // The store has it, in that version. Nothing if another writing took its
  // place.
  core::Status MakeClean(const Commit& commit, std::uint64_t store_version);
  // Forgets the object; if it is dirty only with `also_dirty`. Returns whether
  // the store did not have it; nothing if there was none. It does not come back
  // after a power cut.
  core::Result<std::optional<bool>> Remove(std::string_view name,
                                           bool also_dirty);
  // Decides on what dead writers left: objects that are whole stay, blocks of
  // none are let go of. Any number of processes may do so.
  core::Status Adopt();
  // Adopt, by one process of the host every Index::kSweepEvery.
  core::Status AdoptIfDue();

  // Whether it can be noted; else its name or `after` is too long.
  bool Fits(const Commit& commit) const;
  // Counts parts that reached the store, of all processes of the host.
  std::uint64_t moved() const;
  void NoteMoved();

 private:
  class Held;  // the lock
  Catalogue(Tier& tier, std::string store, core::Clock& clock);

  Index& home() const { return *tier_.units().front().index; }
  // Runs `body` with both locks held and the view up to date.
  template <class Body>
  auto Within(std::string_view what, Body body) -> decltype(body());
  bool TakeSeat(std::uint64_t name, bool uploads);
  void LeaveSeat(std::uint64_t name);
  template <class Body>
  auto Looking(std::string_view what, Body body) -> decltype(body());
  const Commit* NewestOf(std::string_view store, std::string_view name) const;
  std::vector<const Commit*> NewestOfAll() const;
  core::Status EraseAll(std::string_view store, std::string_view name,
                        std::uint64_t but_sequence);
  core::Status MakeRoom(const Commit& commit);
  static core::Status CheckMine(const std::vector<Placed>& blocks);
  core::Status AddEntry(Commit& commit, const std::vector<Placed>& blocks,
                        bool durable, bool& no_room);
  core::Status CheckLayout();
  core::Status NoteLayout();
  void Forget(const Commit& commit);
  static void CleanBlock(TierUnit& unit, const Index::FoundBlock& block);
  core::Status AdoptEntry(std::uint32_t number, const Commit& commit,
                          bool prove, std::vector<std::vector<bool>>& known);
  core::Result<bool> IsWholeOnDevice(const Commit& commit);
  void LetGoOfUnknown(const std::vector<std::vector<bool>>& known);
  template <class Visit>
  void ForEachBlock(const Commit& commit, Visit visit);

  Tier& tier_;
  const std::string store_;
  core::Clock& clock_;
  const std::uint64_t layout_;  // which directories, in which order
  std::mutex mutex_;            // guards what follows
  std::unique_ptr<CommitTable> table_;
  core::AlignedBuffer proof_memory_;
  std::unique_ptr<storage::BlockQueue> proof_queue_;  // reads to that
  std::map<std::uint64_t, bool> seats_;  // of this process: whether to upload
  bool layout_noted_ = false;
};

}  // namespace stoker::cache::internal
