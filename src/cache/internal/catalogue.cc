#include "cache/internal/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "cache/block_key.h"
#include "cache/internal/kill_point.h"
#include "cache/internal/slot_write.h"
#include "core/pages.h"
#include "core/random.h"

namespace stoker::cache::internal {

namespace {

// How long the device may take to read or write a commit.
constexpr core::Nanos kCommitPatience = std::chrono::seconds(30);
constexpr int kCommitLooks = 8;

Fingerprint CommitKey(std::string_view store, std::string_view name) {
  const Fingerprint key =
      ObjectKey(std::string(store).append("/").append(name), kCommitKeyHigh);
  return {.high = kCommitKeyHigh, .low = key.high ^ key.low};
}

std::string TextOf(const Commit& commit) {
  const nlohmann::json text = {{"store", commit.store},
                               {"name", commit.name},
                               {"sequence", commit.sequence},
                               {"size", commit.size},
                               {"version", commit.version},
                               {"dirty", commit.dirty},
                               {"store_version", commit.store_version},
                               {"first_sequence", commit.first_sequence},
                               {"after", commit.after}};
  // Names may be any bytes.
  return text.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<Commit> FromText(std::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    return std::nullopt;
  }
  Commit commit;
  commit.store = json.value("store", "");
  commit.name = json.value("name", "");
  commit.sequence = json.value("sequence", std::uint64_t{0});
  commit.size = json.value("size", std::uint64_t{0});
  commit.version = json.value("version", std::uint64_t{0});
  commit.dirty = json.value("dirty", true);
  commit.store_version = json.value("store_version", std::uint64_t{0});
  commit.first_sequence = json.value("first_sequence", std::uint64_t{0});
  commit.after = json.value("after", std::vector<std::string>());
  return commit;
}

}  // namespace

core::Result<std::unique_ptr<Catalogue>> Catalogue::Make(Tier& tier,
                                                         std::string store,
                                                         core::Clock& clock) {
  std::unique_ptr<Catalogue> made(new Catalogue(tier, std::move(store), clock));
  STOKER_ASSIGN(made->queue_, tier.device().NewQueue(1, clock));
  STOKER_ASSIGN(made->page_, core::AlignedBuffer::Make(
                                 core::PagesUp(made->granule_bytes()), false));
  return made;
}

Catalogue::Catalogue(Tier& tier, std::string store, core::Clock& clock)
    : tier_(tier), store_(std::move(store)), clock_(clock) {}

// Of the smaller slots.
std::uint64_t Catalogue::granule_bytes() const {
  const Geometry& geometry = tier_.units().front().index->geometry();
  const std::uint64_t small = geometry.classes[1].slots > 0
                                  ? geometry.classes[1].slot_bytes
                                  : geometry.classes[0].slot_bytes;
  return small / kGranulesPerSlot;
}

bool Catalogue::Fits(const Commit& commit) const {
  // Numbers that are still to be filled in are long.
  Commit longest = commit;
  longest.sequence = longest.first_sequence = longest.store_version =
      UINT64_MAX;
  longest.store = store_;
  return TextOf(longest).size() <= granule_bytes();
}

bool Catalogue::any() const {
  return tier_.UnitOf({.high = kCommitKeyHigh}).index->has_commits();
}

// --- reading -----------------------------------------------------------------

std::optional<Commit> Catalogue::Find(std::string_view name) {
  if (!any()) {
    return std::nullopt;
  }
  const std::scoped_lock lock(mutex_);
  return FindLocked(CommitKey(store_, name));
}

std::optional<Commit> Catalogue::FindLocked(const Fingerprint& key) {
  TierUnit& unit = tier_.UnitOf(key);
  // Another process may replace it between the two looks.
  for (int look = 0; look < kCommitLooks; ++look) {
    const std::optional<Index::FoundBlock> found = unit.index->FindBlock(key);
    if (!found.has_value()) {
      return std::nullopt;
    }
    if (std::optional<Commit> commit =
            ReadLocked(unit, found->slot, found->record)) {
      return commit;
    }
  }
  return std::nullopt;
}

std::optional<Commit> Catalogue::ReadLocked(TierUnit& unit,
                                            const DirtySlot& slot,
                                            const SlotRecord& record) {
  if (record.length > granule_bytes()) {
    return std::nullopt;
  }
  const std::span<std::byte> buffer =
      page_.bytes().first(core::PagesUp(record.length));
  storage::BlockOp op = WriteOf(unit, slot.slot, buffer, 0);
  op.kind = storage::BlockOp::Kind::kRead;
  storage::BlockDone done;
  const core::Result<std::size_t> sent = queue_->Submit(std::span(&op, 1));
  if (!sent.ok() || sent.value() != 1) {
    return std::nullopt;
  }
  const core::Result<std::size_t> count =
      queue_->Reap(std::span(&done, 1), 1, clock_.Now() + kCommitPatience);
  if (!count.ok() || count.value() != 1 || !done.status.ok()) {
    return std::nullopt;
  }
  const std::span<const std::byte> text = buffer.first(record.length);
  const Fingerprint& key = record.key;
  if (GranuleCrc(key, slot.slot, slot.generation, 0, text) != record.crc[0]) {
    return std::nullopt;
  }
  std::optional<Commit> commit = FromText(std::string_view(
      reinterpret_cast<const char*>(text.data()), text.size()));
  if (commit.has_value()) {
    commit->slot = slot;
  }
  return commit;
}

std::vector<Commit> Catalogue::DirtyLocked() {
  TierUnit& unit = tier_.UnitOf({.high = kCommitKeyHigh});
  std::vector<std::pair<DirtySlot, SlotRecord>> slots;
  unit.index->ForEachDirty(
      [&](const DirtySlot& slot, const SlotRecord& record) {
        if (IsCommitKey(record.key)) {
          slots.emplace_back(slot, record);
        }
      });
  std::vector<Commit> commits;
  for (const auto& [slot, record] : slots) {
    if (std::optional<Commit> commit = ReadLocked(unit, slot, record)) {
      commits.push_back(*std::move(commit));
    }
  }
  std::ranges::sort(commits, {}, &Commit::sequence);
  return commits;
}

std::vector<Commit> Catalogue::Dirty() {
  if (!any()) {
    return {};
  }
  const std::scoped_lock lock(mutex_);
  return DirtyLocked();
}

std::vector<Commit> Catalogue::ReadyForUpload() {
  if (!any()) {
    return {};
  }
  const std::scoped_lock lock(mutex_);
  std::vector<Commit> commits = DirtyLocked();
  std::erase_if(commits, [&](const Commit& commit) {
    return commit.store != store_ || adding_.contains(commit.sequence);
  });
  return commits;
}

// --- writing -----------------------------------------------------------------

core::Status Catalogue::Flush() {
  STOKER_TRY(tier_.device().Flush());
  for (TierUnit& unit : tier_.units()) {
    if (unit.directory != nullptr) {
      STOKER_TRY(unit.directory->FlushRecords());
    }
  }
  return {};
}

core::Status Catalogue::WriteLocked(Commit& commit, bool durable) {
  const Fingerprint key = CommitKey(commit.store, commit.name);
  TierUnit& unit = tier_.UnitOf(key);
  const std::string text = TextOf(commit);
  const std::uint64_t bytes = core::PagesUp(text.size());
  const auto length = static_cast<std::uint32_t>(text.size());
  if (length > granule_bytes()) {
    return {core::Code::kUnsupported,
            fmt::format("note {} in the cache: {} bytes of names, {} at most",
                        commit.name, length, granule_bytes())};
  }
  // Of another key, so that the one that is there stays until it is replaced.
  const Fingerprint own = {
      .high = core::StreamKey(commit.version, commit.sequence),
      .low = core::StreamKey(commit.sequence, commit.version)};
  const Claim claim = unit.index->ClaimDirtySlot(own, length);
  if (claim.outcome != ClaimOutcome::kMine) {
    return {core::Code::kUnavailable,
            "note " + commit.name + " in the cache: no slot is free"};
  }
  std::memcpy(page_.bytes().data(), text.data(), text.size());
  std::ranges::fill(page_.bytes().subspan(text.size(), bytes - text.size()),
                    std::byte{0});
  const std::span<std::byte> buffer = page_.bytes().first(bytes);
  SlotRecord record =
      RecordFor(unit, claim, key, buffer.first(length),
                commit.dirty ? SlotState::kDirty : SlotState::kValid);
  record.crc[2] = static_cast<std::uint32_t>(commit.sequence >> 32U);
  record.crc[3] = static_cast<std::uint32_t>(commit.sequence);
  const storage::BlockOp op = WriteOf(unit, claim.slot, buffer, 0);
  storage::BlockDone done;
  core::Result<std::size_t> count = queue_->Submit(std::span(&op, 1));
  if (count.ok() && count.value() == 1) {
    count =
        queue_->Reap(std::span(&done, 1), 1, clock_.Now() + kCommitPatience);
  }
  core::Status status = count.ok() ? done.status : count.status();
  if (status.ok() && count.value() != 1) {
    status = {core::Code::kTimedOut, "the cache's device does not answer"};
  }
  // What is noted comes after what it is about.
  if (status.ok() && durable) {
    status = Flush();
  }
  KillPoint("D3");
  if (status.ok() && unit.directory != nullptr) {
    status = unit.directory->WriteRecord(claim.slot, record);
    KillPoint("D4");
    if (status.ok() && durable) {
      status = unit.directory->FlushRecords();
    }
  }
  if (!status.ok()) {
    unit.index->Abandon(claim);
    return status.WithContext("note " + commit.name + " in the cache");
  }
  commit.slot = {.slot = claim.slot, .generation = claim.generation};
  if (!unit.index->PublishCommit(claim, record)) {
    return {core::Code::kUnavailable,
            "note " + commit.name + " in the cache: its slot was taken"};
  }
  return {};
}

core::Status Catalogue::Add(Commit& commit, const std::vector<Placed>& blocks,
                            bool durable) {
  for (const Placed& block : blocks) {
    if (block.unit->directory != nullptr) {
      SlotRecord record = block.record;
      record.state = commit.dirty ? SlotState::kDirty : SlotState::kValid;
      STOKER_TRY(block.unit->directory->WriteRecord(block.slot.slot, record));
    }
  }
  const std::scoped_lock lock(mutex_);
  Index& index = *tier_.UnitOf({.high = kCommitKeyHigh}).index;
  const Fingerprint key = CommitKey(store_, commit.name);
  const std::optional<Commit> before = FindLocked(key);
  commit.store = store_;
  commit.sequence = index.NextSequence();
  commit.first_sequence = before.has_value() && before->dirty
                              ? before->first_sequence
                              : commit.sequence;
  adding_.insert(commit.sequence);
  const core::Status written = WriteLocked(commit, durable);
  if (written.ok()) {
    for (const Placed& block : blocks) {
      if (commit.dirty) {
        block.unit->index->Settle(block.slot);
      } else {
        block.unit->index->MakeClean(block.slot);
      }
    }
    if (commit.dirty) {
      index.Settle(commit.slot);
    }
    if (before.has_value()) {
      Forget(*before);
    }
  }
  adding_.erase(commit.sequence);
  return written;
}

core::Status Catalogue::MakeClean(const Commit& commit,
                                  std::uint64_t store_version) {
  const std::scoped_lock lock(mutex_);
  const std::optional<Commit> now =
      FindLocked(CommitKey(commit.store, commit.name));
  if (!now.has_value() || now->sequence != commit.sequence || !now->dirty) {
    return {};  // replaced, removed, or brought there by another
  }
  Commit clean = *now;
  clean.dirty = false;
  clean.store_version = store_version;
  STOKER_TRY(WriteLocked(clean, false));
  ForEachBlock(clean, [](TierUnit& unit, const Index::FoundBlock& block) {
    if (unit.index->MakeClean(block.slot) && unit.directory != nullptr) {
      SlotRecord record = block.record;
      record.state = SlotState::kValid;
      // Without it the object is brought there again after a reboot.
      (void)unit.directory->WriteRecord(block.slot.slot, record);
    }
  });
  return {};
}

bool Catalogue::Remove(std::string_view name) {
  if (!any()) {
    return false;
  }
  const std::scoped_lock lock(mutex_);
  const Fingerprint key = CommitKey(store_, name);
  const std::optional<Commit> commit = FindLocked(key);
  if (!commit.has_value()) {
    return false;
  }
  TierUnit& unit = tier_.UnitOf(key);
  // On the device first: after a reboot it must not be there again.
  if (unit.directory != nullptr) {
    SlotRecord gone;
    gone.generation = commit->slot.generation;
    (void)unit.directory->WriteRecord(commit->slot.slot, gone);
    (void)unit.directory->FlushRecords();
  }
  unit.index->Discard(commit->slot);
  Forget(*commit);
  return true;
}

// Lets go of the blocks of a writing that is of no use any more.
void Catalogue::Forget(const Commit& commit) {
  ForEachBlock(commit, [](TierUnit& unit, const Index::FoundBlock& block) {
    unit.index->Discard(block.slot);
  });
}

template <class Visit>
void Catalogue::ForEachBlock(const Commit& commit, Visit visit) {
  const Fingerprint object =
      ObjectKey(std::string(commit.store).append("/").append(commit.name),
                commit.version);
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

// Notes the slots of all objects that are whole, and lets go of the commits of
// those that are not.
void Catalogue::MarkKnown(SlotSet& known) {
  const auto mark = [&](const TierUnit& unit, const DirtySlot& slot) {
    known[static_cast<std::size_t>(&unit - tier_.units().data())][slot.slot] =
        true;
  };
  const std::uint64_t block = tier_.block_bytes();
  TierUnit& home = tier_.UnitOf({.high = kCommitKeyHigh});
  for (const Commit& commit : DirtyLocked()) {
    std::uint64_t found = 0;
    ForEachBlock(commit, [&](TierUnit& /*unit*/, const Index::FoundBlock& one) {
      found += one.record.state == SlotState::kDirty ? 1 : 0;
    });
    const bool orphan = home.index->IsOrphan(commit.slot);
    if (orphan && found < (commit.size + block - 1) / block) {
      home.index->Discard(commit.slot);
      continue;
    }
    mark(home, commit.slot);
    ForEachBlock(commit, [&](TierUnit& unit, const Index::FoundBlock& one) {
      mark(unit, one.slot);
      if (unit.index->IsOrphan(one.slot)) {
        unit.index->Settle(one.slot);
      }
    });
    if (orphan) {
      home.index->Settle(commit.slot);
    }
  }
}

void Catalogue::Adopt() {
  const std::scoped_lock lock(mutex_);
  SlotSet known;
  for (const TierUnit& unit : tier_.units()) {
    known.emplace_back(unit.index->geometry().slots());
  }
  MarkKnown(known);
  std::vector<std::pair<std::size_t, DirtySlot>> others;
  for (std::size_t u = 0; u < known.size(); ++u) {
    const Index& index = *tier_.units()[u].index;
    index.ForEachDirty([&](const DirtySlot& slot, const SlotRecord&) {
      if (!known[u][slot.slot] &&
          (index.IsOrphan(slot) || index.IsSettled(slot))) {
        others.emplace_back(u, slot);
      }
    });
  }
  // An object that was added meanwhile was so before its blocks were settled.
  MarkKnown(known);
  for (const auto& [u, slot] : others) {
    if (!known[u][slot.slot]) {
      tier_.units()[u].index->Discard(slot);
    }
  }
}

}  // namespace stoker::cache::internal
