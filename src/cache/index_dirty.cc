// Blocks of objects that the store behind does not have yet.

#include <cstdint>

#include "cache/index.h"
#include "cache/internal/index_header.h"
#include "cache/internal/slot_words.h"

namespace stoker::cache {

using internal::KeyOf;
using internal::kNobody;
using internal::kOrphan;
using internal::Swap;
using internal::WordOf;

void Index::SetRecord(std::uint32_t slot, const SlotRecord& record) {
  SlotEntry& set = entry(slot);
  set.length.store(record.length, std::memory_order_relaxed);
  for (std::size_t g = 0; g < kGranulesPerSlot; ++g) {
    set.crc[g].store(record.crc[g], std::memory_order_relaxed);
  }
}

SlotRecord Index::RecordOf(std::uint32_t slot) const {
  const SlotEntry& asked = entry(slot);
  const SlotWord word = WordOf(asked);
  SlotRecord record{.state = word.state,
                    .key = KeyOf(asked),
                    .generation = word.generation,
                    .length = asked.length.load(std::memory_order_relaxed)};
  for (std::size_t g = 0; g < kGranulesPerSlot; ++g) {
    record.crc[g] = asked.crc[g].load(std::memory_order_relaxed);
  }
  return record;
}

// --- room --------------------------------------------------------------------

Claim Index::ClaimDirtySlot(const Fingerprint& key, std::uint32_t length) {
  if (Peek(key) != Look::kMiss) {
    return {.outcome = ClaimOutcome::kTaken};
  }
  std::uint32_t slot = Allocate(length, 0);
  if (slot == kNoSlot) {
    slot = EvictAny(IsSmall(length) ? 1 : 0);
  }
  if (slot == kNoSlot && IsSmall(length)) {
    slot = EvictAny(0);
  }
  return ClaimWith(slot, key, length, kNeverAgain);
}

// A valid slot that nobody reads, or kNoSlot.
std::uint32_t Index::EvictAny(std::size_t number) {
  Header::Class& slots = header_->classes[number];
  const std::uint32_t count = options_.geometry.classes[number].slots;
  if (count == 0) {
    return kNoSlot;
  }
  const std::uint32_t first = FirstOf(number);
  const internal::ProcessTable table(header_->processes);
  const std::uint32_t start =
      slots.hint.load(std::memory_order_relaxed) - first;
  for (std::uint32_t step = 0; step < count; ++step) {
    const std::uint32_t slot = first + (start + step) % count;
    SlotEntry& candidate = entry(slot);
    const SlotWord word = WordOf(candidate);
    const SlotWord ours = {.state = SlotState::kEvicting,
                           .owner = row_,
                           .generation = word.generation};
    if (word.state != SlotState::kValid || !Swap(candidate, word, ours)) {
      continue;
    }
    if (table.IsPinned(slot)) {
      Swap(candidate, ours, word);
      continue;
    }
    slots.hint.store(first + (start + step + 1) % count,
                     std::memory_order_relaxed);
    evicted_.fetch_add(1, std::memory_order_relaxed);
    if (HasOrder()) {
      WithClass(number, [&] { evictions_[number]->OnRemove(slot - first); });
    }
    WithStripe(BucketOf(KeyOf(candidate)), [&] { Unlink(slot); });
    return slot;
  }
  return kNoSlot;
}

std::uint32_t Index::DirtyCount() const {
  const SlotCounts counts = Count();
  return counts.dirty;
}

std::uint64_t Index::reserved_dirty() const {
  return internal::ProcessTable(header_->processes).Reserved();
}

void Index::ReserveDirty(std::int64_t slots) {
  internal::ProcessTable(header_->processes)
      .reserved(row_)
      .fetch_add(static_cast<std::uint32_t>(slots));
}

// --- what processes share ----------------------------------------------------

internal::CommitBoard& Index::commit_board() { return header_->commits; }

bool Index::TakeSeat(std::uint64_t name) {
  const internal::ProcessTable table(header_->processes);
  internal::CommitBoard::Seat* unused = nullptr;
  for (internal::CommitBoard::Seat& seat : header_->commits.seats) {
    const std::uint64_t there = seat.name.load();
    const auto row = static_cast<std::uint16_t>(seat.row.load());
    // A row may be another process's by now.
    const bool given_up = there == 0 || table.PidOf(row) != seat.pid.load() ||
                          !table.IsAlive(row) ||
                          (row != row_ && table.IsStopped(row));
    if (there == name) {
      if (row != row_ && !given_up) {
        return false;
      }
      seat.row.store(row_);
      seat.pid.store(table.PidOf(row_));
      return true;
    }
    unused = unused == nullptr && given_up ? &seat : unused;
  }
  if (unused == nullptr) {
    return false;
  }
  unused->row.store(row_);
  unused->pid.store(table.PidOf(row_));
  unused->name.store(name);
  return true;
}

void Index::LeaveSeat(std::uint64_t name) {
  for (internal::CommitBoard::Seat& seat : header_->commits.seats) {
    if (seat.name.load() == name && seat.row.load() == row_) {
      seat.name.store(0);
    }
  }
}

// --- from one state to the next ----------------------------------------------

bool Index::Settle(const DirtySlot& dirty) {
  const SlotWord word = WordOf(entry(dirty.slot));
  return word.state == SlotState::kDirty &&
         word.generation == dirty.generation &&
         (word.owner == kNobody ||
          ((word.owner == row_ || word.owner == kOrphan) &&
           Swap(entry(dirty.slot), word,
                {.state = SlotState::kDirty,
                 .owner = kNobody,
                 .generation = word.generation})));
}

bool Index::MakeClean(const DirtySlot& dirty) {
  SlotEntry& cleaned = entry(dirty.slot);
  const SlotWord word = WordOf(cleaned);
  if (word.state != SlotState::kDirty || word.generation != dirty.generation) {
    return false;
  }
  const SlotWord valid = {.state = SlotState::kValid,
                          .generation = word.generation};
  const Place place = PlaceOf(dirty.slot);
  const auto clean = [&] {
    if (!Swap(cleaned, word, valid)) {
      return false;
    }
    if (HasOrder()) {
      evictions_[place.number]->OnInsert(place.local, kNeverAgain);
    }
    return true;
  };
  return HasOrder() ? WithClass(place.number, clean) : clean();
}

void Index::Discard(const DirtySlot& slot) {
  const SlotWord word = WordOf(entry(slot.slot));
  if ((word.state == SlotState::kDirty || word.state == SlotState::kValid) &&
      word.generation == slot.generation) {
    Leave(slot.slot, word);
  }
}

bool Index::IsMine(const DirtySlot& dirty) const {
  return WordOf(entry(dirty.slot)) == SlotWord{.state = SlotState::kDirty,
                                               .owner = row_,
                                               .generation = dirty.generation};
}

bool Index::IsOrphan(const DirtySlot& dirty) const {
  return WordOf(entry(dirty.slot)) == SlotWord{.state = SlotState::kDirty,
                                               .owner = kOrphan,
                                               .generation = dirty.generation};
}

bool Index::IsSettled(const DirtySlot& dirty) const {
  return WordOf(entry(dirty.slot)) == SlotWord{.state = SlotState::kDirty,
                                               .owner = kNobody,
                                               .generation = dirty.generation};
}

// A chain that another key is taken out of may look shorter than it is.
std::optional<Index::FoundBlock> Index::FindBlock(const Fingerprint& key) {
  std::optional<FoundBlock> found = LookUp(key);
  if (!found.has_value()) {
    WithStripe(BucketOf(key), [&] { found = LookUp(key); });
  }
  return found;
}

std::optional<Index::FoundBlock> Index::LookUp(const Fingerprint& key) const {
  const std::uint32_t slot = Find(key);
  if (slot == kNoSlot) {
    return std::nullopt;
  }
  const SlotRecord record = RecordOf(slot);
  if (record.key != key || (record.state != SlotState::kDirty &&
                            record.state != SlotState::kValid)) {
    return std::nullopt;
  }
  return FoundBlock{.slot = {.slot = slot, .generation = record.generation},
                    .record = record};
}

void Index::ForEachDirty(
    const std::function<void(const DirtySlot&, const SlotRecord&)>& visit)
    const {
  for (std::uint32_t slot = 0; slot < options_.geometry.slots(); ++slot) {
    if (WordOf(entry(slot)).state != SlotState::kDirty) {
      continue;
    }
    const SlotRecord record = RecordOf(slot);
    if (record.state == SlotState::kDirty) {
      visit({.slot = slot, .generation = record.generation}, record);
    }
  }
}

}  // namespace stoker::cache
