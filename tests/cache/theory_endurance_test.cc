#include "cache/theory_endurance.h"

#include <gtest/gtest.h>

#include <limits>

namespace stoker::cache {
namespace {

constexpr double kGb = 1e9;
constexpr double kTb = 1e12;
constexpr double kDrive = 7.68 * kTb;

TEST(BytesPerDay, MissesWrittenAreManyTimesTheBudgetOfADrive) {
  struct Row {
    double gb_per_s, tb_per_day, times_budget;
  };
  for (const Row& row :
       {Row{1, 86, 11}, Row{3.18, 275, 36}, Row{10, 864, 112}}) {
    const double per_day = BytesPerDay(row.gb_per_s * kGb);
    EXPECT_NEAR(per_day / kTb, row.tb_per_day, 0.5);
    EXPECT_NEAR(per_day / DailyBudgetBytes(1, kDrive), row.times_budget, 0.5);
  }
}

TEST(ChurnBytesPerSecond, IsWhatIsMissed) {
  EXPECT_DOUBLE_EQ(ChurnBytesPerSecond(0.25, 4 * kGb), 3 * kGb);
  EXPECT_EQ(ChurnBytesPerSecond(1, 4 * kGb), 0);
}

TEST(DaysToWearOut, FromDriveWritesPerDayAndFromBytesWritten) {
  // 1 DWPD for five years: 7.68 TB · 1825 = 14,016 TB.
  const double rated = RatedBytes(1, kDrive);
  EXPECT_NEAR(rated, 14016 * kTb, 1e-3 * kTb);
  EXPECT_DOUBLE_EQ(DaysToWearOut(rated, DailyBudgetBytes(1, kDrive)), 1825);
  // At 10 GB/s, 864 TB a day: 16.2 days.
  EXPECT_NEAR(DaysToWearOut(rated, BytesPerDay(10 * kGb)), 16.22, 0.01);
  // A drive rated for 14,000 TB: 14,000 / 864.
  EXPECT_NEAR(DaysToWearOut(14000 * kTb, BytesPerDay(10 * kGb)), 16.204, 1e-3);
  EXPECT_DOUBLE_EQ(RatedBytes(3, kDrive, 365), 3 * 365 * kDrive);
}

TEST(DaysToWearOut, WhatIsNotWrittenLastsForEver) {
  EXPECT_EQ(DaysToWearOut(kTb, 0), std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace stoker::cache
