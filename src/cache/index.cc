#include "cache/index.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "cache/internal/index_header.h"
#include "cache/internal/index_region.h"
#include "cache/internal/kill_point.h"
#include "cache/internal/slot_words.h"

namespace stoker::cache {

using internal::IsLinkedState;
using internal::KeyOf;
using internal::KillPoint;
using internal::Swap;
using internal::WordOf;

namespace {

// Steps of a chain without its lock: others may lead us astray meanwhile.
constexpr int kMostSteps = 64;

}  // namespace

SlotEntry& Index::entry(std::uint32_t slot) const { return entries_[slot]; }

Index::Place Index::PlaceOf(std::uint32_t slot) const {
  const std::uint32_t large = options_.geometry.classes[0].slots;
  return slot < large ? Place{0, slot} : Place{1, slot - large};
}

std::uint32_t Index::FirstOf(std::size_t number) const {
  return number == 0 ? 0 : options_.geometry.classes[0].slots;
}

std::uint32_t Index::NowMs() const {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(
          clock_.Now().time_since_epoch())
          .count());
}

std::uint32_t Index::BucketOf(const Fingerprint& key) const {
  // The upper half of a 32 by 32 bit product: as even as the key is.
  return static_cast<std::uint32_t>(
      ((key.low >> 32U) * options_.geometry.slots()) >> 32U);
}

std::uint32_t Index::Find(const Fingerprint& key) const {
  // What memory errors leave may lead anywhere: no number that is no slot's is
  // followed, and kNoSlot is none.
  const std::uint32_t slots = options_.geometry.slots();
  std::uint32_t slot = buckets_[BucketOf(key)].load(std::memory_order_acquire);
  for (int step = 0; slot < slots && step < kMostSteps; ++step) {
    if (KeyOf(entry(slot)) == key && IsLinkedState(WordOf(entry(slot)).state)) {
      return slot;
    }
    slot = entry(slot).chain.load(std::memory_order_acquire);
  }
  return kNoSlot;
}

// With the stripe's lock.
void Index::Link(std::uint32_t slot, const Fingerprint& key) {
  std::atomic<std::uint32_t>& head = buckets_[BucketOf(key)];
  entry(slot).chain.store(head.load(std::memory_order_relaxed),
                          std::memory_order_release);
  KillPoint("L1");
  head.store(slot, std::memory_order_release);
}

// With the lock of the stripe of its key. Nothing to do if it is not linked.
void Index::Unlink(std::uint32_t slot) {
  const std::uint32_t bucket = BucketOf(KeyOf(entry(slot)));
  MendChain(bucket);
  const std::uint32_t slots = options_.geometry.slots();
  std::atomic<std::uint32_t>* at = &buckets_[bucket];
  for (std::uint32_t step = 0; step < slots; ++step) {
    const std::uint32_t next = at->load(std::memory_order_relaxed);
    if (next >= slots) {
      return;
    }
    if (next == slot) {
      at->store(entry(slot).chain.load(std::memory_order_relaxed),
                std::memory_order_release);
      return;
    }
    at = &entry(next).chain;
  }
}

// --- reading ---------------------------------------------------------------

std::optional<PinCell> Index::ReservePins() {
  constexpr auto kThreads =
      static_cast<std::uint32_t>(internal::kPinsPerProcess / kPinsPerThread);
  for (std::uint32_t thread = 0; thread < kThreads; ++thread) {
    const std::uint32_t bit = 1U << thread;
    if ((pins_reserved_.fetch_or(bit) & bit) == 0) {
      return PinCell{thread * kPinsPerThread};
    }
  }
  return std::nullopt;
}

void Index::ReleasePins(PinCell first) {
  pins_reserved_.fetch_and(~(1U << (first.number / kPinsPerThread)));
}

Look Index::Pin(const Fingerprint& key, PinCell cell, PinnedSlot& pinned,
                std::uint32_t next_use) {
  // Whoever changes a slot between two looks at it makes us look again.
  for (int attempt = 0; attempt < 8; ++attempt) {
    const std::uint32_t slot = Find(key);
    if (slot == kNoSlot) {
      return Look::kMiss;
    }
    SlotEntry& found = entry(slot);
    const std::uint64_t word = found.word.load();
    const SlotWord now = SlotWord::Unpack(word);
    if (KeyOf(found) != key) {
      continue;
    }
    if (now.state == SlotState::kFilling) {
      return Look::kFilling;
    }
    if (now.state != SlotState::kValid && now.state != SlotState::kDirty) {
      continue;
    }
    std::atomic<std::uint32_t>& pin =
        internal::ProcessTable(header_->processes).pin(row_, cell.number);
    // Sequentially consistent, as the evictor's change of the word and its look
    // at the pins: one of the two sees the other.
    pin.store(slot);
    if (found.word.load() != word) {
      pin.store(kNoSlot, std::memory_order_release);
      continue;
    }
    pinned.slot = slot;
    pinned.generation = now.generation;
    pinned.length = found.length.load(std::memory_order_relaxed);
    for (std::size_t g = 0; g < kGranulesPerSlot; ++g) {
      pinned.crc[g] = found.crc[g].load(std::memory_order_relaxed);
    }
    if (HasOrder() && now.state == SlotState::kValid) {
      const Place place = PlaceOf(slot);
      const std::size_t c = place.number;
      const std::uint32_t local = place.local;
      if (evictions_[c]->HitNeedsLock()) {
        WithClass(c, [&] {
          // Whoever evicts does so under the lock: it is still in the order.
          if (found.word.load() == word) {
            evictions_[c]->OnHit(local, next_use);
          }
        });
      } else {
        evictions_[c]->OnHit(local, next_use);
      }
    }
    return Look::kHit;
  }
  return Look::kMiss;
}

void Index::Unpin(PinCell cell) {
  internal::ProcessTable(header_->processes)
      .pin(row_, cell.number)
      .store(kNoSlot, std::memory_order_release);
}

Look Index::Peek(const Fingerprint& key) const {
  const std::uint32_t slot = Find(key);
  if (slot == kNoSlot) {
    return Look::kMiss;
  }
  const SlotWord word = WordOf(entry(slot));
  if (word.state == SlotState::kFilling) {
    return IsGivenUp(word, entry(slot).lease_ms.load()) ? Look::kMiss
                                                        : Look::kFilling;
  }
  return Look::kHit;
}

void Index::Touch(const Fingerprint& key, std::uint32_t next_use) {
  const std::uint32_t slot = HasOrder() ? Find(key) : kNoSlot;
  if (slot == kNoSlot) {
    return;
  }
  const Place place = PlaceOf(slot);
  WithClass(place.number, [&] {
    // What is valid under the lock is in the order.
    if (WordOf(entry(slot)).state == SlotState::kValid &&
        KeyOf(entry(slot)) == key) {
      evictions_[place.number]->OnHit(place.local, next_use);
    }
  });
}

// --- filling ---------------------------------------------------------------

std::uint32_t Index::TakeFree(std::size_t number) {
  Header::Class& slots = header_->classes[number];
  const std::uint32_t count = options_.geometry.classes[number].slots;
  const std::uint32_t first = FirstOf(number);
  const std::uint32_t believed = slots.free.load();
  if (count == 0 || believed == 0) {
    return kNoSlot;
  }
  const std::uint32_t start =
      slots.hint.load(std::memory_order_relaxed) - first;
  for (std::uint32_t step = 0; step < count; ++step) {
    const std::uint32_t slot = first + (start + step) % count;
    const SlotWord word = WordOf(entry(slot));
    if (word.state == SlotState::kFree &&
        Swap(entry(slot), word,
             {.state = SlotState::kEvicting,
              .owner = row_,
              .generation = word.generation})) {
      slots.free.fetch_sub(1);
      slots.hint.store(first + (start + step + 1) % count,
                       std::memory_order_relaxed);
      return slot;
    }
  }
  // A process died between taking a slot and counting it.
  std::uint32_t expected = believed;
  slots.free.compare_exchange_strong(expected, 0);
  return kNoSlot;
}

std::uint32_t Index::Evict(std::size_t number, std::uint32_t next_use) {
  const std::uint32_t count = options_.geometry.classes[number].slots;
  if (!HasOrder() || count == 0) {
    return kNoSlot;
  }
  const std::uint32_t first = FirstOf(number);
  const internal::ProcessTable table(header_->processes);
  const std::optional<std::uint32_t> victim = WithClass(number, [&] {
    return evictions_[number]->Victim(
        [&](std::uint32_t local) {
          SlotEntry& candidate = entry(first + local);
          const SlotWord word = WordOf(candidate);
          const SlotWord ours = {.state = SlotState::kEvicting,
                                 .owner = row_,
                                 .generation = word.generation};
          if (word.state != SlotState::kValid || !Swap(candidate, word, ours)) {
            return false;
          }
          if (table.IsPinned(first + local)) {
            Swap(candidate, ours, word);
            return false;
          }
          return true;
        },
        next_use);
  });
  if (!victim.has_value()) {
    return kNoSlot;
  }
  const std::uint32_t slot = first + *victim;
  KillPoint("E1");
  evicted_.fetch_add(1, std::memory_order_relaxed);
  WithStripe(BucketOf(KeyOf(entry(slot))), [&] { Unlink(slot); });
  KillPoint("E2");
  return slot;
}

std::uint32_t Index::TakeFreeFor(std::uint32_t length) {
  if (IsSmall(length)) {
    if (const std::uint32_t slot = TakeFree(1); slot != kNoSlot) {
      return slot;
    }
  }
  return TakeFree(0);
}

std::uint32_t Index::Allocate(std::uint32_t length, std::uint32_t next_use) {
  const std::uint32_t slot = TakeFreeFor(length);
  return slot != kNoSlot ? slot : Evict(IsSmall(length) ? 1 : 0, next_use);
}

bool Index::IsSmall(std::uint32_t length) const {
  const SlotClass& small = options_.geometry.classes[1];
  return small.slots > 0 && length <= small.slot_bytes;
}

// A slot that is ours (kEvicting) and not linked becomes free.
void Index::GiveBack(std::uint32_t slot) {
  const SlotWord word = WordOf(entry(slot));
  if (Swap(entry(slot), word, {.generation = word.generation + 1})) {
    header_->classes[options_.geometry.ClassOf(slot)].free.fetch_add(1);
  }
}

bool Index::IsGivenUp(const SlotWord& word, std::uint32_t lease_ms) const {
  // Differences of 32-bit milliseconds are right for 24 days.
  const auto left = static_cast<std::int32_t>(lease_ms - NowMs());
  return left < 0 ||
         (word.owner != row_ &&
          !internal::ProcessTable(header_->processes).IsAlive(word.owner));
}

// With the lock of its stripe: the slot leaves its chain and rests. Its owner's
// Publish finds another generation.
void Index::Quarantine(std::uint32_t slot, SlotWord word) {
  // Nobody else's to free before it is unlinked and its rest has begun.
  const SlotWord ours = {.state = SlotState::kEvicting,
                         .owner = row_,
                         .generation = word.generation + 1};
  if (Swap(entry(slot), word, ours)) {
    Unlink(slot);
    entry(slot).lease_ms.store(NowMs());
    Swap(entry(slot), ours,
         {.state = SlotState::kQuarantined,
          .owner = word.owner,
          .generation = ours.generation});
  }
}

Claim Index::ClaimSlot(const Fingerprint& key, std::uint32_t length,
                       std::uint32_t next_use) {
  if (Peek(key) != Look::kMiss) {
    return {.outcome = ClaimOutcome::kTaken};
  }
  return ClaimWith(Allocate(length, next_use), key, length, next_use);
}

Claim Index::ClaimFreeSlot(const Fingerprint& key, std::uint32_t length) {
  if (Peek(key) != Look::kMiss) {
    return {.outcome = ClaimOutcome::kTaken};
  }
  return ClaimWith(TakeFreeFor(length), key, length, kNeverAgain);
}

Claim Index::ClaimWith(std::uint32_t slot, const Fingerprint& key,
                       std::uint32_t length, std::uint32_t next_use) {
  if (slot == kNoSlot) {
    // It may be there, behind a link that leads nowhere.
    if (const std::uint32_t bucket = BucketOf(key); !IsWhole(bucket)) {
      WithStripe(bucket, [&] { MendChain(bucket); });
    }
    return {.outcome = ClaimOutcome::kNoRoom};
  }
  const bool mine = WithStripe(BucketOf(key), [&] {
    MendChain(BucketOf(key));
    const std::uint32_t other = Find(key);
    if (other != kNoSlot) {
      const SlotWord word = WordOf(entry(other));
      if (word.state != SlotState::kFilling ||
          !IsGivenUp(word, entry(other).lease_ms.load())) {
        return false;
      }
      Quarantine(other, word);
      taken_over_.fetch_add(1, std::memory_order_relaxed);
    }
    SlotEntry& taken = entry(slot);
    taken.key_high.store(key.high, std::memory_order_relaxed);
    taken.key_low.store(key.low, std::memory_order_relaxed);
    taken.length.store(length, std::memory_order_relaxed);
    taken.lease_ms.store(NowMs() +
                         static_cast<std::uint32_t>(
                             options_.lease / std::chrono::milliseconds(1)));
    const SlotWord word = WordOf(taken);
    taken.word.store(SlotWord{.state = SlotState::kFilling,
                              .owner = row_,
                              .generation = word.generation + 1}
                         .Pack());
    Link(slot, key);
    return true;
  });
  if (!mine) {
    GiveBack(slot);
    return {.outcome = ClaimOutcome::kTaken};
  }
  return {.outcome = ClaimOutcome::kMine,
          .slot = slot,
          .generation = WordOf(entry(slot)).generation,
          .next_use = next_use};
}

bool Index::Renew(const Claim& claim) {
  SlotEntry& claimed = entry(claim.slot);
  const SlotWord word = WordOf(claimed);
  if (word.state != SlotState::kFilling || word.owner != row_ ||
      word.generation != claim.generation) {
    return false;
  }
  claimed.lease_ms.store(NowMs() +
                         static_cast<std::uint32_t>(
                             options_.lease / std::chrono::milliseconds(1)));
  return true;
}

bool Index::Publish(const Claim& claim, const SlotRecord& record) {
  SlotEntry& claimed = entry(claim.slot);
  const SlotWord filling = {.state = SlotState::kFilling,
                            .owner = row_,
                            .generation = claim.generation};
  const bool dirty = record.state == SlotState::kDirty;
  const SlotWord valid = {.state = record.state,
                          .owner = dirty ? row_ : std::uint16_t{0},
                          .generation = claim.generation};
  if (WordOf(claimed) == filling) {
    SetRecord(claim.slot, record);
  }
  const Place place = PlaceOf(claim.slot);
  const auto publish = [&] {
    if (!Swap(claimed, filling, valid)) {
      return false;
    }
    if (HasOrder() && !dirty) {
      evictions_[place.number]->OnInsert(place.local, claim.next_use);
    }
    return true;
  };
  const bool published =
      HasOrder() && !dirty ? WithClass(place.number, publish) : publish();
  if (!published) {
    lost_.fetch_add(1, std::memory_order_relaxed);
    Abandon(claim);
  }
  return published;
}

void Index::Abandon(const Claim& claim) {
  SlotEntry& claimed = entry(claim.slot);
  SlotWord word = WordOf(claimed);
  if (word.state == SlotState::kFilling && word.owner == row_ &&
      word.generation == claim.generation) {
    WithStripe(BucketOf(KeyOf(claimed)), [&] {
      if (Swap(claimed, word,
               {.state = SlotState::kEvicting,
                .owner = row_,
                .generation = word.generation})) {
        Unlink(claim.slot);
        GiveBack(claim.slot);
      }
    });
    return;
  }
  // Taken over meanwhile: what we sent to the device has arrived by now.
  word = WordOf(claimed);
  if (word.state == SlotState::kQuarantined && word.owner == row_ &&
      word.generation == claim.generation + 1 &&
      Swap(claimed, word, {.generation = word.generation})) {
    header_->classes[options_.geometry.ClassOf(claim.slot)].free.fetch_add(1);
  }
}

void Index::Drop(const PinnedSlot& pinned, PinCell cell) {
  Unpin(cell);
  Evacuate(pinned.slot, pinned.generation);
}

// A valid slot becomes free, or rests where others read it. Nothing if it is no
// longer that.
void Index::Evacuate(std::uint32_t slot, std::uint32_t generation) {
  const SlotWord word = WordOf(entry(slot));
  if (word.state == SlotState::kValid && word.generation == generation) {
    Leave(slot, word);
  }
}

// The same of a slot whose word is this one.
void Index::Leave(std::uint32_t slot, const SlotWord& word) {
  SlotEntry& left = entry(slot);
  const SlotWord ours = {.state = SlotState::kEvicting,
                         .owner = row_,
                         .generation = word.generation};
  if (!Swap(left, word, ours)) {
    return;
  }
  const Place place = PlaceOf(slot);
  if (HasOrder() && word.state == SlotState::kValid) {
    WithClass(place.number,
              [&] { evictions_[place.number]->OnRemove(place.local); });
  }
  WithStripe(BucketOf(KeyOf(left)), [&] { Unlink(slot); });
  if (internal::ProcessTable(header_->processes).IsPinned(slot)) {
    left.lease_ms.store(NowMs());
    Swap(left, ours,
         {.state = SlotState::kQuarantined,
          .owner = internal::kNobody,
          .generation = word.generation + 1});
    return;
  }
  GiveBack(slot);
}

}  // namespace stoker::cache
