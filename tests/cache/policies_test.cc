// What each policy does, step by step.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "cache/eviction.h"
#include "core/random.h"
#include "tests/cache/eviction_support.h"

namespace stoker::cache {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kAll = [](std::uint32_t) { return true; };
constexpr auto kNone = [](std::uint32_t) { return false; };

TEST(LruEviction, TheLeastRecentlyUsedGoes) {
  PolicyMemory memory(30);
  const auto eviction = memory.Make(Policy::kLru);
  eviction->Reset();
  std::list<std::uint32_t> oldest_first;  // the model
  core::CounterRandom random(4);
  for (int step = 0; step < 3000; ++step) {
    const auto slot = static_cast<std::uint32_t>(random.Below(30));
    const auto at = std::ranges::find(oldest_first, slot);
    if (random.Below(5) == 0 && !oldest_first.empty()) {
      ASSERT_EQ(eviction->Victim(kAll, 0), oldest_first.front());
      oldest_first.pop_front();
    } else if (at == oldest_first.end()) {
      memory.Insert(*eviction, slot, slot);
      oldest_first.push_back(slot);
    } else {
      eviction->OnHit(slot, 0);
      oldest_first.splice(oldest_first.end(), oldest_first, at);
    }
    ASSERT_EQ(MainList(memory),
              std::vector(oldest_first.begin(), oldest_first.end()));
  }
}

TEST(FifoEviction, HitsDoNotHelp) {
  PolicyMemory memory(3);
  const auto eviction = memory.Make(Policy::kFifo);
  eviction->Reset();
  for (const std::uint32_t slot : {2U, 0U, 1U}) {
    memory.Insert(*eviction, slot, slot);
  }
  eviction->OnHit(2, 0);
  EXPECT_THAT(MainList(memory), ElementsAre(2, 0, 1));
  EXPECT_EQ(eviction->Victim(kAll, 0), 2U);
}

TEST(QueueEvictions, ASlotThatMayNotGoKeepsItsPlaceWhenAnotherDoes) {
  PolicyMemory memory(3);
  const auto eviction = memory.Make(Policy::kLru);
  eviction->Reset();
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    memory.Insert(*eviction, slot, slot);
  }
  const auto not_0 = [](std::uint32_t slot) { return slot != 0; };
  EXPECT_EQ(eviction->Victim(not_0, 0), 1U);
  EXPECT_THAT(MainList(memory), ElementsAre(0, 2));
}

TEST(SieveEviction, TheHandGoesFromOldToNewAndSparesTheRead) {
  // Blocks 0 to 4 came in this order; 0, 1 and 3 were read.
  PolicyMemory memory(7);
  const auto eviction = memory.Make(Policy::kSieve);
  eviction->Reset();
  for (std::uint32_t slot = 0; slot < 5; ++slot) {
    memory.Insert(*eviction, slot, slot);
  }
  for (const std::uint32_t slot : {0U, 1U, 3U}) {
    eviction->OnHit(slot, 0);
  }
  EXPECT_EQ(eviction->Victim(kAll, 0), 2U);  // the hand is at 3 now
  memory.Insert(*eviction, 5, 5);
  EXPECT_EQ(eviction->Victim(kAll, 0), 4U);  // 3 spared
  EXPECT_EQ(eviction->Victim(kAll, 0), 5U);
  EXPECT_EQ(eviction->Victim(kAll, 0), 0U);  // round the end, no marks left
  EXPECT_THAT(MainList(memory), ElementsAre(1, 3));
}

TEST(SieveEviction, TheHandSurvivesTheSlotItIsAt) {
  PolicyMemory memory(4);
  const auto eviction = memory.Make(Policy::kSieve);
  eviction->Reset();
  for (std::uint32_t slot = 0; slot < 4; ++slot) {
    memory.Insert(*eviction, slot, slot);
  }
  EXPECT_EQ(eviction->Victim(kAll, 0), 0U);
  EXPECT_EQ(memory.state.hand, 1U);
  eviction->OnRemove(1);
  EXPECT_EQ(eviction->Victim(kAll, 0), 2U);
  eviction->OnRemove(3);
  EXPECT_EQ(eviction->Victim(kAll, 0), std::nullopt);
}

TEST(SieveEviction, ReadsOfTheBlockBeforeDoNotSpareASlot) {
  PolicyMemory memory(2);
  const auto eviction = memory.Make(Policy::kSieve);
  eviction->Reset();
  memory.Insert(*eviction, 0, 0);
  eviction->OnHit(0, 0);
  eviction->OnRemove(0);
  memory.Insert(*eviction, 0, 1);
  memory.Insert(*eviction, 1, 2);
  EXPECT_EQ(eviction->Victim(kAll, 0), 0U);
}

TEST(S3FifoEviction, TwoReadsOnTrialLeadToTheMainQueue) {
  // 20 slots: 2 are the small queue's part. The oldest three were read twice,
  // once and never.
  PolicyMemory memory(20);
  const auto eviction = memory.Make(Policy::kS3Fifo);
  eviction->Reset();
  for (std::uint32_t slot = 0; slot < 20; ++slot) {
    memory.Insert(*eviction, slot, slot);
  }
  eviction->OnHit(0, 0);
  eviction->OnHit(0, 0);
  eviction->OnHit(1, 0);
  EXPECT_EQ(eviction->Victim(kAll, 0), 1U);
  EXPECT_THAT(MainList(memory), ElementsAre(0));
  EXPECT_EQ(eviction->Victim(kAll, 0), 2U);
}

TEST(S3FifoEviction, AGhostThatComesBackGoesToTheMainQueue) {
  PolicyMemory memory(20);
  const auto eviction = memory.Make(Policy::kS3Fifo);
  eviction->Reset();
  for (std::uint32_t slot = 0; slot < 20; ++slot) {
    memory.Insert(*eviction, slot, slot);
  }
  ASSERT_EQ(eviction->Victim(kAll, 0), 0U);
  memory.Insert(*eviction, 0, 100);  // never seen
  EXPECT_THAT(MainList(memory), IsEmpty());
  ASSERT_EQ(eviction->Victim(kAll, 0), 1U);
  memory.Insert(*eviction, 1, 0);  // the block that was in slot 0
  EXPECT_THAT(MainList(memory), ElementsAre(1));
}

// Slots 0 to 2 of 20 come to the main queue, as ghosts; slot 4 alone is in the
// small one, which is below its part of two then: the main one is to give way.
std::unique_ptr<Eviction> WithMainQueue(PolicyMemory& memory) {
  auto eviction = memory.Make(Policy::kS3Fifo);
  eviction->Reset();
  for (std::uint32_t slot = 0; slot < 5; ++slot) {
    memory.Insert(*eviction, slot, slot);
  }
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    EXPECT_EQ(eviction->Victim(kAll, 0), slot);
    memory.Insert(*eviction, slot, slot);
  }
  eviction->OnRemove(3);
  EXPECT_THAT(MainList(memory), ElementsAre(0, 1, 2));
  EXPECT_THAT(SmallQueue(memory), ElementsAre(4));
  return eviction;
}

TEST(S3FifoEviction, TheMainQueueSparesASlotForEachRead) {
  PolicyMemory memory(20);
  const auto eviction = WithMainQueue(memory);
  eviction->OnHit(0, 0);
  eviction->OnHit(0, 0);
  eviction->OnHit(1, 0);
  EXPECT_EQ(eviction->Victim(kAll, 0), 2U);  // 0 and 1 have one read less
  EXPECT_EQ(eviction->Victim(kAll, 0), 1U);  // 0 has none left
  EXPECT_EQ(eviction->Victim(kAll, 0), 0U);
}

TEST(S3FifoEviction, AQueueWhoseSlotsMayNotGoMakesWayForTheOther) {
  PolicyMemory memory(20);
  const auto eviction = WithMainQueue(memory);
  const auto not_main = [](std::uint32_t slot) { return slot >= 3; };
  EXPECT_EQ(eviction->Victim(not_main, 0), 4U);
  memory.Insert(*eviction, 5, 5);
  memory.Insert(*eviction, 6, 6);
  const auto not_small = [](std::uint32_t slot) { return slot < 3; };
  EXPECT_EQ(eviction->Victim(not_small, 0), 0U);
}

TEST(RandomEviction, EveryResidentIsAsLikely) {
  // 10 of 1000 slots are resident; 1000 victims each are expected of 10,000,
  // with a deviation of 30.
  PolicyMemory memory(1000);
  const auto eviction = memory.Make(Policy::kRandom);
  eviction->Reset();
  for (std::uint32_t slot = 0; slot < 1000; slot += 100) {
    memory.Insert(*eviction, slot, slot);
  }
  std::vector<int> victims(1000);
  for (int search = 0; search < 10'000; ++search) {
    const std::uint32_t slot = eviction->Victim(kAll, 0).value();
    ++victims.at(slot);
    memory.Insert(*eviction, slot, slot);
  }
  for (std::size_t slot = 0; slot < victims.size(); slot += 100) {
    EXPECT_NEAR(victims[slot], 1000, 150);
  }
}

TEST(RandomEviction, TheSeedDecides) {
  const auto first_victims = [](std::uint64_t seed) {
    PolicyMemory memory(100);
    const auto eviction = memory.Make(Policy::kRandom, seed);
    eviction->Reset();
    for (std::uint32_t slot = 0; slot < 100; ++slot) {
      memory.Insert(*eviction, slot, slot);
    }
    std::vector<std::uint32_t> victims;
    for (int search = 0; search < 10; ++search) {
      victims.push_back(eviction->Victim(kAll, 0).value());
    }
    return victims;
  };
  EXPECT_EQ(first_victims(1), first_victims(1));
  EXPECT_NE(first_victims(1), first_victims(2));
}

TEST(TwoRandomEviction, OfTwoTheOneUsedLongerAgoGoes) {
  // Two residents: both are drawn, unless one of them 64 times running.
  PolicyMemory memory(2);
  const auto eviction = memory.Make(Policy::kTwoRandom);
  eviction->Reset();
  // The low bits of the time pass zero meanwhile.
  memory.state.time = 0xFFFF'FFFEU;
  memory.Insert(*eviction, 0, 0);
  memory.Insert(*eviction, 1, 1);
  for (std::uint32_t search = 0; search < 20; ++search) {
    const std::uint32_t used = search % 2;
    eviction->OnHit(used, 0);
    ASSERT_EQ(eviction->Victim(kAll, 0), 1 - used);
    memory.Insert(*eviction, 1 - used, 0);
    eviction->OnHit(used, 0);
    eviction->OnHit(1 - used, 0);
  }
}

TEST(BeladyEviction, TheOneWantedLatestGoes) {
  PolicyMemory memory(200);
  const auto eviction = memory.Make(Policy::kBelady);
  eviction->Reset();
  std::vector<std::optional<std::uint32_t>> next_use(200);  // the model
  core::CounterRandom random(2);
  for (int step = 0; step < 5000; ++step) {
    const auto slot = static_cast<std::uint32_t>(random.Below(200));
    const auto use = static_cast<std::uint32_t>(random.Below(100'000));
    if (random.Below(4) != 0) {
      if (next_use[slot].has_value()) {
        eviction->OnHit(slot, use);
      } else {
        memory.Insert(*eviction, slot, slot, use);
      }
      next_use[slot] = use;
      continue;
    }
    // A sixteenth of the slots may not go.
    const auto may_go = [](std::uint32_t at) { return at % 16 != 0; };
    std::optional<std::uint32_t> latest;  // at least the newcomer's
    for (std::uint32_t at = 0; at < 200; ++at) {
      if (next_use[at] > use && may_go(at) && next_use[at] > latest) {
        latest = next_use[at];
      }
    }
    const auto victim = eviction->Victim(may_go, use);
    ASSERT_EQ(victim.has_value(), latest.has_value());
    if (victim.has_value()) {
      ASSERT_EQ(next_use[*victim], latest);
      next_use[*victim] = std::nullopt;
    }
  }
}

TEST(BeladyEviction, ANewcomerWantedNoEarlierPassesBy) {
  PolicyMemory memory(3);
  const auto eviction = memory.Make(Policy::kBelady);
  eviction->Reset();
  memory.Insert(*eviction, 0, 0, 50);
  memory.Insert(*eviction, 1, 1, 70);
  EXPECT_EQ(eviction->Victim(kAll, kNeverAgain), std::nullopt);
  EXPECT_EQ(eviction->Victim(kAll, 70), std::nullopt);
  EXPECT_EQ(eviction->Victim(kNone, 69), std::nullopt);
  EXPECT_EQ(eviction->Victim(kAll, 69), 1U);
  memory.Insert(*eviction, 1, 1, kNeverAgain);
  EXPECT_EQ(eviction->Victim(kAll, kNeverAgain), std::nullopt);
  EXPECT_EQ(eviction->Victim(kAll, 69), 1U);
}

}  // namespace
}  // namespace stoker::cache
