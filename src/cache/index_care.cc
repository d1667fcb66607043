#include <array>
#include <cstdint>

#include "cache/index.h"
#include "cache/internal/index_header.h"
#include "cache/internal/kill_point.h"
#include "cache/internal/slot_words.h"
#include "cache/internal/write_budget.h"

namespace stoker::cache {

using internal::IsLinkedState;
using internal::KeyOf;
using internal::kNobody;
using internal::Swap;
using internal::WordOf;

// Chains are made anew from what the entries say.
void Index::RepairStripe(std::uint32_t stripe) {
  repaired_.fetch_add(1);
  const std::uint32_t slots = options_.geometry.slots();
  for (std::uint32_t bucket = stripe; bucket < slots; bucket += kIndexStripes) {
    buckets_[bucket].store(kNoSlot);
  }
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    const Fingerprint key = KeyOf(entry(slot));
    if (IsLinkedState(WordOf(entry(slot)).state) &&
        BucketOf(key) % kIndexStripes == stripe) {
      Link(slot, key);
    }
  }
}

// Whether the bucket's chain leads to its own slots and to its end. Without the
// lock of its stripe "no" may be because it changes meanwhile.
bool Index::IsWhole(std::uint32_t bucket) const {
  const std::uint32_t slots = options_.geometry.slots();
  std::uint32_t slot = buckets_[bucket].load(std::memory_order_relaxed);
  for (std::uint32_t step = 0; slot < slots && step < slots; ++step) {
    if (BucketOf(KeyOf(entry(slot))) != bucket) {
      return false;
    }
    slot = entry(slot).chain.load(std::memory_order_relaxed);
  }
  return slot == kNoSlot;
}

// With the lock of the bucket's stripe. A chain that leads to what is no slot,
// to a slot of another bucket or in a circle was spoilt by a memory error:
// those of the whole stripe are made anew.
void Index::MendChain(std::uint32_t bucket) {
  if (!IsWhole(bucket)) {
    damaged_.fetch_add(1, std::memory_order_relaxed);
    RepairStripe(bucket % kIndexStripes);
  }
}

void Index::RepairClass(std::size_t number) {
  repaired_.fetch_add(1);
  const std::uint32_t first = FirstOf(number);
  evictions_[number]->Rebuild([&](std::uint32_t slot) {
    return WordOf(entry(first + slot)).state == SlotState::kValid;
  });
}

void Index::Rest(const Claim& claim) {
  SlotEntry& claimed = entry(claim.slot);
  WithStripe(BucketOf(KeyOf(claimed)), [&] {
    const SlotWord word = WordOf(claimed);
    if (word.state == SlotState::kFilling && word.owner == row_ &&
        word.generation == claim.generation) {
      Quarantine(claim.slot, word);
    }
  });
}

void Index::Forsake(const Claim& claim) {
  SlotEntry& claimed = entry(claim.slot);
  const SlotWord word = WordOf(claimed);
  if (word.state == SlotState::kQuarantined && word.owner == row_ &&
      word.generation == claim.generation + 1) {
    Swap(claimed, word,
         {.state = SlotState::kQuarantined,
          .owner = internal::kForsaken,
          .generation = word.generation});
  }
}

std::size_t Index::Sweep() {
  internal::ProcessTable table(header_->processes);
  std::array<bool, internal::kMostProcesses> dead{};
  std::size_t found = 0;
  for (std::uint16_t row = 0; row < internal::kMostProcesses; ++row) {
    dead[row] = table.BeginBurial(row);
    found += dead[row] ? 1 : 0;
  }
  const auto grace_ms =
      static_cast<std::int32_t>(options_.grace / std::chrono::milliseconds(1));
  std::array<std::uint32_t, 2> free{};
  for (std::uint32_t slot = 0; slot < options_.geometry.slots(); ++slot) {
    SlotEntry& swept = entry(slot);
    const SlotWord word = WordOf(swept);
    const bool orphan = word.owner < dead.size() && dead[word.owner];
    free[PlaceOf(slot).number] += word.state == SlotState::kFree ? 1 : 0;
    // Only memory errors make states that are none, or owners that never were.
    if (word.state > SlotState::kQuarantined ||
        ((orphan || table.IsFree(word.owner)) &&
         (word.state == SlotState::kFilling ||
          word.state == SlotState::kEvicting))) {
      WithStripe(BucketOf(KeyOf(swept)), [&] {
        // Nobody else's to free before it is unlinked and its rest has begun.
        const SlotWord ours = {.state = SlotState::kEvicting,
                               .owner = row_,
                               .generation = word.generation + 1};
        if (Swap(swept, word, ours)) {
          Unlink(slot);
          swept.lease_ms.store(NowMs());
          Swap(swept, ours,
               {.state = SlotState::kQuarantined,
                .owner = kNobody,
                .generation = ours.generation});
        }
      });
    } else if (orphan && word.state == SlotState::kDirty) {
      // Before the row is another's.
      Swap(swept, word,
           {.state = SlotState::kDirty,
            .owner = internal::kOrphan,
            .generation = word.generation});
    } else if (word.state == SlotState::kQuarantined) {
      // What hangs on a device may arrive at any time.
      const bool gone = word.owner != internal::kForsaken &&
                        (word.owner >= dead.size() || dead[word.owner]);
      const auto rested =
          static_cast<std::int32_t>(NowMs() - swept.lease_ms.load());
      if (gone && word.owner != kNobody) {
        Swap(swept, word,
             {.state = SlotState::kQuarantined,
              .owner = kNobody,
              .generation = word.generation});
      } else if (gone && rested >= grace_ms && !table.IsPinned(slot) &&
                 Swap(swept, word, {.generation = word.generation + 1})) {
        header_->classes[options_.geometry.ClassOf(slot)].free.fetch_add(1);
      }
    }
  }
  internal::KillPoint("A1");
  for (std::uint16_t row = 0; row < internal::kMostProcesses; ++row) {
    if (dead[row]) {
      table.Leave(row);
    }
  }
  for (std::size_t c = 0; c < free.size(); ++c) {
    // Of a count that says none nobody would look.
    std::uint32_t none = 0;
    header_->classes[c].free.compare_exchange_strong(none, free[c]);
  }
  return found;
}

void Index::SweepIfDue() {
  std::uint32_t last = header_->swept_ms.load(std::memory_order_relaxed);
  const std::uint32_t now = NowMs();
  if (static_cast<std::int32_t>(now - last) >=
          kSweepEvery / std::chrono::milliseconds(1) &&
      header_->swept_ms.compare_exchange_strong(last, now)) {
    Sweep();
  }
}

void Index::Clear() {
  const internal::ProcessTable table(header_->processes);
  for (std::uint32_t slot = 0; slot < options_.geometry.slots(); ++slot) {
    const SlotWord word = WordOf(entry(slot));
    if (word.state == SlotState::kValid && !table.IsPinned(slot)) {
      Evacuate(slot, word.generation);
    }
  }
}

SlotCounts Index::Count() const {
  SlotCounts counts;
  for (std::uint32_t slot = 0; slot < options_.geometry.slots(); ++slot) {
    switch (WordOf(entry(slot)).state) {
      case SlotState::kFree:
        ++counts.free;
        break;
      case SlotState::kFilling:
        ++counts.filling;
        break;
      case SlotState::kValid:
        ++counts.valid;
        counts.valid_bytes += entry(slot).length.load();
        break;
      case SlotState::kEvicting:
        ++counts.evicting;
        break;
      case SlotState::kDirty:
        ++(IsCommitKey(KeyOf(entry(slot))) ? counts.table : counts.dirty);
        break;
      case SlotState::kQuarantined:
      default:  // what a memory error has made of a state rests as well
        ++counts.quarantined;
        break;
    }
  }
  return counts;
}

IndexCounters Index::counters() const {
  return {.evictions = evicted_.load(),
          .takeovers = taken_over_.load(),
          .lost = lost_.load(),
          .repairs = repaired_.load(),
          .damages = damaged_.load()};
}

void Index::ForEachValid(
    const std::function<void(std::uint32_t, const SlotRecord&)>& visit) const {
  for (std::uint32_t slot = 0; slot < options_.geometry.slots(); ++slot) {
    const SlotEntry& seen = entry(slot);
    const SlotWord word = WordOf(seen);
    SlotRecord record{.state = word.state,
                      .key = KeyOf(seen),
                      .generation = word.generation,
                      .length = seen.length.load()};
    for (std::size_t g = 0; g < kGranulesPerSlot; ++g) {
      record.crc[g] = seen.crc[g].load(std::memory_order_relaxed);
    }
    if (word.state == SlotState::kValid && WordOf(seen) == word) {
      visit(slot, record);
    }
  }
}

bool Index::AllowsWrite(std::uint64_t bytes) const {
  if (options_.write_bytes_per_day == internal::kNoBudget) {
    return true;  // whatever an earlier run has overdrawn
  }
  return internal::WriteBudget(header_->budget_whole_at,
                               options_.write_bytes_per_day)
      .Allows(bytes, clock_.Now());
}

void Index::SpendWrite(std::uint64_t bytes) {
  if (options_.write_bytes_per_day != internal::kNoBudget) {
    internal::WriteBudget(header_->budget_whole_at,
                          options_.write_bytes_per_day)
        .Spend(bytes, clock_.Now());
  }
}

std::uint64_t Index::mutations() const {
  return header_->mutations.load(std::memory_order_acquire);
}

void Index::NoteMutation() { header_->mutations.fetch_add(1); }

std::size_t Index::others() const {
  return internal::ProcessTable(header_->processes).Others(row_);
}

}  // namespace stoker::cache
