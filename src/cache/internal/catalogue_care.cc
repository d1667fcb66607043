// Which directories a cache's objects are spread over, and what is decided on
// what dead writers left.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "cache/internal/catalogue.h"
#include "cache/internal/catalogue_lock.h"
#include "cache/internal/slot_write.h"
#include "core/pages.h"

namespace stoker::cache::internal {

namespace {

// Says in a directory beside others which they are, in the first two checksums
// of its record.
Fingerprint LayoutKey() { return TableKey(kLayoutMark); }
std::uint64_t LayoutIn(const SlotRecord& record) {
  return std::uint64_t{record.crc[0]} << 32U | record.crc[1];
}

}  // namespace

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
        unit.index->FindBlock(LayoutKey());
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
    std::optional<Index::FoundBlock> mark = index.FindBlock(LayoutKey());
    if (mark.has_value() ? LayoutIn(mark->record) == layout_
                         : tier_.units().size() == 1) {
      continue;
    }
    if (mark.has_value()) {
      // Since this process opened it another one has used it otherwise.
      STOKER_TRY(CheckLayout());
      if (unit.directory != nullptr) {
        // It must not be found beside the new one.
        SlotRecord gone;
        gone.generation = mark->slot.generation;
        STOKER_TRY(unit.directory->WriteRecord(mark->slot.slot, gone));
        STOKER_TRY(unit.directory->FlushRecords());
      }
      index.Discard(mark->slot);
      if (tier_.units().size() == 1) {
        continue;
      }
    }
    const Claim claim = index.ClaimDirtySlot(LayoutKey(), core::kPageBytes);
    SlotRecord record{.state = SlotState::kDirty,
                      .key = LayoutKey(),
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

// --- after a death -----------------------------------------------------------

core::Status Catalogue::AdoptIfDue() {
  std::atomic<std::uint32_t>& looked = home().commit_board().looked_ms;
  const auto now = static_cast<std::uint32_t>(clock_.Now().time_since_epoch() /
                                              std::chrono::milliseconds(1));
  std::uint32_t last = looked.load();
  const auto passed = static_cast<std::int32_t>(now - last);
  if (passed >= 0 &&
      passed < Index::kSweepEvery / std::chrono::milliseconds(1)) {
    return {};
  }
  if (!looked.compare_exchange_strong(last, now)) {
    return {};
  }
  for (TierUnit& unit : tier_.units()) {
    unit.index->SweepIfDue();
  }
  return Adopt();
}

core::Status Catalogue::Adopt() {
  const auto body = [&]() -> core::Status {
    std::vector<std::vector<bool>> known;
    for (TierUnit& unit : tier_.units()) {
      known.emplace_back(unit.index->geometry().slots());
    }
    std::vector<std::pair<std::uint32_t, Commit>> entries(
        table_->entries().begin(), table_->entries().end());
    // The newest of a name first: where it does not stand, the one before does.
    std::ranges::sort(entries, std::ranges::greater(),
                      [](const auto& entry) { return entry.second.sequence; });
    const bool prove = home().commit_board().unproved.load() != 0;
    std::set<std::string> stand;
    for (const auto& [number, commit] : entries) {
      const std::string name = FullName(commit.store, commit.name);
      if (stand.contains(name)) {
        STOKER_TRY(table_->Erase(number));
        continue;
      }
      STOKER_TRY(AdoptEntry(number, commit, prove, known));
      if (table_->entries().contains(number)) {
        stand.insert(name);
      }
    }
    home().commit_board().unproved.store(0);
    LetGoOfUnknown(known);
    return {};
  };
  if (!any()) {
    return {};
  }
  return Within("look after what was written to the cache", body);
}

core::Status Catalogue::AdoptEntry(std::uint32_t number, const Commit& commit,
                                   bool prove,
                                   std::vector<std::vector<bool>>& known) {
  // Of a power cut only those stand that have been waited for, or have arrived
  // by themselves.
  if (commit.dirty && !commit.durable && prove) {
    STOKER_ASSIGN(const bool whole, IsWholeOnDevice(commit));
    if (!whole) {
      return table_->Erase(number);
    }
  }
  std::vector<std::pair<TierUnit*, Index::FoundBlock>> to_clean;
  ForEachBlock(commit, [&](TierUnit& unit, const Index::FoundBlock& block) {
    known[static_cast<std::size_t>(&unit - tier_.units().data())]
         [block.slot.slot] = true;
    if (!commit.dirty && block.record.state == SlotState::kDirty) {
      to_clean.emplace_back(&unit, block);
    } else if (commit.dirty && unit.index->IsOrphan(block.slot)) {
      unit.index->Settle(block.slot);
    }
  });
  if (!to_clean.empty()) {
    // Whoever died before may not have flushed that it is clean.
    STOKER_TRY(table_->Flush());
    for (const auto& [unit, block] : to_clean) {
      CleanBlock(*unit, block);
    }
  }
  return {};
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
  const std::uint64_t block = tier_.block_bytes();
  const core::Status silent = {core::Code::kTimedOut,
                               "the cache's device does not answer"};
  if (proof_queue_ == nullptr) {
    STOKER_ASSIGN(proof_memory_, core::AlignedBuffer::Make(block, false));
    STOKER_ASSIGN(proof_queue_, tier_.device().NewQueue(1, clock_));
  }
  if (proof_queue_->in_flight() > 0) {
    storage::BlockDone late;
    STOKER_TRY(
        proof_queue_->Reap(std::span(&late, 1), 1, clock_.Now()).status());
  }
  if (proof_queue_->in_flight() > 0) {
    return silent;
  }
  std::uint64_t whole = 0;
  core::Status failed;
  ForEachBlock(commit, [&](TierUnit& unit, const Index::FoundBlock& found) {
    if (!failed.ok()) {
      return;
    }
    const auto bytes =
        proof_memory_.bytes().first(core::PagesUp(found.record.length));
    storage::BlockOp op = WriteOf(unit, found.slot.slot, bytes, 0);
    op.kind = storage::BlockOp::Kind::kRead;
    storage::BlockDone done;
    const core::Result<std::size_t> sent =
        proof_queue_->Submit(std::span(&op, 1));
    failed = sent.status();
    if (failed.ok()) {
      const core::Result<std::size_t> count = proof_queue_->Reap(
          std::span(&done, 1), 1, clock_.Now() + kLockPatience);
      failed = !count.ok()          ? count.status()
               : count.value() == 1 ? done.status
                                    : silent;
    }
    const SlotRecord& record = found.record;
    if (failed.ok() &&
        IsWhole(unit, record.key, found.slot.slot, record.generation,
                record.crc, bytes.first(record.length))) {
      ++whole;
    }
  });
  STOKER_TRY(failed);
  return whole == (commit.size + block - 1) / block;
}

}  // namespace stoker::cache::internal
