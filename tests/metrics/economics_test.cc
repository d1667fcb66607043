#include "metrics/economics.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <optional>

namespace stoker::metrics {
namespace {

using std::chrono::seconds;

constexpr CheckpointEconomicsInput kHourly{.save = seconds(50),
                                           .restore = seconds(36),
                                           .mtbf = seconds(3600),
                                           .accelerators = 512};

TEST(Economics, IntervalsOfYoungAndDaly) {
  const CheckpointEconomics economics = Economics(kHourly);
  // sqrt(2 · 50 · 3600) = 600; 50 / 7200 = 1 / 144, its root 1 / 12:
  // 600 · (1 + 1 / 36 + 1 / 1296) - 50 = 567.129630.
  EXPECT_DOUBLE_EQ(economics.young_interval_s, 600);
  EXPECT_NEAR(economics.daly_interval_s, 567.129630, 1e-6);
  EXPECT_EQ(economics.input.accelerators, 512U);
}

TEST(Economics, GoodputIsTrainingOverExpectedWallTime) {
  const CheckpointEconomics economics = Economics(kHourly);
  // x = 617.129630 / 3600 = 0.17142490; e^x - 1 = x + x²/2 + x³/6 + … =
  // 0.17142490 + 0.01469325 + 0.00083960 + 0.00003598 + 0.00000123 + 0.00000004
  // = 0.18699500. e^(36/3600) = 1.01005017. An interval of 567.129630 s takes
  // 3600 · 1.01005017 · 0.18699500 = 679.947580 s.
  EXPECT_NEAR(economics.goodput, 0.834078, 2e-6);         // 567.129630 / …
  EXPECT_NEAR(economics.lost_to_saving, 0.073535, 2e-6);  // 50 / …
  EXPECT_NEAR(economics.lost_to_failures, 0.092387, 2e-6);
  // 512 · 24 h · (1 - 0.834078)
  EXPECT_NEAR(economics.lost_accelerator_hours_per_day, 2038.85, 0.05);
}

TEST(Economics, SharesSumToOne) {
  for (const int save : {0, 1, 60, 3600, 7199, 7200, 100000}) {
    for (const int restore : {0, 5, 3600}) {
      const CheckpointEconomics economics =
          Economics({.save = seconds(save),
                     .restore = seconds(restore),
                     .mtbf = seconds(3600),
                     .accelerators = 1});
      EXPECT_NEAR(economics.goodput + economics.lost_to_saving +
                      economics.lost_to_failures,
                  1, 1e-12)
          << save << ' ' << restore;
      EXPECT_GE(economics.goodput, 0);
      EXPECT_GE(economics.lost_to_saving, 0);
    }
  }
}

TEST(Economics, DalysIntervalIsNearTheLeastExpectedTime) {
  // Expected wall time per training time by eq. 20, at other intervals.
  const auto wall = [](double interval) {
    return 3600 * std::exp(0.01) * std::expm1((interval + 50) / 3600) /
           interval;
  };
  const CheckpointEconomics economics = Economics(kHourly);
  EXPECT_NEAR(1 / economics.goodput, wall(economics.daly_interval_s), 1e-12);
  for (const double other : {0.8, 0.9, 1.1, 1.2}) {
    EXPECT_LT(1 / economics.goodput, wall(other * economics.daly_interval_s));
  }
}

TEST(Economics, SavesThatCostNothingAreMadeAllTheTime) {
  const CheckpointEconomics economics = Economics({.save = {},
                                                   .restore = seconds(100),
                                                   .mtbf = seconds(1000),
                                                   .accelerators = 1});
  EXPECT_EQ(economics.young_interval_s, 0);
  EXPECT_EQ(economics.daly_interval_s, 0);
  EXPECT_EQ(economics.lost_to_saving, 0);
  // e^-0.1: only restores, failures during them included.
  EXPECT_NEAR(economics.goodput, 0.904837, 1e-6);
  EXPECT_NEAR(economics.lost_to_failures, 0.095163, 1e-6);
}

TEST(Economics, SavesOfTwiceTheMtbfAndMoreUseTheMtbf) {
  for (const int save : {200, 500}) {
    const CheckpointEconomics economics = Economics({.save = seconds(save),
                                                     .restore = {},
                                                     .mtbf = seconds(100),
                                                     .accelerators = 1});
    EXPECT_DOUBLE_EQ(economics.daly_interval_s, 100);
    // 1 / (e^(1 + save/100) - 1)
    EXPECT_NEAR(economics.goodput, save == 200 ? 0.0523957 : 0.00248492, 1e-6);
  }
  // Never done.
  const CheckpointEconomics hopeless = Economics({.save = seconds(100000),
                                                  .restore = {},
                                                  .mtbf = seconds(100),
                                                  .accelerators = 2});
  EXPECT_EQ(hopeless.goodput, 0);
  EXPECT_EQ(hopeless.lost_to_failures, 1);
  EXPECT_EQ(hopeless.lost_accelerator_hours_per_day, 48);
}

TEST(EconomicsInputOf, TakesTheMeansOfTheLongest) {
  CheckpointSummary summary;
  EXPECT_FALSE(EconomicsInputOf(summary, 8, seconds(60)).has_value());
  summary.saves.each.resize(1);
  summary.saves.duration_max_s.mean = 2.5;
  std::optional<CheckpointEconomicsInput> input =
      EconomicsInputOf(summary, 8, seconds(60));
  ASSERT_TRUE(input.has_value());
  EXPECT_EQ(input->save, std::chrono::milliseconds(2500));
  EXPECT_EQ(input->restore, core::Nanos{});
  EXPECT_EQ(input->mtbf, seconds(60));
  EXPECT_EQ(input->accelerators, 8U);
  summary.restores.each.resize(1);
  summary.restores.duration_max_s.mean = 1.25;
  input = EconomicsInputOf(summary, 8, seconds(60));
  ASSERT_TRUE(input.has_value());
  EXPECT_EQ(input->restore, std::chrono::milliseconds(1250));
}

}  // namespace
}  // namespace stoker::metrics
