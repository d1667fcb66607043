// Processes that share an index, and die at any point.

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <string_view>
#include <thread>
#include <vector>

#include "cache/index.h"
#include "cache/internal/kill_point.h"
#include "tests/cache/support.h"

namespace stoker::cache {
namespace {

using testing::Child;
using testing::Key;
using testing::Options;

SlotRecord RecordOf(std::uint64_t number, const Claim& claim) {
  return {.state = SlotState::kValid,
          .key = Key(number),
          .generation = claim.generation,
          .length = static_cast<std::uint32_t>(number + 1),
          .crc = {static_cast<std::uint32_t>(number), 0, 0, 0}};
}

// Numbers that children write and the test reads.
template <class T>
class Shared {
 public:
  Shared()
      : value_(new(::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0)) T()) {}
  ~Shared() { ::munmap(value_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T* operator->() { return value_; }
  T& operator*() { return *value_; }

 private:
  T* value_;
};

class IndexProcesses : public ::testing::Test {
 protected:
  std::unique_ptr<Index> Make(std::uint32_t slots, Policy policy) {
    IndexOptions options = Options(slots, policy);
    options.grace = std::chrono::milliseconds(1);
    options.lease = std::chrono::seconds(20);  // only death ends one here
    return Index::MakePrivate(options, clock_);
  }
  void Pause(core::Nanos time) { clock_.SleepUntil(clock_.Now() + time); }
  // Every block that is valid is found under its key, and once.
  static void CheckWhole(Index& index) {
    std::map<std::uint64_t, int> found;
    index.ForEachValid([&](std::uint32_t, const SlotRecord& record) {
      const std::uint64_t number = record.length - 1;
      EXPECT_EQ(record.key, Key(number));
      EXPECT_EQ(record.crc[0], number);
      EXPECT_EQ(index.Peek(record.key), Look::kHit);
      EXPECT_EQ(++found[number], 1) << "block " << number << " is there twice";
    });
  }

  core::SystemClock clock_;
};

TEST_F(IndexProcesses, AFetchOfADeadProcessIsTakenOverAtOnce) {
  const auto index = Make(4, Policy::kNever);
  Child child([&] {
    if (!index->Rejoin().ok()) {
      return 1;
    }
    index->ClaimSlot(Key(1), 2);
    return 0;
  });
  ASSERT_EQ(child.Wait(), 0);
  const Claim claim = index->ClaimSlot(Key(1), 2);
  ASSERT_EQ(claim.outcome, ClaimOutcome::kMine);
  EXPECT_TRUE(index->Publish(claim, RecordOf(1, claim)));
  EXPECT_EQ(index->Count().quarantined, 1U);
  EXPECT_EQ(index->Sweep(), 1U);
  Pause(std::chrono::milliseconds(5));
  index->Sweep();
  EXPECT_EQ(index->Count(),
            (SlotCounts{.free = 3, .valid = 1, .valid_bytes = 2}));
}

TEST_F(IndexProcesses, APinOfADeadProcessHoldsNothing) {
  const auto index = Make(1, Policy::kFifo);
  const Claim claim = index->ClaimSlot(Key(1), 2);
  ASSERT_TRUE(index->Publish(claim, RecordOf(1, claim)));
  Child child([&] {
    PinnedSlot pinned;
    return index->Rejoin().ok() &&
                   index->Pin(Key(1), index->ReservePins().value(), pinned) ==
                       Look::kHit
               ? 0
               : 1;
  });
  ASSERT_EQ(child.Wait(), 0);
  index->Sweep();
  EXPECT_EQ(index->ClaimSlot(Key(2), 2).outcome, ClaimOutcome::kMine);
}

TEST_F(IndexProcesses, TwoRunsDoNotShareAndToolsMayLookOn) {
  IndexOptions options = Options(2);
  options.run = "first";
  const auto index = Index::MakePrivate(options, clock_);
  Child same([&] { return index->Rejoin().ok() ? 0 : 1; });
  EXPECT_EQ(same.Wait(), 0);
}

std::string_view kill_name;
std::atomic<int> kills_left = 0;
void KillAt(std::string_view name) {
  if (name == kill_name && kills_left.fetch_sub(1) == 1) {
    ::kill(::getpid(), SIGKILL);
  }
}

// Claims, publishes, reads and drops blocks at random, for ever.
int Work(Index& index, unsigned seed) {
  if (!index.Rejoin().ok()) {
    return 1;
  }
  const PinCell cell = index.ReservePins().value();
  std::mt19937 random(seed);
  while (true) {
    const std::uint64_t number = random() % 40;
    PinnedSlot pinned;
    if (index.Pin(Key(number), cell, pinned) == Look::kHit) {
      if (pinned.crc[0] != number || pinned.length != number + 1) {
        return 2;
      }
      if (random() % 50 == 0) {
        index.Drop(pinned, cell);
      } else {
        index.Unpin(cell);
      }
      continue;
    }
    const Claim claim =
        index.ClaimSlot(Key(number), static_cast<std::uint32_t>(number + 1));
    if (claim.outcome == ClaimOutcome::kMine) {
      if (random() % 20 == 0) {
        index.Abandon(claim);
      } else {
        index.Publish(claim, RecordOf(number, claim));
      }
    }
  }
}

class KillPoints : public IndexProcesses,
                   public ::testing::WithParamInterface<std::string_view> {};

TEST_P(KillPoints, ADeathThereLeavesAWholeIndex) {
  const auto index = Make(16, Policy::kLru);
  for (int round = 1; round <= 5; ++round) {
    Child child([&] {
      kill_name = GetParam();
      kills_left = 7 * round;
      internal::SetKillHook(KillAt);
      return Work(*index, static_cast<unsigned>(round));
    });
    ASSERT_EQ(child.Wait(), 128 + SIGKILL) << "round " << round;
    index->Sweep();
    Pause(std::chrono::milliseconds(3));
    index->Sweep();
    const SlotCounts counts = index->Count();
    EXPECT_EQ(counts.all(), 16U);
    EXPECT_EQ(counts.filling + counts.evicting + counts.quarantined, 0U);
    CheckWhole(*index);
    // And it works: every slot can be had.
    for (std::uint64_t number = 100; number < 116; ++number) {
      const Claim claim =
          index->ClaimSlot(Key(number), static_cast<std::uint32_t>(number + 1));
      ASSERT_EQ(claim.outcome, ClaimOutcome::kMine) << number;
      ASSERT_TRUE(index->Publish(claim, RecordOf(number, claim)));
    }
    CheckWhole(*index);
  }
}

INSTANTIATE_TEST_SUITE_P(Index, KillPoints,
                         ::testing::Values("E1", "E2", "L1"));

TEST_F(IndexProcesses, RandomWorkWithRandomDeathsKeepsTheInvariants) {
  for (const Policy policy :
       {Policy::kNever, Policy::kLru, Policy::kSieve, Policy::kRandom}) {
    const auto index = Make(16, policy);
    std::mt19937 random(11);
    std::vector<std::unique_ptr<Child>> children;
    for (unsigned i = 0; i < 3; ++i) {
      children.push_back(
          std::make_unique<Child>([&, i] { return Work(*index, i); }));
    }
    for (unsigned death = 0; death < 12; ++death) {
      Pause(std::chrono::milliseconds(3 + random() % 5));
      std::unique_ptr<Child>& victim = children[random() % children.size()];
      victim->Signal(SIGKILL);
      ASSERT_EQ(victim->Wait(), 128 + SIGKILL) << "a child saw wrong data";
      index->Sweep();
      victim = std::make_unique<Child>(
          [&, death] { return Work(*index, 100 + death); });
    }
    children.clear();
    index->Sweep();
    Pause(std::chrono::milliseconds(3));
    index->Sweep();
    EXPECT_EQ(index->Count().all(), 16U);
    EXPECT_EQ(index->Count().filling + index->Count().quarantined, 0U);
    CheckWhole(*index);
  }
}

TEST_F(IndexProcesses, OfSixtyFourProcessesOneFetches) {
  const auto index = Make(64, Policy::kNever);
  Shared<std::array<std::atomic<int>, 8>> claimed;
  Shared<std::atomic<bool>> go;
  std::vector<Child> children;
  for (int i = 0; i < 64; ++i) {
    children.emplace_back([&] {
      if (!index->Rejoin().ok()) {
        return 1;
      }
      while (!go->load()) {
        std::this_thread::yield();
      }
      for (std::uint64_t number = 0; number < 8; ++number) {
        if (index->ClaimSlot(Key(number), 5).outcome == ClaimOutcome::kMine) {
          (*claimed)[number].fetch_add(1);
        }
      }
      // Stays alive: the death of an owner would be a reason to fetch again.
      ::pause();
      return 0;
    });
  }
  go->store(true);
  for (int i = 0; i < 2000 && (*claimed)[7].load() == 0; ++i) {
    Pause(std::chrono::milliseconds(1));
  }
  Pause(std::chrono::milliseconds(200));
  for (const std::atomic<int>& count : *claimed) {
    EXPECT_EQ(count.load(), 1);
  }
}

}  // namespace
}  // namespace stoker::cache
