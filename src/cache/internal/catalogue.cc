#include "cache/internal/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "cache/block_key.h"
#include "cache/internal/catalogue_lock.h"
#include "cache/internal/kill_point.h"
#include "cache/internal/leave_to_device.h"
#include "core/fnv.h"

namespace stoker::cache::internal {

namespace {

constexpr core::Nanos kHoldPause = std::chrono::milliseconds(5);
// How long an object waits for a slot for its entry while nothing reaches the
// store: readers and fetches have all of a small cache at times, but not for
// long.
constexpr core::Nanos kEntryPatience = std::chrono::seconds(60);

std::uint64_t LayoutOf(const Tier& tier) {
  std::string ids;
  for (const TierUnit& unit : tier.units()) {
    ids += (unit.directory != nullptr ? unit.directory->id().ToString() : "-");
    ids += ' ';
  }
  return core::Fnv1a64(ids);
}

// 0 is nobody's.
std::uint64_t SeatName(std::string_view store, std::string_view name) {
  return ObjectKey(FullName(store, name), 0).low | 1U;
}

}  // namespace

// --- making ------------------------------------------------------------------

core::Result<std::unique_ptr<Catalogue>> Catalogue::Make(Tier& tier,
                                                         std::string store,
                                                         core::Clock& clock) {
  std::unique_ptr<Catalogue> made(new Catalogue(tier, std::move(store), clock));
  STOKER_ASSIGN(made->table_, CommitTable::Make(tier, clock));
  STOKER_TRY(made->CheckLayout());
  return made;
}

Catalogue::Catalogue(Tier& tier, std::string store, core::Clock& clock)
    : tier_(tier),
      store_(std::move(store)),
      clock_(clock),
      layout_(LayoutOf(tier)) {}

Catalogue::~Catalogue() {
  if (proof_queue_ != nullptr && proof_queue_->in_flight() > 0) {
    LeaveToDevice(tier_, std::move(proof_queue_), std::move(proof_memory_));
  }
}

// --- asking ------------------------------------------------------------------

bool Catalogue::any() const { return home().commit_board().pages.load() > 0; }

bool Catalogue::Fits(const Commit& commit) const {
  Commit whole = commit;
  whole.store = store_;
  return table_->Fits(whole);
}

std::uint64_t Catalogue::moved() const {
  return home().commit_board().moved.load();
}

void Catalogue::NoteMoved() { home().commit_board().moved.fetch_add(1); }

// Where a writer died between two steps there are two.
const Commit* Catalogue::NewestOf(std::string_view store,
                                  std::string_view name) const {
  const Commit* newest = nullptr;
  for (const auto& [unit, commit] : table_->entries()) {
    if (commit.name == name && commit.store == store &&
        (newest == nullptr || newest->sequence < commit.sequence)) {
      newest = &commit;
    }
  }
  return newest;
}

std::vector<const Commit*> Catalogue::NewestOfAll() const {
  std::map<std::pair<std::string_view, std::string_view>, const Commit*> newest;
  for (const auto& [unit, commit] : table_->entries()) {
    const Commit*& known = newest[{commit.store, commit.name}];
    if (known == nullptr || known->sequence < commit.sequence) {
      known = &commit;
    }
  }
  std::vector<const Commit*> all;
  for (const auto& [name, commit] : newest) {
    all.push_back(commit);
  }
  return all;
}

core::Result<std::optional<Commit>> Catalogue::Find(std::string_view name) {
  if (!any()) {
    return std::optional<Commit>();
  }
  return Looking(fmt::format("look for {} in the cache", name),
                 [&]() -> core::Result<std::optional<Commit>> {
                   const Commit* const newest = NewestOf(store_, name);
                   return newest == nullptr ? std::nullopt
                                            : std::optional<Commit>(*newest);
                 });
}

core::Result<std::vector<Commit>> Catalogue::AllDirty() {
  if (!any()) {
    return std::vector<Commit>();
  }
  return Looking("look for what the store does not have yet",
                 [&]() -> core::Result<std::vector<Commit>> {
                   std::vector<Commit> dirty;
                   for (const Commit* const commit : NewestOfAll()) {
                     if (commit->dirty) {
                       dirty.push_back(*commit);
                     }
                   }
                   std::ranges::sort(dirty, {}, &Commit::sequence);
                   return dirty;
                 });
}

core::Result<std::vector<Commit>> Catalogue::Dirty() {
  STOKER_ASSIGN(std::vector<Commit> dirty, AllDirty());
  std::erase_if(dirty,
                [&](const Commit& commit) { return commit.store != store_; });
  return dirty;
}

// --- room --------------------------------------------------------------------

core::Result<bool> Catalogue::Reserve(std::uint64_t slots, std::uint64_t most) {
  return Within("write to the cache", [&]() -> core::Result<bool> {
    core::Status ready = NoteLayout();
    if (ready.ok()) {
      ready = table_->EnsurePage();
    }
    if (ready.code() == core::Code::kUnavailable) {
      return false;  // no slot is free
    }
    STOKER_TRY(ready);
    std::uint64_t taken = home().reserved_dirty();
    for (const TierUnit& unit : tier_.units()) {
      taken += unit.index->DirtyCount();
    }
    if (taken + slots > most) {
      return false;
    }
    home().ReserveDirty(static_cast<std::int64_t>(slots));
    return true;
  });
}

void Catalogue::GiveBack(std::uint64_t slots) {
  home().ReserveDirty(-static_cast<std::int64_t>(slots));
}

// An entry whose object the store has, and of which no block is left, is of no
// use; where that does not do, the oldest of those that still are one.
core::Status Catalogue::MakeRoom(const Commit& commit) {
  std::vector<std::pair<std::uint32_t, Commit>> clean;
  for (const auto& [unit, other] : table_->entries()) {
    if (!other.dirty) {
      clean.emplace_back(unit, other);
    }
  }
  std::ranges::sort(clean, {},
                    [](const auto& one) { return one.second.sequence; });
  for (const auto& [unit, other] : clean) {
    bool used = false;
    ForEachBlock(other,
                 [&](TierUnit&, const Index::FoundBlock&) { used = true; });
    if (!used) {
      STOKER_TRY(table_->Erase(unit));
    }
  }
  if (table_->EnsureRoom(commit).ok()) {
    return {};
  }
  for (const auto& [unit, other] : clean) {
    if (table_->entries().contains(unit)) {
      STOKER_TRY(table_->Erase(unit));
      Forget(other);
    }
    if (table_->HasRoom(commit)) {
      return {};
    }
  }
  return table_->EnsureRoom(commit);
}

// --- changing ----------------------------------------------------------------

// Of the writings of a name, all but one.
core::Status Catalogue::EraseAll(std::string_view store, std::string_view name,
                                 std::uint64_t but_sequence) {
  std::vector<std::uint32_t> units;
  for (const auto& [unit, commit] : table_->entries()) {
    if (commit.name == name && commit.store == store &&
        commit.sequence != but_sequence) {
      units.push_back(unit);
    }
  }
  for (const std::uint32_t unit : units) {
    STOKER_TRY(table_->Erase(unit));
  }
  return {};
}

core::Status Catalogue::CheckMine(const std::vector<Placed>& blocks) {
  for (const Placed& block : blocks) {
    if (!block.unit->index->IsMine(block.slot)) {
      return {core::Code::kUnavailable, "one of its slots was taken over"};
    }
  }
  return {};
}

core::Status Catalogue::Add(Commit& commit, const std::vector<Placed>& blocks,
                            bool durable) {
  const std::string what = "note " + commit.name + " in the cache";
  STOKER_TRY(CheckMine(blocks).WithContext(what));
  for (const Placed& block : blocks) {
    if (block.unit->directory != nullptr) {
      SlotRecord record = block.record;
      record.state = commit.dirty ? SlotState::kDirty : SlotState::kValid;
      STOKER_TRY(block.unit->directory->WriteRecord(block.slot.slot, record));
    }
  }
  // What is noted comes after what it is about.
  if (durable) {
    const std::scoped_lock lock(mutex_);
    STOKER_TRY(table_->Flush().WithContext(what));
  }
  KillPoint("D3");
  core::TimePoint deadline = clock_.Now() + kEntryPatience;
  std::uint64_t seen = moved();
  while (true) {
    bool no_room = false;
    const core::Status added = Within(what, [&]() -> core::Status {
      return AddEntry(commit, blocks, durable, no_room).WithContext(what);
    });
    if (!no_room || !commit.dirty || clock_.Now() >= deadline) {
      return added;
    }
    clock_.SleepUntil(clock_.Now() + kHoldPause);  // without the locks
    if (moved() != seen) {
      seen = moved();
      deadline = clock_.Now() + kEntryPatience;
    }
  }
}

// `no_room`: it failed for want of a slot, and may be tried again.
core::Status Catalogue::AddEntry(Commit& commit,
                                 const std::vector<Placed>& blocks,
                                 bool durable, bool& no_room) {
  STOKER_TRY(CheckMine(blocks));
  std::optional<Commit> before;
  if (const Commit* const known = NewestOf(store_, commit.name)) {
    before = *known;
  }
  if (!durable && before.has_value() && before->dirty && before->durable) {
    // What was promised may only give way to what is as safe.
    STOKER_TRY(table_->Flush());
    durable = true;
  }
  commit.store = store_;
  commit.durable = durable;
  commit.sequence = home().commit_board().sequence.load() + 1;
  if (!table_->HasRoom(commit)) {
    const core::Status made = MakeRoom(commit);
    no_room = made.code() == core::Code::kUnavailable;
    STOKER_TRY(made);
  }
  STOKER_ASSIGN(const std::uint32_t unit, table_->Put(commit));
  KillPoint("D4");
  if (durable) {
    if (const core::Status flushed = table_->Flush(); !flushed.ok()) {
      (void)table_->Erase(unit);
      return flushed;
    }
  }
  for (const Placed& block : blocks) {
    if (commit.dirty) {
      block.unit->index->Settle(block.slot);
    } else {
      block.unit->index->MakeClean(block.slot);
    }
  }
  // One that stays is older, and counts for nothing.
  (void)EraseAll(store_, commit.name, commit.sequence);
  home().NoteMutation();
  if (before.has_value()) {
    Forget(*before);
  }
  return {};
}

// A name is taken by one of this process's threads at a time, and by one
// process.
bool Catalogue::TakeSeat(std::uint64_t name, bool uploads) {
  const auto there = seats_.find(name);
  if (there != seats_.end() && there->second != uploads) {
    return false;
  }
  if (!home().TakeSeat(name)) {
    return false;
  }
  seats_[name] = uploads;
  return true;
}

void Catalogue::LeaveSeat(std::uint64_t name) {
  const Held held(home().commit_board());
  const std::scoped_lock lock(mutex_);
  seats_.erase(name);
  if (held.status().ok()) {
    home().LeaveSeat(name);
  }
}

core::Status Catalogue::Hold(std::string_view name, core::Nanos patience) {
  const std::string what = fmt::format("hold {}", name);
  const std::uint64_t seat = SeatName(store_, name);
  core::TimePoint since = clock_.Now();
  std::uint64_t seen = moved();
  while (true) {
    STOKER_ASSIGN(const bool mine, Within(what, [&]() -> core::Result<bool> {
                    return TakeSeat(seat, false);
                  }));
    if (mine) {
      return {};
    }
    const core::TimePoint now = clock_.Now();
    if (const std::uint64_t now_moved = moved(); now_moved != seen) {
      seen = now_moved;
      since = now;
    }
    if (now - since > patience) {
      return {core::Code::kTimedOut,
              fmt::format("{}: it is being brought to the store, of which "
                          "nothing was heard for {:.0f} s",
                          name, core::Seconds(patience))};
    }
    clock_.SleepUntil(now + kHoldPause);
  }
}

void Catalogue::Release(std::string_view name) {
  LeaveSeat(SeatName(store_, name));
}

core::Result<bool> Catalogue::Take(const Commit& commit) {
  return Within(
      "bring " + commit.name + " to the store", [&]() -> core::Result<bool> {
        const Commit* const now = NewestOf(commit.store, commit.name);
        return now != nullptr && now->dirty && IsSameWriting(*now, commit) &&
               TakeSeat(SeatName(commit.store, commit.name), true);
      });
}

void Catalogue::Leave(const Commit& commit) {
  LeaveSeat(SeatName(commit.store, commit.name));
}

core::Status Catalogue::MakeClean(const Commit& commit,
                                  std::uint64_t store_version) {
  const std::string what = "note that the store has " + commit.name;
  return Within(what, [&]() -> core::Status {
    const Commit* const now = NewestOf(commit.store, commit.name);
    if (now == nullptr || !now->dirty || !IsSameWriting(*now, commit)) {
      return {};
    }
    Commit clean = *now;
    clean.dirty = false;
    clean.store_version = store_version;
    // An older one must not be found where the change is torn.
    STOKER_TRY(EraseAll(commit.store, commit.name, clean.sequence));
    STOKER_TRY(table_->Flush().WithContext(what));
    STOKER_TRY(table_->ReplaceWriting(clean).WithContext(what));
    // Before its blocks may be evicted.
    STOKER_TRY(table_->Flush().WithContext(what));
    home().NoteMutation();
    ForEachBlock(clean, [](TierUnit& unit, const Index::FoundBlock& block) {
      CleanBlock(unit, block);
    });
    return {};
  });
}

// The record first, while nobody else may use the slot. Without it the block is
// let go of after a reboot.
void Catalogue::CleanBlock(TierUnit& unit, const Index::FoundBlock& block) {
  if (block.record.state != SlotState::kDirty) {
    return;
  }
  if (unit.directory != nullptr) {
    SlotRecord record = block.record;
    record.state = SlotState::kValid;
    (void)unit.directory->WriteRecord(block.slot.slot, record);
  }
  unit.index->MakeClean(block.slot);
}

core::Result<std::optional<bool>> Catalogue::Remove(std::string_view name,
                                                    bool also_dirty) {
  if (!any()) {
    return std::optional<bool>();
  }
  const std::string what = fmt::format("remove {} from the cache", name);
  return Within(what, [&]() -> core::Result<std::optional<bool>> {
    const Commit* const known = NewestOf(store_, name);
    if (known == nullptr || (known->dirty && !also_dirty)) {
      return std::optional<bool>();
    }
    const Commit commit = *known;
    // Older ones first, which the view no longer has: none must come back.
    STOKER_TRY(table_->Flush().WithContext(what));
    STOKER_TRY(EraseAll(store_, name, 0).WithContext(what));
    // After a power cut it must not be there again.
    STOKER_TRY(table_->Flush().WithContext(what));
    home().NoteMutation();
    Forget(commit);
    return std::optional<bool>(commit.dirty);
  });
}

// Lets go of the blocks of a writing that is of no use any more.
void Catalogue::Forget(const Commit& commit) {
  ForEachBlock(commit, [](TierUnit& unit, const Index::FoundBlock& block) {
    unit.index->Discard(block.slot);
  });
}

}  // namespace stoker::cache::internal
