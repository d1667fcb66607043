// Processes that share a cache on files, and are killed, stopped and too many.

#include <gtest/gtest.h>

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

TEST_F(CacheFaults, AStoppedOwnerIsTakenOverAndDoesNoHarmWhenItGoesOn) {
  Child stopped = Reader("F2", SIGSTOP);
  stopped.WaitForStop();
  {
    const auto backend = Open();
    EXPECT_TRUE(Read(*backend));
    EXPECT_GE(
        backend->CacheActivity()->takeovers + backend->CacheActivity()->hedges,
        1U);
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
