#include "cache/internal/commit_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "cache/block_key.h"
#include "cache/internal/kill_point.h"
#include "cache/internal/leave_to_device.h"
#include "core/pages.h"
#include "core/random.h"

namespace stoker::cache::internal {

namespace {

constexpr std::uint64_t kUnitBytes = core::kPageBytes;
constexpr std::uint64_t kEntryMagic = 0x313074696D6D6F43;  // "Commit01"
// How long the device may take to read or write a part of the table.
constexpr core::Nanos kTablePatience = std::chrono::seconds(30);

struct EntryHead {
  std::uint64_t magic = 0;
  std::uint32_t bytes = 0;  // of the body
  std::uint32_t crc = 0;    // of the body, as GranuleCrc, in place `unit`
};

// Slots whose records may share a sector of the table of records.
constexpr std::uint32_t kSlotsApart = 16;
constexpr std::size_t kMostTries = 32;

std::uint32_t UnitsFor(std::size_t body) {
  return static_cast<std::uint32_t>(
      (sizeof(EntryHead) + body + kUnitBytes - 1) / kUnitBytes);
}

}  // namespace

Fingerprint TableKey(std::uint32_t number) {
  const std::uint64_t spread = core::StreamKey(number) >> 32U << 32U;
  return {.high = kCommitKeyHigh, .low = spread | number};
}

core::Result<std::unique_ptr<CommitTable>> CommitTable::Make(
    Tier& tier, core::Clock& clock) {
  std::unique_ptr<CommitTable> made(new CommitTable(tier, clock));
  STOKER_ASSIGN(made->queue_, tier.device().NewQueue(1, clock));
  STOKER_ASSIGN(made->memory_,
                core::AlignedBuffer::Make(made->page_bytes_, false));
  return made;
}

CommitTable::CommitTable(Tier& tier, core::Clock& clock)
    : tier_(tier), clock_(clock) {
  const Geometry& geometry = tier.units().front().index->geometry();
  const SlotClass& slots =
      geometry.classes[1].slots > 0 ? geometry.classes[1] : geometry.classes[0];
  page_bytes_ = std::min(slots.slot_bytes, kMostPageBytes);
}

CommitTable::~CommitTable() {
  if (queue_ != nullptr && queue_->in_flight() > 0) {
    LeaveToDevice(tier_, std::move(queue_), std::move(memory_));
  }
}

CommitBoard& CommitTable::board() {
  return tier_.units().front().index->commit_board();
}

std::uint32_t CommitTable::units() const {
  return static_cast<std::uint32_t>(page_bytes_ / kUnitBytes);
}

bool CommitTable::Fits(const Commit& commit) const {
  return UnitsFor(Encode(commit).size()) <= units();
}

CommitTable::Copies CommitTable::CopiesOf(std::uint32_t page) const {
  Copies copies;
  for (std::uint32_t copy = 0; copy < copies.size(); ++copy) {
    const std::optional<Index::FoundBlock> found =
        tier_.units().front().index->FindBlock(TableKey(2 * page + copy));
    if (found.has_value()) {
      copies[copy] = found->slot;
    }
  }
  return copies;
}

core::Status CommitTable::Transfer(storage::BlockOp::Kind kind,
                                   const DirtySlot& slot, std::uint64_t offset,
                                   std::span<std::byte> buffer) {
  STOKER_TRY(broken_);
  const TierUnit& home = tier_.units().front();
  const storage::BlockOp op{
      .kind = kind,
      .offset = home.device_offset +
                home.index->geometry().OffsetOf(slot.slot) + offset,
      .buffer = buffer};
  storage::BlockDone done;
  core::Result<std::size_t> count = queue_->Submit(std::span(&op, 1));
  if (count.ok()) {
    count = queue_->Reap(std::span(&done, 1), 1, clock_.Now() + kTablePatience);
  }
  if (count.ok() && count.value() == 1) {
    return done.status;
  }
  broken_ = count.ok() ? core::Status(core::Code::kTimedOut,
                                      "the cache's device does not answer")
                       : count.status();
  return broken_;
}

// --- reading -----------------------------------------------------------------

std::optional<Commit> CommitTable::Parse(std::span<const std::byte> bytes,
                                         const DirtySlot& slot,
                                         std::uint32_t copy,
                                         std::uint32_t unit) const {
  EntryHead head;
  std::memcpy(&head, bytes.data(), sizeof(head));
  if (head.magic != kEntryMagic ||
      head.bytes > bytes.size() - sizeof(EntryHead)) {
    return std::nullopt;
  }
  const auto body = bytes.subspan(sizeof(EntryHead), head.bytes);
  if (GranuleCrc(TableKey(2 * (unit / units()) + copy), slot.slot,
                 slot.generation, unit % units(), body) != head.crc) {
    return std::nullopt;
  }
  return Decode(body);
}

void CommitTable::Note(std::uint32_t unit, Commit commit) {
  std::atomic<std::uint64_t>& last = board().sequence;
  std::uint64_t seen = last.load();
  while (seen < commit.sequence &&
         !last.compare_exchange_weak(seen, commit.sequence)) {
  }
  entries_.insert_or_assign(unit, std::move(commit));
}

// Where a writer died between the copies they differ: the first is written
// first.
void CommitTable::NoteNewer(std::uint32_t unit, Commit commit) {
  const auto there = entries_.find(unit);
  if (there == entries_.end() || there->second.sequence < commit.sequence) {
    Note(unit, std::move(commit));
  }
}

core::Status CommitTable::ReadPage(std::uint32_t page) {
  const Copies copies = CopiesOf(page);
  bool read = false;
  core::Status failed = {
      core::Code::kCorruption,
      fmt::format("page {} of it is lost, and with it what was written and not "
                  "brought to the store; remedy: remove the cache's directory",
                  page)};
  for (std::uint32_t copy = 0; copy < copies.size(); ++copy) {
    if (!copies[copy].has_value()) {
      continue;
    }
    const std::span<std::byte> bytes = memory_.bytes().first(page_bytes_);
    const core::Status status =
        Transfer(storage::BlockOp::Kind::kRead, *copies[copy], 0, bytes);
    if (!status.ok()) {
      failed = status;
      continue;
    }
    read = true;
    for (std::uint32_t at = 0; at < units(); ++at) {
      const std::uint32_t unit = page * units() + at;
      if (std::optional<Commit> commit = Parse(bytes.subspan(at * kUnitBytes),
                                               *copies[copy], copy, unit)) {
        NoteNewer(unit, *std::move(commit));
      }
    }
  }
  return read ? core::Status() : failed;
}

core::Status CommitTable::ReadAll() {
  entries_.clear();
  for (std::uint32_t page = 0; page < board().pages.load(); ++page) {
    STOKER_TRY(ReadPage(page));
  }
  return {};
}

// What has changed in one place: at most as long as a page.
core::Status CommitTable::ReadEntry(std::uint32_t unit) {
  entries_.erase(unit);
  const Copies copies = CopiesOf(unit / units());
  const std::uint64_t offset = unit % units() * kUnitBytes;
  bool read = false;
  core::Status failed;
  for (std::uint32_t copy = 0; copy < copies.size(); ++copy) {
    if (!copies[copy].has_value()) {
      continue;
    }
    std::span<std::byte> bytes = memory_.bytes().first(kUnitBytes);
    core::Status status =
        Transfer(storage::BlockOp::Kind::kRead, *copies[copy], offset, bytes);
    EntryHead head;
    std::memcpy(&head, bytes.data(), sizeof(head));
    if (status.ok() && head.magic == kEntryMagic && UnitsFor(head.bytes) > 1 &&
        head.bytes <= page_bytes_ - offset - sizeof(EntryHead)) {
      bytes = memory_.bytes().first(UnitsFor(head.bytes) * kUnitBytes);
      status =
          Transfer(storage::BlockOp::Kind::kRead, *copies[copy], offset, bytes);
    }
    if (!status.ok()) {
      failed = status;
      continue;
    }
    read = true;
    if (std::optional<Commit> commit =
            Parse(bytes, *copies[copy], copy, unit)) {
      NoteNewer(unit, *std::move(commit));
    }
  }
  return read ? core::Status() : failed;
}

bool CommitTable::IsUpToDate() {
  return read_ && seen_ == board().changes.load();
}

core::Status CommitTable::Refresh() {
  const std::uint64_t now = board().changes.load();
  core::Status status;
  if (!read_ || now - seen_ > CommitBoard::kChanges) {
    status = ReadAll();
    read_ = status.ok();
  } else {
    for (std::uint64_t number = seen_ + 1; status.ok() && number <= now;
         ++number) {
      status =
          ReadEntry(board().changed[number % CommitBoard::kChanges].load());
    }
  }
  if (!status.ok()) {
    return status.WithContext("read the cache's table of written objects");
  }
  seen_ = now;
  return {};
}

// --- writing -----------------------------------------------------------------

core::Status CommitTable::WriteUnits(std::uint32_t unit,
                                     std::span<const std::byte> body,
                                     std::uint32_t count) {
  STOKER_TRY(broken_);  // the device may still read the memory
  const std::uint32_t page = unit / units();
  const Copies copies = CopiesOf(page);
  std::size_t written = 0;
  core::Status failed;
  for (std::uint32_t copy = 0; copy < copies.size(); ++copy) {
    if (!copies[copy].has_value()) {
      continue;
    }
    const std::span<std::byte> bytes =
        memory_.bytes().first(count * kUnitBytes);
    std::ranges::fill(bytes, std::byte{0});
    if (!body.empty()) {
      const EntryHead head{
          .magic = kEntryMagic,
          .bytes = static_cast<std::uint32_t>(body.size()),
          .crc = GranuleCrc(TableKey(2 * page + copy), copies[copy]->slot,
                            copies[copy]->generation, unit % units(), body)};
      std::memcpy(bytes.data(), &head, sizeof(head));
      std::memcpy(bytes.data() + sizeof(head), body.data(), body.size());
    }
    const core::Status status =
        Transfer(storage::BlockOp::Kind::kWrite, *copies[copy],
                 unit % units() * kUnitBytes, bytes);
    written += status.ok() ? 1 : 0;
    failed = status.ok() ? failed : status;
  }
  if (written == 0 && failed.ok()) {
    failed = {core::Code::kCorruption,
              "the cache's table of written objects is damaged"};
  }
  return failed;
}

std::optional<std::uint32_t> CommitTable::RoomFor(std::uint32_t count) const {
  const std::uint32_t pages =
      tier_.units().front().index->commit_board().pages.load();
  for (std::uint32_t page = 0; page < pages; ++page) {
    std::uint32_t free = page * units();
    const std::uint32_t end = free + units();
    for (auto at = entries_.lower_bound(free);
         at != entries_.end() && at->first < end; ++at) {
      if (at->first - free >= count) {
        return free;
      }
      free = at->first + UnitsFor(Encode(at->second).size());
    }
    if (free <= end && end - free >= count) {
      return free;
    }
  }
  return std::nullopt;
}

core::Status CommitTable::EnsurePage() {
  return board().pages.load() == 0 ? AddPage() : core::Status();
}

bool CommitTable::HasRoom(const Commit& commit) const {
  return RoomFor(UnitsFor(Encode(commit).size())).has_value();
}

core::Status CommitTable::EnsureRoom(const Commit& commit) {
  return HasRoom(commit) ? core::Status() : AddPage();
}

core::Status CommitTable::AddPage() {
  TierUnit& home = tier_.units().front();
  Index& index = *home.index;
  const std::uint32_t page = board().pages.load();
  Copies copies;
  for (std::uint32_t copy = 0; copy < copies.size(); ++copy) {
    const Fingerprint key = TableKey(2 * page + copy);
    std::optional<Index::FoundBlock> there = index.FindBlock(key);
    if (!there.has_value()) {
      STOKER_ASSIGN(there, ClaimPage(key, copies[0]));
    }
    copies[copy] = there->slot;
    // Also of one whose maker died here.
    if (home.directory != nullptr) {
      STOKER_TRY(home.directory->WriteRecord(there->slot.slot, there->record));
    }
  }
  board().pages.store(page + 1);
  return {};
}

// A slot for a copy of a page, whose record is in no sector with that of
// `other`, if there is one.
core::Result<Claim> CommitTable::ClaimApart(
    const Fingerprint& key, const std::optional<DirtySlot>& other) {
  Index& index = *tier_.units().front().index;
  const auto length = static_cast<std::uint32_t>(page_bytes_);
  std::vector<Claim> near;
  Claim claim = index.ClaimDirtySlot(key, length);
  while (claim.outcome == ClaimOutcome::kMine && other.has_value() &&
         claim.slot / kSlotsApart == other->slot / kSlotsApart &&
         near.size() < kMostTries) {
    // Taken for nothing, so that the next look finds another.
    index.Abandon(claim);
    const Claim held = index.ClaimDirtySlot(
        {.high = key.low, .low = key.high ^ near.size()}, length);
    if (held.outcome == ClaimOutcome::kMine) {
      near.push_back(held);
    }
    claim = index.ClaimDirtySlot(key, length);
    if (held.outcome != ClaimOutcome::kMine) {
      break;
    }
  }
  for (const Claim& held : near) {
    index.Abandon(held);
  }
  if (claim.outcome != ClaimOutcome::kMine) {
    claim = index.ClaimDirtySlot(key, length);  // better near than not at all
  }
  if (claim.outcome != ClaimOutcome::kMine) {
    return core::Status(core::Code::kUnavailable,
                        "make room in the cache's table of written objects: no "
                        "slot is free");
  }
  return claim;
}

// An empty copy of a page.
core::Result<Index::FoundBlock> CommitTable::ClaimPage(
    const Fingerprint& key, const std::optional<DirtySlot>& other) {
  STOKER_TRY(broken_);
  Index& index = *tier_.units().front().index;
  STOKER_ASSIGN(const Claim claim, ClaimApart(key, other));
  const auto length = static_cast<std::uint32_t>(page_bytes_);
  const Index::FoundBlock made{
      .slot = {.slot = claim.slot, .generation = claim.generation},
      .record = {.state = SlotState::kDirty,
                 .key = key,
                 .generation = claim.generation,
                 .length = length}};
  // What was there before may look like entries.
  const std::span<std::byte> bytes = memory_.bytes().first(page_bytes_);
  std::ranges::fill(bytes, std::byte{0});
  core::Status status =
      Transfer(storage::BlockOp::Kind::kWrite, made.slot, 0, bytes);
  if (status.ok()) {
    status = tier_.device().Flush();
  }
  if (!status.ok()) {
    if (queue_->in_flight() > 0) {  // it may still be written to
      index.Rest(claim);
      index.Forsake(claim);
    } else {
      index.Abandon(claim);
    }
    return status.WithContext(
        "make a page of the cache's table of written "
        "objects");
  }
  if (!index.Publish(claim, made.record) || !index.Settle(made.slot)) {
    return core::Status(core::Code::kUnavailable,
                        "make a page of the cache's table of written objects: "
                        "its slot was taken over");
  }
  return made;
}

core::Result<std::uint32_t> CommitTable::Put(const Commit& commit) {
  const std::vector<std::byte> body = Encode(commit);
  const std::uint32_t count = UnitsFor(body.size());
  if (count > units()) {
    return core::Status(
        core::Code::kUnsupported,
        "note " + commit.name + " in the cache: its names are too long");
  }
  std::optional<std::uint32_t> unit = RoomFor(count);
  if (!unit.has_value()) {
    STOKER_TRY(AddPage());
    unit = (board().pages.load() - 1) * units();
  }
  const core::Status written = WriteUnits(*unit, body, count);
  if (!written.ok()) {
    if (broken_.ok()) {
      (void)WriteUnits(*unit, {}, 1);
    }
    return written;
  }
  Note(*unit, commit);
  board().NoteChange(*unit);
  seen_ = board().changes.load();
  return *unit;
}

core::Status CommitTable::ReplaceWriting(const Commit& commit) {
  const auto found = std::ranges::find_if(entries_, [&](const auto& entry) {
    return IsSameWriting(entry.second, commit);
  });
  if (found == entries_.end()) {
    return {core::Code::kNotFound, "it is not in the table"};
  }
  const std::uint32_t unit = found->first;
  const std::vector<std::byte> body = Encode(commit);
  STOKER_TRY(WriteUnits(unit, body, UnitsFor(body.size())));
  Note(unit, commit);
  board().NoteChange(unit);
  seen_ = board().changes.load();
  return {};
}

core::Status CommitTable::Erase(std::uint32_t unit) {
  STOKER_TRY(WriteUnits(unit, {}, 1));
  entries_.erase(unit);
  board().NoteChange(unit);
  seen_ = board().changes.load();
  return {};
}

core::Status CommitTable::Flush() {
  STOKER_TRY(tier_.device().Flush());
  for (TierUnit& unit : tier_.units()) {
    if (unit.directory != nullptr) {
      STOKER_TRY(unit.directory->FlushRecords());
    }
  }
  return {};
}

}  // namespace stoker::cache::internal
