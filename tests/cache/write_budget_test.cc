#include "cache/internal/write_budget.h"

#include <gtest/gtest.h>

namespace stoker::cache::internal {
namespace {

constexpr core::TimePoint kStart = core::TimePoint(std::chrono::hours(100));

core::TimePoint After(int seconds) {
  return kStart + std::chrono::seconds(seconds);
}

// 86,400 bytes a day are a byte a second.
TEST(WriteBudget, IsADaysWorthAtFirstAndThenWhatTimeGives) {
  std::atomic<std::int64_t> whole_at = 0;
  WriteBudget budget(whole_at, 86'400);
  EXPECT_TRUE(budget.Allows(86'400, kStart));
  EXPECT_FALSE(budget.Allows(86'401, kStart));
  budget.Spend(86'400, kStart);
  EXPECT_FALSE(budget.Allows(1, kStart));
  EXPECT_TRUE(budget.Allows(10, After(10)));
  EXPECT_FALSE(budget.Allows(11, After(10)));
  budget.Spend(10, After(10));
  EXPECT_FALSE(budget.Allows(1, After(10)));
}

TEST(WriteBudget, SavesUpADaysWorthAtMost) {
  std::atomic<std::int64_t> whole_at = 0;
  WriteBudget budget(whole_at, 86'400);
  budget.Spend(1'000, kStart);
  const int week = 7 * 86'400;
  EXPECT_TRUE(budget.Allows(86'400, After(week)));
  EXPECT_FALSE(budget.Allows(86'401, After(week)));
}

TEST(WriteBudget, IsOneForAllWhoShareItsNumber) {
  std::atomic<std::int64_t> whole_at = 0;
  WriteBudget first(whole_at, 86'400);
  WriteBudget second(whole_at, 86'400);
  first.Spend(50'000, kStart);
  EXPECT_TRUE(second.Allows(36'400, kStart));
  EXPECT_FALSE(second.Allows(36'401, kStart));
}

TEST(WriteBudget, WithoutAnEndAllowsEverything) {
  std::atomic<std::int64_t> whole_at = 0;
  const WriteBudget budget(whole_at, kNoBudget);
  EXPECT_TRUE(budget.Allows(UINT64_MAX, kStart));
}

TEST(WriteBudget, OfNextToNothingAllowsNothing) {
  std::atomic<std::int64_t> whole_at = 0;
  const WriteBudget budget(whole_at, 1e-9);
  EXPECT_FALSE(budget.Allows(UINT64_MAX, kStart));
}

}  // namespace
}  // namespace stoker::cache::internal
