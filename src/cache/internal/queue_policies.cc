// The policies that are one list: FIFO, LRU and SIEVE.

#include "cache/internal/policies.h"
#include "cache/internal/relaxed.h"
#include "cache/internal/slot_list.h"

namespace stoker::cache::internal {

namespace {

SlotList MainList(const EvictionMemory& memory, bool& damaged) {
  EvictionState& state = memory.state;
  return {memory.slots, {state.newest, state.oldest, state.residents}, damaged};
}

// LRU is FIFO with hits that count as coming anew.
class QueueEviction final : public Eviction {
 public:
  QueueEviction(const EvictionMemory& memory, bool renew)
      : Eviction(memory), list_(MainList(memory, damaged_)), renew_(renew) {}

  bool HitNeedsLock() const override { return renew_; }
  void OnInsert(std::uint32_t slot, std::uint32_t /*next_use*/) override {
    list_.PushNewest(slot);
  }
  void OnHit(std::uint32_t slot, std::uint32_t /*next_use*/) override {
    if (renew_) {
      list_.MakeNewest(slot);
    }
  }
  void OnRemove(std::uint32_t slot) override { list_.Remove(slot); }
  std::optional<std::uint32_t> Victim(const MayGo& may_go,
                                      std::uint32_t next_use) override;

 private:
  void Adopt(std::uint32_t slot) override { list_.PushNewest(slot); }

  SlotList list_;
  const bool renew_;
};

std::optional<std::uint32_t> QueueEviction::Victim(const MayGo& may_go,
                                                   std::uint32_t /*next_use*/) {
  Questions questions(may_go);
  for (std::uint32_t slot = list_.oldest(); slot != kNoSlot && questions.left();
       slot = list_.NewerThan(slot)) {
    if (questions.MayGo(slot)) {
      list_.Remove(slot);
      return slot;
    }
  }
  // Else a run of dirty slots at the end would stop every later search.
  for (std::uint32_t moved = 0; moved < questions.asked(); ++moved) {
    list_.MakeNewest(list_.oldest());
  }
  return std::nullopt;
}

// `use` is 1 for a slot that was read since it came or the hand passed it.
class SieveEviction final : public Eviction {
 public:
  explicit SieveEviction(const EvictionMemory& memory)
      : Eviction(memory),
        list_(MainList(memory, damaged_)),
        slots_(memory.slots.size()) {}

  void OnInsert(std::uint32_t slot, std::uint32_t /*next_use*/) override {
    Store(entry(slot).use, 0);
    list_.PushNewest(slot);
  }
  void OnHit(std::uint32_t slot, std::uint32_t /*next_use*/) override {
    // Most find it set: then the cache line stays shared.
    if (Load(entry(slot).use) == 0) {
      Store(entry(slot).use, 1);
    }
  }
  void OnRemove(std::uint32_t slot) override {
    if (state().hand == slot) {
      state().hand = list_.NewerThan(slot);
    }
    list_.Remove(slot);
  }
  std::optional<std::uint32_t> Victim(const MayGo& may_go,
                                      std::uint32_t next_use) override;

 private:
  void Adopt(std::uint32_t slot) override { list_.PushNewest(slot); }
  // The slot under the hand; kNoSlot of an empty list.
  std::uint32_t Hand() const {
    const std::uint32_t hand = state().hand;
    return hand < slots_ ? hand : list_.oldest();
  }

  SlotList list_;
  const std::size_t slots_;
};

std::optional<std::uint32_t> SieveEviction::Victim(const MayGo& may_go,
                                                   std::uint32_t /*next_use*/) {
  Questions questions(may_go);
  // One round to spare all, one to ask all; that more marks are set meanwhile
  // must not keep it going.
  const std::uint64_t rounds_end = std::uint64_t{2} * list_.size();
  for (std::uint64_t step = 0; step < rounds_end && questions.left(); ++step) {
    const std::uint32_t slot = Hand();
    if (slot == kNoSlot) {
      damaged_ = true;  // a list with a size and no slot
      break;
    }
    if (Load(entry(slot).use) != 0) {
      Store(entry(slot).use, 0);
    } else if (questions.MayGo(slot)) {
      state().hand = list_.NewerThan(slot);
      list_.Remove(slot);
      return slot;
    }
    state().hand = list_.NewerThan(slot);
  }
  return std::nullopt;
}

}  // namespace

std::unique_ptr<Eviction> MakeLru(const EvictionMemory& memory) {
  return std::make_unique<QueueEviction>(memory, /*renew=*/true);
}

std::unique_ptr<Eviction> MakeFifo(const EvictionMemory& memory) {
  return std::make_unique<QueueEviction>(memory, /*renew=*/false);
}

std::unique_ptr<Eviction> MakeSieve(const EvictionMemory& memory) {
  return std::make_unique<SieveEviction>(memory);
}

}  // namespace stoker::cache::internal
