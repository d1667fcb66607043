#include "metrics/utilisation.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/metrics/epochs.h"

namespace stoker::metrics {
namespace {

using testing::Block;
using testing::FourSteps;
using testing::Millis;
using testing::Step;

constexpr CountedSteps kFour = {.epoch_steps = 4};

TEST(SumBlock, FirstStepIsLeftOut) {
  const BlockSums sums = SumBlock(FourSteps(), kFour);
  EXPECT_EQ(sums.steps, 4U);
  EXPECT_EQ(sums.counted_steps, 3U);
  EXPECT_EQ(sums.wall, Millis(3600));
  EXPECT_EQ(sums.excluded_proc, Millis(2000));
  EXPECT_EQ(sums.counted_compute, Millis(1200));
  EXPECT_EQ(sums.total_compute, Millis(1600));
  EXPECT_EQ(sums.counted_load, Millis(300));
  EXPECT_EQ(sums.counted_samples, 21U);
  EXPECT_EQ(sums.total_samples, 28U);
  EXPECT_EQ(sums.counted_bytes, 2100U);
  EXPECT_EQ(sums.total_bytes, 2800U);
}

TEST(SumBlock, BarrierAndOvershootAreOfCountedSteps) {
  BlockRecord block = FourSteps();
  block.steps[0].overshoot = Millis(90);  // not counted
  block.steps[0].barrier = Millis(90);
  block.steps[1].overshoot = Millis(2);
  block.steps[2].overshoot = Millis(5);
  block.steps[3].barrier = Millis(7);
  const BlockSums sums = SumBlock(block, kFour);
  EXPECT_EQ(sums.counted_overshoot, Millis(7));
  EXPECT_EQ(sums.max_overshoot, Millis(5));
  EXPECT_EQ(sums.counted_barrier, Millis(7));
}

TEST(UtilisationPercent, ComputeOverTimeWithoutFirstStep) {
  // 100 · 1.2 / (3.6 - 2.0) = 75
  EXPECT_DOUBLE_EQ(UtilisationPercent(SumBlock(FourSteps(), kFour)), 75.0);
}

TEST(ReferenceSamplesPerSecond, TakesTwoStepsOff) {
  // (4 - 2) / 1.6 · 7 = 8.75
  EXPECT_DOUBLE_EQ(ReferenceSamplesPerSecond(SumBlock(FourSteps(), kFour), 7),
                   8.75);
}

TEST(CountedSamplesPerSecond, CountsWhatTheTimeCovers) {
  // 3 steps · 7 samples / 1.6 s = 13.125; 3 · 700 B / 1.6 s = 1312.5
  const BlockSums sums = SumBlock(FourSteps(), kFour);
  EXPECT_DOUBLE_EQ(CountedSamplesPerSecond(sums), 13.125);
  EXPECT_DOUBLE_EQ(CountedBytesPerSecond(sums), 1312.5);
}

TEST(UtilisationPercent, PerfectOverlapOf500StepsIs100) {
  // Every step 323 ms of compute and nothing else.
  const BlockRecord block =
      Block(0, 161500, std::vector<StepRecord>(500, Step(323, 323)));
  const BlockSums sums = SumBlock(block, {.epoch_steps = 500});
  EXPECT_DOUBLE_EQ(UtilisationPercent(sums), 100.0);
  // 498 / (499 · 0.323) · 7 = 498/499 · 7/0.323 = 21.6284…
  EXPECT_NEAR(ReferenceSamplesPerSecond(sums, 7), 498.0 / 499 * 7 / 0.323,
              1e-9);
  EXPECT_NEAR(ReferenceSamplesPerSecond(sums, 7), 21.628, 5e-4);
  EXPECT_NEAR(CountedSamplesPerSecond(sums), 7 / 0.323, 1e-9);
}

TEST(ReferenceSamplesPerSecond, OneStepIsNegativeAndUtilisationZero) {
  // The only step is left out; 10 ms of barrier remain: (1 - 2)/0.01 · 4.
  const BlockRecord block = Block(0, 510, {Step(500, 400)});
  const BlockSums sums = SumBlock(block, {.epoch_steps = 1});
  EXPECT_EQ(UtilisationPercent(sums), 0);
  EXPECT_DOUBLE_EQ(ReferenceSamplesPerSecond(sums, 4), -400.0);
}

TEST(UtilisationPercent, NoTimeLeftIsZeroNotNan) {
  const BlockRecord block = Block(0, 500, {Step(500, 400)});
  const BlockSums sums = SumBlock(block, {.epoch_steps = 1});
  EXPECT_EQ(UtilisationPercent(sums), 0);
  EXPECT_EQ(ReferenceSamplesPerSecond(sums, 4), 0);
  EXPECT_EQ(CountedSamplesPerSecond(sums), 0);
}

TEST(UtilisationPercent, BlockThatNeverClosedIsZero) {
  BlockRecord block = FourSteps();
  block.closed = false;
  const BlockSums sums = SumBlock(block, kFour);
  EXPECT_EQ(UtilisationPercent(sums), 0);
  EXPECT_EQ(ReferenceSamplesPerSecond(sums, 7), 0);
  EXPECT_EQ(CountedBytesPerSecond(sums), 0);
  EXPECT_EQ(EvalSamplesPerSecond(sums, 7), 0);
}

TEST(SumBlock, LastStepsAreLeftOut) {
  // Of 4 steps, positions [1, 4-1-1] = 1, 2 count.
  const BlockSums sums =
      SumBlock(FourSteps(), {.epoch_steps = 4, .exclude_end = 1});
  EXPECT_EQ(sums.counted_steps, 2U);
  EXPECT_EQ(sums.excluded_proc, Millis(2000 + 500));
  // 100 · 0.8 / (3.6 - 2.5)
  EXPECT_DOUBLE_EQ(UtilisationPercent(sums), 100 * 0.8 / 1.1);
}

TEST(SumBlock, EveryBlockLosesItsFirstStepAndNoneItsLast) {
  // An epoch of 6 steps in blocks of 3: positions [1, 4] of the epoch applied
  // to a list of 3 leave 1 and 2; the excluded end, 5, is in neither.
  const CountedSteps counted = {.epoch_steps = 6, .exclude_end = 1};
  const BlockRecord block =
      Block(0, 3000, {Step(1000, 800), Step(1000, 800), Step(1000, 800)});
  const BlockSums sums = SumBlock(block, counted);
  EXPECT_EQ(sums.counted_steps, 2U);
  EXPECT_EQ(sums.excluded_proc, Millis(1000));
  EXPECT_DOUBLE_EQ(UtilisationPercent(sums), 80.0);
}

TEST(SumBlock, NothingExcludedCountsAll) {
  const BlockSums sums =
      SumBlock(FourSteps(), {.epoch_steps = 4, .exclude_start = 0});
  EXPECT_EQ(sums.counted_steps, 4U);
  EXPECT_EQ(sums.excluded_proc, Millis(0));
  // Still (4 - 2) steps: 2 / 3.6 · 7.
  EXPECT_DOUBLE_EQ(ReferenceSamplesPerSecond(sums, 7), 2 / 3.6 * 7);
}

TEST(SumBlock, StopBeforeTheListCountsFromItsEnd) {
  // epoch_steps 4, exclude_end 5: stop is -1, which in Python means "without
  // the last": compute[1:-1] are 1 and 2, proc[:1] and proc[-1:] excluded.
  const BlockSums sums =
      SumBlock(FourSteps(), {.epoch_steps = 4, .exclude_end = 5});
  EXPECT_EQ(sums.counted_steps, 2U);
  EXPECT_EQ(sums.excluded_proc, Millis(2500));
}

TEST(SumBlock, OverlappingExclusionsAreTakenOffTwice) {
  // exclude 3 at both ends of 4: proc[:3] and proc[1:], counted [3:1] empty.
  const BlockSums sums = SumBlock(
      FourSteps(), {.epoch_steps = 4, .exclude_start = 3, .exclude_end = 3});
  EXPECT_EQ(sums.counted_steps, 0U);
  EXPECT_EQ(sums.excluded_proc, Millis(3000 + 1500));
  EXPECT_EQ(UtilisationPercent(sums), 0);
}

TEST(EvalSamplesPerSecond, AllStepsOverAllTime) {
  // 4 / 3.6 · 9 = 10
  EXPECT_DOUBLE_EQ(EvalSamplesPerSecond(SumBlock(FourSteps(), kFour), 9), 10.0);
}

TEST(Counts, AgreesWithTheSumsOfAWholeBlock) {
  // Python's slices, negative positions too.
  for (const std::int64_t start : {-2, 0, 1, 3, 9}) {
    for (const std::int64_t end : {-1, 0, 1, 5}) {
      const CountedSteps counted{
          .epoch_steps = 4, .exclude_start = start, .exclude_end = end};
      std::uint64_t steps = 0;
      for (std::uint64_t step = 0; step < 4; ++step) {
        steps += Counts(counted, step) ? 1 : 0;
      }
      EXPECT_EQ(steps, SumBlock(FourSteps(), counted).counted_steps)
          << start << ", " << end;
    }
  }
}

TEST(WeightedByBlockSteps, WeighsWithAllStepsOfABlock) {
  // (80 · 3 + 60 · 1) / 4 = 75
  const std::vector<double> values = {80, 60};
  const std::vector<std::uint64_t> steps = {3, 1};
  EXPECT_DOUBLE_EQ(WeightedByBlockSteps(values, steps), 75);
}

TEST(WeightedByBlockSteps, NoStepsIsZero) {
  EXPECT_EQ(WeightedByBlockSteps({}, {}), 0);
  const std::vector<double> values = {80};
  const std::vector<std::uint64_t> steps = {0};
  EXPECT_EQ(WeightedByBlockSteps(values, steps), 0);
}

TEST(PopulationMeanStdev, DividesByTheCount) {
  // Mean 5; squares 9+1+1+1+0+0+4+16 = 32; √(32/8) = 2.
  const std::vector<double> values = {2, 4, 4, 4, 5, 5, 7, 9};
  const MeanStdev spread = PopulationMeanStdev(values);
  EXPECT_DOUBLE_EQ(spread.mean, 5);
  EXPECT_DOUBLE_EQ(spread.stdev, 2);
}

TEST(PopulationMeanStdev, OfNothingIsZero) {
  EXPECT_EQ(PopulationMeanStdev({}).mean, 0);
  EXPECT_EQ(PopulationMeanStdev({}).stdev, 0);
}

}  // namespace
}  // namespace stoker::metrics
