// S3-FIFO: "FIFO queues are all you need for cache eviction", Yang et al.,
// SOSP 2023, algorithm 1.

#include <algorithm>

#include "cache/internal/ghost_table.h"
#include "cache/internal/policies.h"
#include "cache/internal/relaxed.h"
#include "cache/internal/slot_list.h"

namespace stoker::cache::internal {

namespace {

// `use`: the reads of a slot, up to 3, since it came or was moved or passed
// over, and which queue it is in.
constexpr std::uint32_t kMostReads = 3;
constexpr std::uint32_t kReadsMask = 3;
constexpr std::uint32_t kInSmall = 4;
// A slot read more often than this goes from the small queue to the main one.
constexpr std::uint32_t kReadsOnTrial = 1;
constexpr std::uint32_t kSmallPart = 10;  // one of so many slots

class S3FifoEviction final : public Eviction {
 public:
  explicit S3FifoEviction(const EvictionMemory& memory)
      : Eviction(memory),
        main_(
            memory.slots,
            {memory.state.newest, memory.state.oldest, memory.state.residents},
            damaged_),
        small_(memory.slots,
               {memory.state.small_newest, memory.state.small_oldest,
                memory.state.small_residents},
               damaged_),
        ghosts_(memory.ghosts, memory.state.ghosts),
        small_slots_(std::max(
            static_cast<std::uint32_t>(memory.slots.size()) / kSmallPart, 1U)) {
  }

  void OnInsert(std::uint32_t slot, std::uint32_t /*next_use*/) override {
    if (ghosts_.Take(KeyOf(slot))) {
      PushMain(slot, 0);
    } else {
      Store(entry(slot).use, kInSmall);
      small_.PushNewest(slot);
    }
  }
  void OnHit(std::uint32_t slot, std::uint32_t /*next_use*/) override {
    std::uint32_t seen = Load(entry(slot).use);
    if ((seen & kReadsMask) < kMostReads) {
      // Not by a store: the slot may change its queue meanwhile. That a read is
      // not counted then does no harm.
      entry(slot).use.compare_exchange_strong(seen, seen + 1,
                                              std::memory_order_relaxed);
    }
  }
  void OnRemove(std::uint32_t slot) override {
    ((Load(entry(slot).use) & kInSmall) != 0 ? small_ : main_).Remove(slot);
  }
  std::optional<std::uint32_t> Victim(const MayGo& may_go,
                                      std::uint32_t next_use) override;

 private:
  // One search: what is not asked yet of either queue.
  struct Search {
    Questions questions;
    std::uint32_t small_left;
    std::uint32_t main_left;
  };

  void Adopt(std::uint32_t slot) override {
    PushMain(slot, Load(entry(slot).use) & kReadsMask);
  }
  Fingerprint KeyOf(std::uint32_t slot) const {
    return {.high = entry(slot).key_high.load(std::memory_order_relaxed),
            .low = entry(slot).key_low.load(std::memory_order_relaxed)};
  }
  std::uint32_t ReadsOf(std::uint32_t slot) const {
    return Load(entry(slot).use) & kReadsMask;
  }
  void PushMain(std::uint32_t slot, std::uint32_t reads) {
    Store(entry(slot).use, reads);
    main_.PushNewest(slot);
  }
  // Both look at the oldest of a queue, and true: it is out.
  bool TryOldestOfSmall(std::uint32_t slot, Search& search);
  bool TryOldestOfMain(std::uint32_t slot, Search& search);

  SlotList main_;
  SlotList small_;
  GhostTable ghosts_;
  const std::uint32_t small_slots_;
};

bool S3FifoEviction::TryOldestOfSmall(std::uint32_t slot, Search& search) {
  --search.small_left;
  if (ReadsOf(slot) > kReadsOnTrial) {
    small_.Remove(slot);
    PushMain(slot, 0);
    ++search.main_left;
    return false;
  }
  if (!search.questions.MayGo(slot)) {
    small_.MakeNewest(slot);
    return false;
  }
  small_.Remove(slot);
  ghosts_.Add(KeyOf(slot));
  return true;
}

bool S3FifoEviction::TryOldestOfMain(std::uint32_t slot, Search& search) {
  if (const std::uint32_t reads = ReadsOf(slot); reads > 0) {
    Store(entry(slot).use, reads - 1);
    main_.MakeNewest(slot);
    return false;
  }
  --search.main_left;
  if (!search.questions.MayGo(slot)) {
    main_.MakeNewest(slot);
    return false;
  }
  main_.Remove(slot);
  return true;
}

std::optional<std::uint32_t> S3FifoEviction::Victim(
    const MayGo& may_go, std::uint32_t /*next_use*/) {
  Search search{.questions = Questions(may_go),
                .small_left = small_.size(),
                .main_left = main_.size()};
  // A slot of the main queue is passed over three times and asked the fourth;
  // that more reads are counted meanwhile must not keep it going.
  const std::uint64_t most_steps =
      (std::uint64_t{kMostReads} + 1) * (main_.size() + small_.size());
  for (std::uint64_t step = 0; step < most_steps && search.questions.left();
       ++step) {
    // A queue whose slots all had to stay makes way for the other.
    const bool small_is_due =
        small_.size() >= small_slots_ || search.main_left == 0;
    const bool ask_small = small_is_due && search.small_left > 0;
    if (!ask_small && search.main_left == 0) {
      break;
    }
    const std::uint32_t slot = ask_small ? small_.oldest() : main_.oldest();
    if (slot == kNoSlot) {
      damaged_ = true;  // a queue with a size and no slot
      break;
    }
    if (ask_small ? TryOldestOfSmall(slot, search)
                  : TryOldestOfMain(slot, search)) {
      return slot;
    }
  }
  return std::nullopt;
}

}  // namespace

std::unique_ptr<Eviction> MakeS3Fifo(const EvictionMemory& memory) {
  return std::make_unique<S3FifoEviction>(memory);
}

}  // namespace stoker::cache::internal
