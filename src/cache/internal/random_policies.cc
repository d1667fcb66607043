// The policies that draw: random and 2-random.

#include <atomic>

#include "cache/internal/policies.h"
#include "cache/internal/relaxed.h"
#include "cache/internal/slot_array.h"
#include "core/random.h"

namespace stoker::cache::internal {

namespace {

// The slots of a search, drawn from all residents with putting back.
class Draws {
 public:
  // Each search has a stream of its own, numbered in the shared state: what
  // processes draw in turn is what one would.
  Draws(const SlotArray& residents, std::uint64_t seed, EvictionState& state)
      : residents_(residents), random_(core::StreamKey(seed, state.random++)) {}

  std::uint32_t Next() {
    return residents_.At(
        static_cast<std::uint32_t>(random_.Below(residents_.size())));
  }

 private:
  const SlotArray& residents_;
  core::CounterRandom random_;
};

class RandomEviction final : public Eviction {
 public:
  RandomEviction(const EvictionMemory& memory, std::uint64_t seed)
      : Eviction(memory),
        residents_(memory.slots, memory.state.residents, damaged_),
        seed_(seed) {}

  void OnInsert(std::uint32_t slot, std::uint32_t /*next_use*/) override {
    residents_.Append(slot);
  }
  void OnHit(std::uint32_t /*slot*/, std::uint32_t /*next_use*/) override {}
  void OnRemove(std::uint32_t slot) override { residents_.Remove(slot); }
  std::optional<std::uint32_t> Victim(const MayGo& may_go,
                                      std::uint32_t next_use) override;

 private:
  void Adopt(std::uint32_t slot) override { residents_.Append(slot); }

  SlotArray residents_;
  const std::uint64_t seed_;
};

std::optional<std::uint32_t> RandomEviction::Victim(
    const MayGo& may_go, std::uint32_t /*next_use*/) {
  if (residents_.size() == 0) {
    return std::nullopt;
  }
  Draws draws(residents_, seed_, state());
  for (Questions questions(may_go); questions.left();) {
    const std::uint32_t slot = draws.Next();
    if (questions.MayGo(slot)) {
      residents_.Remove(slot);
      return slot;
    }
  }
  return std::nullopt;
}

// `use` is the time of the last use: low bits of a count of all uses.
class TwoRandomEviction final : public Eviction {
 public:
  TwoRandomEviction(const EvictionMemory& memory, std::uint64_t seed)
      : Eviction(memory),
        residents_(memory.slots, memory.state.residents, damaged_),
        seed_(seed) {}

  void OnInsert(std::uint32_t slot, std::uint32_t /*next_use*/) override {
    Store(entry(slot).use, Now());
    residents_.Append(slot);
  }
  void OnHit(std::uint32_t slot, std::uint32_t /*next_use*/) override {
    Store(entry(slot).use, Now());
  }
  void OnRemove(std::uint32_t slot) override { residents_.Remove(slot); }
  std::optional<std::uint32_t> Victim(const MayGo& may_go,
                                      std::uint32_t next_use) override;

 private:
  void Adopt(std::uint32_t slot) override { residents_.Append(slot); }

  std::uint32_t Now() const {
    return static_cast<std::uint32_t>(
        std::atomic_ref(state().time).fetch_add(1, std::memory_order_relaxed));
  }
  // Right for slots less than 2^31 uses apart. Not by their ages: a hit may
  // come after any "now" that was read.
  std::uint32_t UsedLongerAgo(std::uint32_t a, std::uint32_t b) const {
    const auto ahead =
        static_cast<std::int32_t>(Load(entry(a).use) - Load(entry(b).use));
    return ahead < 0 ? a : b;
  }

  SlotArray residents_;
  const std::uint64_t seed_;
};

std::optional<std::uint32_t> TwoRandomEviction::Victim(
    const MayGo& may_go, std::uint32_t /*next_use*/) {
  if (residents_.size() == 0) {
    return std::nullopt;
  }
  Draws draws(residents_, seed_, state());
  Questions questions(may_go);
  std::optional<std::uint32_t> victim;
  for (std::uint32_t draw = 0; draw < kMostAsked; ++draw) {
    const std::uint32_t slot = draws.Next();
    if (slot == victim || !questions.MayGo(slot)) {
      continue;
    }
    if (victim.has_value()) {
      victim = UsedLongerAgo(*victim, slot);
      break;
    }
    victim = slot;
  }
  if (victim.has_value()) {
    residents_.Remove(*victim);
  }
  return victim;
}

}  // namespace

std::unique_ptr<Eviction> MakeRandom(const EvictionMemory& memory,
                                     std::uint64_t seed) {
  return std::make_unique<RandomEviction>(memory, seed);
}

std::unique_ptr<Eviction> MakeTwoRandom(const EvictionMemory& memory,
                                        std::uint64_t seed) {
  return std::make_unique<TwoRandomEviction>(memory, seed);
}

}  // namespace stoker::cache::internal
