// Processes that share a cache on files, and are killed, stopped and too many.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/cache/cache_faults_support.h"

namespace stoker::cache {
namespace {

class KillDuringFill : public CacheFaults,
                       public ::testing::WithParamInterface<std::string_view> {
};

TEST_P(KillDuringFill, LosesNoByteAndTheNextFetchesWhatIsMissing) {
  Child killed = Reader(GetParam(), SIGKILL);
  ASSERT_EQ(killed.Wait(), 128 + SIGKILL);
  CheckWhole();
  const auto backend = Open();
  EXPECT_TRUE(Read(*backend));
  EXPECT_EQ(backend->CacheActivity()->store_bytes, 0U);
}

INSTANTIATE_TEST_SUITE_P(Cache, KillDuringFill,
                         ::testing::Values("F1", "F2", "F3", "F4", "L1"));

class KillDuringEviction
    : public CacheFaults,
      public ::testing::WithParamInterface<std::string_view> {};

TEST_P(KillDuringEviction, LosesNoByteAndNoSlot) {
  // More blocks than there are slots, so that each further one evicts.
  content_.resize(80 * kFaultSlot);
  core::FillCounterStream(8, 0, std::as_writable_bytes(std::span(content_)));
  auto store = storage::OpenBackend(store_uri()).value();
  ASSERT_TRUE(storage::WriteObject(*store, "object", content_, clock_).ok());
  Child killed([this] {
    hook_name = GetParam();
    hook_signal = SIGKILL;
    internal::SetKillHook(SignalAtHook);
    return Read(*Open("", Policy::kLru)) ? 0 : 1;
  });
  ASSERT_EQ(killed.Wait(), 128 + SIGKILL);
  const auto backend = Open("", Policy::kLru);
  EXPECT_TRUE(Read(*backend));
  Index& index = *TierOf(*backend)->units()[0].index;
  // What it held rests, a victim and a slot for each of its eight buffers: what
  // it had sent to the device may still arrive.
  const SlotCounts counts = index.Count();
  EXPECT_LE(counts.quarantined, 9U);
  EXPECT_EQ(counts.all(), index.geometry().slots());
  EXPECT_EQ(VerifyBlocks(*TierOf(*backend), clock_).value().damaged, 0U);
}

INSTANTIATE_TEST_SUITE_P(Cache, KillDuringEviction,
                         ::testing::Values("E1", "E2"));

// S1: in the midst of the records; S2: before the index says that it is whole.
class KillDuringRebuild
    : public CacheFaults,
      public ::testing::WithParamInterface<std::string_view> {};

TEST_P(KillDuringRebuild, IsMadeAgainByTheNext) {
  CheckWhole();
  Index::Forget(id_);
  Child killed = Reader(GetParam(), SIGKILL);
  ASSERT_EQ(killed.Wait(), 128 + SIGKILL);
  const auto backend = Open();
  EXPECT_TRUE(TierOf(*backend)->units()[0].index->made());
  EXPECT_TRUE(Read(*backend));
  EXPECT_EQ(backend->CacheActivity()->store_bytes, 0U);
}

INSTANTIATE_TEST_SUITE_P(Cache, KillDuringRebuild,
                         ::testing::Values("S1", "S2"));

TEST_F(CacheFaults, WhoDiesTakingBackWhatTheDeadHadIsFollowedByAnother) {
  Child owner = Reader("F1", SIGKILL);  // leaves a claim
  ASSERT_EQ(owner.Wait(), 128 + SIGKILL);
  // Attaching takes back; so does the sweep of who is there already.
  Child sweeper = Reader("A1", SIGKILL);
  ASSERT_EQ(sweeper.Wait(), 128 + SIGKILL);
  const auto backend = Open();
  Index& index = *TierOf(*backend)->units()[0].index;
  EXPECT_EQ(index.Count().filling, 0U);
  EXPECT_EQ(index.others(), 0U);
  EXPECT_EQ(index.Sweep(), 0U);
  EXPECT_TRUE(Read(*backend));
}

TEST_F(CacheFaults, AStoppedOwnerIsTakenOverAndDoesNoHarmWhenItGoesOn) {
  Child stopped = Reader("F2", SIGSTOP);
  stopped.WaitForStop();
  // Past its lease of half a second.
  clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(700));
  {
    const auto backend = Open();
    EXPECT_TRUE(Read(*backend));
    EXPECT_GE(backend->CacheActivity()->takeovers, 1U);
  }
  CheckWhole();
  stopped.Signal(SIGCONT);
  EXPECT_EQ(stopped.Wait(), 0);
  CheckWhole();
}

TEST_F(CacheFaults, SixtyFourProcessesAskingForOneColdObjectFetchItOnce) {
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 64; ++i) {
    children.push_back(std::make_unique<Child>([this] {
      const auto backend = Open("run");
      totals_->ready.fetch_add(1);
      while (!totals_->go.load()) {
        std::this_thread::yield();
      }
      const bool right = Read(*backend);
      Note(*backend);
      return right ? 0 : 1;
    }));
  }
  while (totals_->ready.load() < 64) {
    clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(1));
  }
  totals_->go.store(true);
  for (const auto& child : children) {
    EXPECT_EQ(child->Wait(), 0);
  }
  // A read that took long on a busy machine may have been repeated past the
  // cache; those are counted, and none else.
  EXPECT_GE(totals_->fetched.load(), kObject);
  EXPECT_LE(totals_->fetched.load(),
            kObject + totals_->hedges.load() * kFaultSlot);
}

TEST_F(CacheFaults, EightThreadsOfEightProcessesFetchOneColdObjectOnce) {
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(std::make_unique<Child>([this] {
      const auto backend = Open("run");
      totals_->ready.fetch_add(1);
      while (!totals_->go.load()) {
        std::this_thread::yield();
      }
      std::atomic<int> wrong = 0;
      {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 8; ++t) {
          threads.emplace_back(
              [&] { wrong.fetch_add(Read(*backend) ? 0 : 1); });
        }
      }
      Note(*backend);
      return wrong.load();
    }));
  }
  while (totals_->ready.load() < 8) {
    clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(1));
  }
  totals_->go.store(true);
  for (const auto& child : children) {
    EXPECT_EQ(child->Wait(), 0);
  }
  EXPECT_GE(totals_->fetched.load(), kObject);
  EXPECT_LE(totals_->fetched.load(),
            kObject + totals_->hedges.load() * kFaultSlot);
}

TEST_F(CacheFaults, ALostIndexIsMadeFromTheRecords) {
  CheckWhole();
  Index::Forget(id_);
  const auto backend = Open();
  EXPECT_TRUE(TierOf(*backend)->units()[0].index->made());
  EXPECT_TRUE(Read(*backend));
  EXPECT_EQ(backend->CacheActivity()->store_bytes, 0U);
}

TEST_F(CacheFaults, ASecondRunIsRefusedAndAToolIsNot) {
  const auto first = Open("first");
  Child second([this] {
    CacheOptions options;
    options.directories = {cache_path()};
    const auto refused = OpenTier(options, "second", clock_);
    return !refused.ok() &&
                   refused.status().code() == core::Code::kUnavailable &&
                   OpenTier(options, "", clock_).ok() &&
                   OpenTier(options, "first", clock_).ok()
               ? 0
               : 1;
  });
  EXPECT_EQ(second.Wait(), 0);
}

TEST_F(CacheFaults, ColdStartsEmptyAndAsFoundDoesNot) {
  CheckWhole();
  CacheOptions options;
  options.directories = {cache_path()};
  EXPECT_GT(
      OpenTier(options, "a", clock_).value()->units()[0].index->Count().valid,
      0U);
  options.start = Start::kCold;
  EXPECT_EQ(
      OpenTier(options, "b", clock_).value()->units()[0].index->Count().valid,
      0U);
}

TEST_F(CacheFaults, AnotherPolicyIsPossibleOnceNobodyUsesTheCache) {
  CheckWhole();
  CacheOptions options;
  options.directories = {cache_path()};
  options.policy = Policy::kLru;
  {
    const auto lru = OpenTier(options, "a", clock_);
    ASSERT_TRUE(lru.ok()) << lru.status().ToString();
    EXPECT_EQ(lru.value()->units()[0].index->Count().valid, 4U);
    options.policy = Policy::kFifo;
    EXPECT_FALSE(OpenTier(options, "a", clock_).ok());
  }
  EXPECT_TRUE(OpenTier(options, "a", clock_).ok());
}

}  // namespace
}  // namespace stoker::cache
