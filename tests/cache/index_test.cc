#include "cache/index.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "tests/cache/support.h"

namespace stoker::cache {
namespace {

using testing::Key;
using testing::Options;

class IndexTest : public ::testing::Test {
 protected:
  IndexTest() { clock_.Attach(); }
  ~IndexTest() override { clock_.Detach(); }

  std::unique_ptr<Index> Make(std::uint32_t slots,
                              Policy policy = Policy::kNever) {
    auto index = Index::MakePrivate(Options(slots, policy), clock_);
    cell_ = index->ReservePins().value();
    return index;
  }
  static SlotRecord Record(std::uint64_t number, const Claim& claim) {
    return {.state = SlotState::kValid,
            .key = Key(number),
            .generation = claim.generation,
            .length = 1000,
            .crc = {static_cast<std::uint32_t>(number), 2, 3, 4}};
  }
  static bool Fill(Index& index, std::uint64_t number) {
    const Claim claim = index.ClaimSlot(Key(number), 1000);
    return claim.outcome == ClaimOutcome::kMine &&
           index.Publish(claim, Record(number, claim));
  }
  bool IsThere(Index& index, std::uint64_t number) {
    PinnedSlot pinned;
    const bool there = index.Pin(Key(number), cell_, pinned) == Look::kHit;
    if (there) {
      index.Unpin(cell_);
    }
    return there;
  }
  void Pass(core::Nanos time) { clock_.SleepUntil(clock_.Now() + time); }

  core::VirtualClock clock_;
  PinCell cell_;
};

TEST_F(IndexTest, GivesBackWhatWasPublished) {
  const auto index = Make(4);
  ASSERT_TRUE(Fill(*index, 7));
  PinnedSlot pinned;
  ASSERT_EQ(index->Pin(Key(7), cell_, pinned), Look::kHit);
  EXPECT_EQ(pinned.length, 1000U);
  EXPECT_EQ(pinned.crc, (std::array<std::uint32_t, 4>{7, 2, 3, 4}));
  EXPECT_EQ(index->Pin(Key(8), {cell_.number + 1}, pinned), Look::kMiss);
}

TEST_F(IndexTest, StatesAddUpToTheSlots) {
  const auto index = Make(5);
  ASSERT_TRUE(Fill(*index, 1));
  ASSERT_EQ(index->ClaimSlot(Key(2), 10).outcome, ClaimOutcome::kMine);
  EXPECT_EQ(
      index->Count(),
      (SlotCounts{.free = 3, .filling = 1, .valid = 1, .valid_bytes = 1000}));
}

TEST_F(IndexTest, ABlockBeingFetchedIsNeitherThereNorToBeClaimed) {
  const auto index = Make(4);
  const Claim claim = index->ClaimSlot(Key(1), 1000);
  PinnedSlot pinned;
  EXPECT_EQ(index->Pin(Key(1), cell_, pinned), Look::kFilling);
  EXPECT_EQ(index->ClaimSlot(Key(1), 1000).outcome, ClaimOutcome::kTaken);
  index->Abandon(claim);
  EXPECT_EQ(index->Peek(Key(1)), Look::kMiss);
  EXPECT_EQ(index->Count().free, 4U);
}

TEST_F(IndexTest, NeverEvictKeepsTheFirstAndTakesNoMore) {
  const auto index = Make(3);
  for (std::uint64_t block = 0; block < 3; ++block) {
    ASSERT_TRUE(Fill(*index, block));
  }
  EXPECT_EQ(index->ClaimSlot(Key(3), 1000).outcome, ClaimOutcome::kNoRoom);
  for (std::uint64_t block = 0; block < 3; ++block) {
    EXPECT_TRUE(IsThere(*index, block)) << block;
  }
}

TEST_F(IndexTest, LruGivesUpTheOneReadLongestAgo) {
  const auto index = Make(3, Policy::kLru);
  for (std::uint64_t block = 0; block < 3; ++block) {
    ASSERT_TRUE(Fill(*index, block));
  }
  ASSERT_TRUE(IsThere(*index, 0));  // 1 is now the oldest
  ASSERT_TRUE(Fill(*index, 3));
  EXPECT_FALSE(IsThere(*index, 1));
  EXPECT_TRUE(IsThere(*index, 0));
  EXPECT_EQ(index->counters().evictions, 1U);
}

TEST_F(IndexTest, APinnedBlockIsNotGivenUp) {
  const auto index = Make(2, Policy::kFifo);
  ASSERT_TRUE(Fill(*index, 0));
  ASSERT_TRUE(Fill(*index, 1));
  PinnedSlot pinned;
  ASSERT_EQ(index->Pin(Key(0), cell_, pinned), Look::kHit);
  ASSERT_TRUE(Fill(*index, 2));  // takes the place of 1
  EXPECT_EQ(index->Peek(Key(0)), Look::kHit);
  EXPECT_EQ(index->Peek(Key(1)), Look::kMiss);
  index->Unpin(cell_);
}

TEST_F(IndexTest, ADroppedBlockIsGoneAndItsSlotFree) {
  const auto index = Make(2);
  ASSERT_TRUE(Fill(*index, 0));
  PinnedSlot pinned;
  ASSERT_EQ(index->Pin(Key(0), cell_, pinned), Look::kHit);
  index->Drop(pinned, cell_);
  EXPECT_FALSE(IsThere(*index, 0));
  EXPECT_EQ(index->Count().free, 2U);
}

TEST_F(IndexTest, ASlotDroppedWhileOthersReadItRestsUntilTheyAreDone) {
  const auto index = Make(1);
  ASSERT_TRUE(Fill(*index, 0));
  PinnedSlot mine;
  PinnedSlot other;
  const PinCell second{cell_.number + 1};
  ASSERT_EQ(index->Pin(Key(0), cell_, mine), Look::kHit);
  ASSERT_EQ(index->Pin(Key(0), second, other), Look::kHit);
  index->Drop(mine, cell_);
  EXPECT_EQ(index->ClaimSlot(Key(1), 10).outcome, ClaimOutcome::kNoRoom);
  Pass(std::chrono::seconds(6));
  index->Sweep();
  EXPECT_EQ(index->Count().quarantined, 1U);  // still pinned
  index->Unpin(second);
  index->Sweep();
  EXPECT_EQ(index->ClaimSlot(Key(1), 10).outcome, ClaimOutcome::kMine);
}

TEST_F(IndexTest, AClaimWithoutASignOfLifeIsTakenOver) {
  const auto index = Make(3);
  const Claim slow = index->ClaimSlot(Key(1), 1000);
  Pass(std::chrono::milliseconds(400));
  EXPECT_TRUE(index->Renew(slow));
  Pass(std::chrono::milliseconds(400));
  EXPECT_EQ(index->ClaimSlot(Key(1), 1000).outcome, ClaimOutcome::kTaken);
  Pass(std::chrono::milliseconds(200));  // 600 ms since the renewal
  const Claim second = index->ClaimSlot(Key(1), 1000);
  ASSERT_EQ(second.outcome, ClaimOutcome::kMine);
  EXPECT_NE(second.slot, slow.slot);
  EXPECT_EQ(index->counters().takeovers, 1U);
  // The first comes late: its publication counts for nothing, and what it was
  // writing to is free now that it is done.
  EXPECT_FALSE(index->Renew(slow));
  EXPECT_FALSE(index->Publish(slow, Record(1, slow)));
  EXPECT_TRUE(index->Publish(second, Record(1, second)));
  EXPECT_EQ(index->Count(),
            (SlotCounts{.free = 2, .valid = 1, .valid_bytes = 1000}));
}

TEST_F(IndexTest, OfManyThreadsOneMayFetchABlock) {
  const auto index = Make(64);
  std::array<std::atomic<int>, 16> claimed{};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::uint64_t block = 0; block < claimed.size(); ++block) {
        if (index->ClaimSlot(Key(block), 10).outcome == ClaimOutcome::kMine) {
          claimed[block].fetch_add(1);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const std::atomic<int>& count : claimed) {
    EXPECT_EQ(count.load(), 1);
  }
  EXPECT_EQ(index->Count().filling, claimed.size());
}

TEST_F(IndexTest, SmallBlocksTakeSmallSlotsWhileThereAreAny) {
  IndexOptions options = Options(2, Policy::kNever, 64U << 10U);
  options.geometry.classes[1] = {.slot_bytes = 16U << 10U, .slots = 1};
  const auto index = Index::MakePrivate(options, clock_);
  EXPECT_EQ(index->ClaimSlot(Key(0), 16U << 10U).slot, 2U);
  EXPECT_EQ(index->ClaimSlot(Key(1), 16U << 10U).slot, 0U);
  EXPECT_EQ(index->ClaimSlot(Key(2), 64U << 10U).slot, 1U);
  EXPECT_EQ(index->ClaimSlot(Key(3), 10).outcome, ClaimOutcome::kNoRoom);
}

TEST_F(IndexTest, TakesAtMost72KiBForAGiBOfSlots) {
  // 1,024 slots of 1 MiB: 64 KiB of entries, 4 KiB of buckets; what the
  // processes need does not grow with the cache.
  const auto one = Index::MakePrivate(Options(1024), clock_);
  const auto two = Index::MakePrivate(Options(2048), clock_);
  EXPECT_LE(two->memory_bytes() - one->memory_bytes(), 72U << 10U);
  const auto ghosts =
      Index::MakePrivate(Options(1024, Policy::kS3Fifo), clock_);
  const auto more = Index::MakePrivate(Options(2048, Policy::kS3Fifo), clock_);
  EXPECT_LE(more->memory_bytes() - ghosts->memory_bytes(), 72U << 10U);
}

}  // namespace
}  // namespace stoker::cache
