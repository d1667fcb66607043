#include "cache/internal/catalogue.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <span>
#include <utility>

#include "cache/block_key.h"
#include "cache/internal/kill_point.h"
#include "cache/internal/slot_write.h"
#include "core/check.h"
#include "core/fnv.h"
#include "core/pages.h"

namespace stoker::cache::internal {

namespace {

// How long another process may hold the lock: it writes a few pages meanwhile.
constexpr core::Nanos kLockPatience = std::chrono::seconds(30);
// Says in a directory beside others which they are, in the first two checksums
// of its record.
constexpr Fingerprint kLayoutKey = {.high = kCommitKeyHigh, .low = kLayoutMark};

std::uint64_t LayoutOf(const Tier& tier) {
  std::string ids;
  for (const TierUnit& unit : tier.units()) {
    ids += (unit.directory != nullptr ? unit.directory->id().ToString() : "-");
    ids += ' ';
  }
  return core::Fnv1a64(ids);
}

std::uint64_t LayoutIn(const SlotRecord& record) {
  return std::uint64_t{record.crc[0]} << 32U | record.crc[1];
}

std::uint64_t SeatName(const Commit& commit) {
  return ObjectKey(FullName(commit.store, commit.name), 0).low | 1U;
}

}  // namespace

// --- the lock ----------------------------------------------------------------

class Catalogue::Held {
 public:
  explicit Held(CommitBoard& board) : board_(board) {
    timespec until{};
    STOKER_CHECK(::clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += kLockPatience / std::chrono::seconds(1);
    const int result =
        ::pthread_mutex_clocklock(&board.lock, CLOCK_MONOTONIC, &until);
    held_ = result == 0 || result == EOWNERDEAD;
    STOKER_CHECK(held_ || result == ETIMEDOUT);
    if (result == EOWNERDEAD) {
      // It may have died between a change and the note of it.
      board.NoteManyChanges();
      STOKER_CHECK(::pthread_mutex_consistent(&board.lock) == 0);
    }
  }
  ~Held() {
    if (held_) {
      STOKER_CHECK(::pthread_mutex_unlock(&board_.lock) == 0);
    }
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  core::Status status() const {
    return held_ ? core::Status()
                 : core::Status(core::Code::kUnavailable,
                                "a process of this host holds the lock of the "
                                "cache's table of written objects; is one "
                                "stopped?");
  }

 private:
  CommitBoard& board_;
  bool held_ = false;
};

template <class Body>
auto Catalogue::Within(std::string_view what, Body body) -> decltype(body()) {
  const std::scoped_lock lock(mutex_);
  const Held held(home().commit_board());
  core::Status status = held.status();
  if (status.ok()) {
    status = table_->Refresh();
  }
  if (!status.ok()) {
    return status.WithContext(std::string(what));
  }
  return body();
}

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

// A block's directory depends on how many there are, and on their order. A
// directory that says nothing was alone.
core::Status Catalogue::CheckLayout() {
  const bool alone = tier_.units().size() == 1;
  for (TierUnit& unit : tier_.units()) {
    const std::uint32_t dirty = unit.index->DirtyCount();
    if (dirty == 0) {
      continue;
    }
    const std::optional<Index::FoundBlock> mark =
        unit.index->FindBlock(kLayoutKey);
    if (mark.has_value() ? LayoutIn(mark->record) != layout_ : !alone) {
      return {core::Code::kInvalidArgument,
              fmt::format("open cache {}: the store does not have {} of its "
                          "blocks yet, which were written with other "
                          "directories, or these in another order; remedy: "
                          "stoker cache drain, with the directories named as "
                          "they were then",
                          unit.directory != nullptr ? unit.directory->path()
                                                    : "in memory",
                          dirty)};
    }
  }
  return {};
}

// Before the first block that the store does not have.
core::Status Catalogue::NoteLayout() {
  if (layout_noted_) {
    return {};
  }
  for (TierUnit& unit : tier_.units()) {
    Index& index = *unit.index;
    std::optional<Index::FoundBlock> mark = index.FindBlock(kLayoutKey);
    if (mark.has_value() ? LayoutIn(mark->record) == layout_
                         : tier_.units().size() == 1) {
      continue;
    }
    if (mark.has_value()) {
      index.Discard(mark->slot);
    }
    const Claim claim = index.ClaimDirtySlot(kLayoutKey, core::kPageBytes);
    SlotRecord record{.state = SlotState::kDirty,
                      .key = kLayoutKey,
                      .generation = claim.generation,
                      .length = core::kPageBytes};
    record.crc[0] = static_cast<std::uint32_t>(layout_ >> 32U);
    record.crc[1] = static_cast<std::uint32_t>(layout_);
    if (claim.outcome != ClaimOutcome::kMine || !index.Publish(claim, record) ||
        !index.Settle({.slot = claim.slot, .generation = claim.generation})) {
      return {core::Code::kUnavailable, "write to the cache: no slot is free"};
    }
    if (unit.directory != nullptr) {
      STOKER_TRY(unit.directory->WriteRecord(claim.slot, record));
      STOKER_TRY(unit.directory->FlushRecords());
    }
  }
  layout_noted_ = true;
  return {};
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

// Asks the view; the lock of the host is taken only where it is not up to date.
template <class Body>
auto Catalogue::Looking(std::string_view what, Body body) -> decltype(body()) {
  {
    const std::scoped_lock lock(mutex_);
    if (table_->IsUpToDate()) {
      return body();
    }
  }
  return Within(what, body);
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
  return Looking(
      "look for what the store does not have yet",
      [&]() -> core::Result<std::vector<Commit>> {
        std::vector<Commit> dirty;
        for (const auto& [unit, commit] : table_->entries()) {
          if (commit.dirty && NewestOf(commit.store, commit.name) == &commit) {
            dirty.push_back(commit);
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
    STOKER_TRY(NoteLayout());
    STOKER_TRY(table_->EnsurePage());
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
  if (table_->HasRoom(commit) || table_->EnsureRoom(commit).ok()) {
    return {};
  }
  for (const auto& [unit, other] : clean) {
    if (table_->entries().contains(unit)) {
      STOKER_TRY(table_->Erase(unit));
      Forget(other);
    }
    if (table_->HasRoom(commit)) {
      break;
    }
  }
  return {};
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

core::Status Catalogue::Add(Commit& commit, const std::vector<Placed>& blocks,
                            bool durable) {
  const std::string what = "note " + commit.name + " in the cache";
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
  return Within(what, [&]() -> core::Status {
    std::optional<Commit> before;
    if (const Commit* const known = NewestOf(store_, commit.name)) {
      before = *known;
    }
    commit.store = store_;
    commit.durable = durable;
    commit.sequence = home().commit_board().sequence.load() + 1;
    commit.first_sequence = before.has_value() && before->dirty
                                ? before->first_sequence
                                : commit.sequence;
    if (!table_->HasRoom(commit)) {
      STOKER_TRY(MakeRoom(commit).WithContext(what));
    }
    STOKER_ASSIGN(const std::uint32_t unit, table_->Put(commit));
    KillPoint("D4");
    if (durable) {
      if (const core::Status flushed = table_->Flush(); !flushed.ok()) {
        (void)table_->Erase(unit);
        return flushed.WithContext(what);
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
  });
}

core::Result<bool> Catalogue::Take(const Commit& commit) {
  return Within(
      "bring " + commit.name + " to the store", [&]() -> core::Result<bool> {
        const Commit* const now = NewestOf(commit.store, commit.name);
        return now != nullptr && now->dirty && IsSameWriting(*now, commit) &&
               home().TakeSeat(SeatName(commit));
      });
}

void Catalogue::Leave(const Commit& commit) {
  const std::scoped_lock lock(mutex_);
  const Held held(home().commit_board());
  if (held.status().ok()) {
    home().LeaveSeat(SeatName(commit));
  }
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

core::Result<std::optional<bool>> Catalogue::Remove(std::string_view name) {
  if (!any()) {
    return std::optional<bool>();
  }
  const std::string what = fmt::format("remove {} from the cache", name);
  return Within(what, [&]() -> core::Result<std::optional<bool>> {
    const Commit* const known = NewestOf(store_, name);
    if (known == nullptr) {
      return std::optional<bool>();
    }
    const Commit commit = *known;
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

template <class Visit>
void Catalogue::ForEachBlock(const Commit& commit, Visit visit) {
  const Fingerprint object = ObjectOf(commit);
  const std::uint64_t block = tier_.block_bytes();
  for (std::uint64_t n = 0; n * block < commit.size; ++n) {
    const Fingerprint key = BlockKey(object, n);
    TierUnit& unit = tier_.UnitOf(key);
    if (const std::optional<Index::FoundBlock> found =
            unit.index->FindBlock(key)) {
      visit(unit, *found);
    }
  }
}

// --- after a death -----------------------------------------------------------

core::Status Catalogue::Adopt() {
  const auto body = [&]() -> core::Status {
    std::vector<std::vector<bool>> known;
    for (TierUnit& unit : tier_.units()) {
      known.emplace_back(unit.index->geometry().slots());
    }
    const auto mark = [&](const TierUnit& unit, const DirtySlot& slot) {
      known[static_cast<std::size_t>(&unit - tier_.units().data())][slot.slot] =
          true;
    };
    std::vector<std::pair<std::uint32_t, Commit>> entries(
        table_->entries().begin(), table_->entries().end());
    // The newest of a name first: where it does not stand, the one before does.
    std::ranges::sort(entries, std::ranges::greater(),
                      [](const auto& entry) { return entry.second.sequence; });
    for (const auto& [unit_number, commit] : entries) {
      if (NewestOf(commit.store, commit.name)->sequence != commit.sequence) {
        STOKER_TRY(table_->Erase(unit_number));
        continue;
      }
      // Of a power cut only those stand that have been waited for, or have
      // arrived by themselves.
      if (commit.dirty && !commit.durable && home().made()) {
        STOKER_ASSIGN(const bool whole, IsWholeOnDevice(commit));
        if (!whole) {
          STOKER_TRY(table_->Erase(unit_number));
          continue;
        }
      }
      ForEachBlock(commit, [&](TierUnit& unit, const Index::FoundBlock& block) {
        mark(unit, block.slot);
        if (!commit.dirty) {
          CleanBlock(unit, block);
        } else if (unit.index->IsOrphan(block.slot)) {
          unit.index->Settle(block.slot);
        }
      });
    }
    LetGoOfUnknown(known);
    return {};
  };
  return any() ? Within("look after what was written to the cache", body)
               : core::Status();
}

void Catalogue::LetGoOfUnknown(const std::vector<std::vector<bool>>& known) {
  for (std::size_t u = 0; u < known.size(); ++u) {
    Index& index = *tier_.units()[u].index;
    std::vector<DirtySlot> others;
    index.ForEachDirty([&](const DirtySlot& slot, const SlotRecord& record) {
      if (IsCommitKey(record.key)) {
        index.Settle(slot);
      } else if (!known[u][slot.slot] &&
                 (index.IsOrphan(slot) || index.IsSettled(slot))) {
        others.push_back(slot);
      }
    });
    for (const DirtySlot& slot : others) {
      index.Discard(slot);
    }
  }
}

core::Result<bool> Catalogue::IsWholeOnDevice(const Commit& commit) {
  STOKER_ASSIGN(const std::unique_ptr<storage::BlockQueue> queue,
                tier_.device().NewQueue(1, clock_));
  const std::uint64_t block = tier_.block_bytes();
  STOKER_ASSIGN(const core::AlignedBuffer memory,
                core::AlignedBuffer::Make(block, false));
  std::uint64_t whole = 0;
  core::Status failed;
  ForEachBlock(commit, [&](TierUnit& unit, const Index::FoundBlock& found) {
    if (!failed.ok()) {
      return;
    }
    const auto bytes = memory.bytes().first(core::PagesUp(found.record.length));
    storage::BlockOp op = WriteOf(unit, found.slot.slot, bytes, 0);
    op.kind = storage::BlockOp::Kind::kRead;
    storage::BlockDone done;
    const core::Result<std::size_t> sent = queue->Submit(std::span(&op, 1));
    failed = sent.status();
    if (failed.ok()) {
      failed = queue->Reap(std::span(&done, 1), 1, core::kNever).status();
    }
    const SlotRecord& record = found.record;
    if (failed.ok() && done.status.ok() &&
        IsWhole(unit, record.key, found.slot.slot, record.generation,
                record.crc, bytes.first(record.length))) {
      ++whole;
    }
  });
  STOKER_TRY(failed);
  return whole == (commit.size + block - 1) / block;
}

}  // namespace stoker::cache::internal
