#include "run/internal/live_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stoker::run::internal {
namespace {

using ::testing::HasSubstr;

core::Nanos Millis(std::int64_t count) {
  return std::chrono::milliseconds(count);
}

core::TimePoint AtMillis(std::int64_t count) {
  return core::TimePoint(Millis(count));
}

// Two ranks on two hosts, two epochs of 4 steps of which the first does not
// count; an evaluation of 2 steps after the second.
LivePlan TwoEpochs() {
  return {.epochs = 2,
          .steps = 4,
          .eval_steps = 2,
          .evaluations = 1,
          .eval_compute = Millis(100),
          .counted = {.epoch_steps = 4},
          .hostname = {"alpha", "beta"}};
}

// load + 80 ms of computation + 20 ms barrier.
metrics::StepRecord StepOf(std::int64_t load_ms) {
  return {.load = Millis(load_ms),
          .compute = Millis(80),
          .proc = Millis(load_ms + 80),
          .barrier = Millis(20),
          .samples = 1,
          .bytes = 1ULL << 30};
}

comm::RankedValue Longest(std::int64_t ms, int rank) {
  return {.value = Millis(ms).count(), .rank = rank};
}

TEST(LiveView, UtilisationAndRateAreThoseOfTheCountedStepsSoFar) {
  LiveView view(TwoEpochs());
  view.BeginEpoch(1, AtMillis(0));
  view.AddStep(StepOf(300), Longest(300, 0));
  EXPECT_FALSE(view.Figures().au_percent.has_value());
  EXPECT_FALSE(view.Figures().gib_per_second.has_value());

  view.AddStep(StepOf(0), Longest(100, 1));
  view.AddStep(StepOf(80), Longest(100, 1));

  // 0.4 + 0.1 + 0.18 s, less the excluded step's 0.38: 2 · 0.08 / 0.3 s; the
  // rate 2 GiB in 0.3 s on each of two ranks.
  const LiveFigures figures = view.Figures();
  EXPECT_DOUBLE_EQ(figures.au_percent.value_or(0), 100 * 0.16 / 0.3);
  EXPECT_DOUBLE_EQ(figures.gib_per_second.value_or(0), 2 * 2 / 0.3);
  EXPECT_EQ(figures.epoch, 1U);
  EXPECT_EQ(figures.step, 3U);
  EXPECT_EQ(figures.steps, 4U);
}

TEST(LiveView, EachBlockBehindACheckpointLosesItsFirstStep) {
  LiveView view(TwoEpochs());
  view.BeginEpoch(1, AtMillis(0));
  for (int block = 0; block < 2; ++block) {
    view.AddStep(StepOf(300), Longest(300, 0));
    view.AddStep(StepOf(0), Longest(10, 0));
    view.BeginBlock();
  }

  // Per block 0.4 + 0.1 s, less the excluded step's 0.38: 0.08 / 0.12 s.
  EXPECT_DOUBLE_EQ(view.Figures().au_percent.value_or(0), 100 * 0.16 / 0.24);
  EXPECT_EQ(view.longest_loads().count(), 2U);
  EXPECT_EQ(view.Figures().step, 4U);
}

TEST(LiveView, SlowestIsWhoseLongestWaitsAddUpToMost) {
  LiveView view(TwoEpochs());
  view.BeginEpoch(1, AtMillis(0));
  view.AddStep(StepOf(0), Longest(50, 0));
  view.AddStep(StepOf(0), Longest(30, 1));
  EXPECT_EQ(view.Figures().slowest_rank, 0U);
  view.AddStep(StepOf(0), Longest(30, 1));
  EXPECT_EQ(view.Figures().slowest_rank, 1U);
  // An epoch is judged by its own steps.
  view.BeginEpoch(2, AtMillis(1000));
  view.AddStep(StepOf(0), Longest(1, 0));
  EXPECT_EQ(view.Figures().slowest_rank, 0U);
}

TEST(LiveView, WaitsAreOfAllCountedStepsOfTheRun) {
  LiveView view(TwoEpochs());
  for (const std::uint32_t epoch : {1U, 2U}) {
    view.BeginEpoch(epoch, AtMillis(1000LL * epoch));
    view.AddStep(StepOf(0), Longest(900, 0));
    for (int step = 1; step < 4; ++step)
      view.AddStep(StepOf(0), Longest(10, 0));
  }
  EXPECT_EQ(view.longest_loads().count(), 6U);
  EXPECT_DOUBLE_EQ(view.Figures().wait_p50, 0.010);
  EXPECT_DOUBLE_EQ(view.Figures().wait_p99, 0.010);
}

TEST(LiveView, TimeLeftHasTheEpochsAndTheEvaluationToCome) {
  LiveView view(TwoEpochs());
  view.BeginEpoch(1, AtMillis(0));
  view.AddStep(StepOf(100), Longest(100, 0));
  view.AddStep(StepOf(100), Longest(100, 0));
  // 6 steps of 0.2 s; 2 of evaluation: computation 0.1 s, wait 0.1 s.
  EXPECT_DOUBLE_EQ(view.Figures().seconds_left, 6 * 0.2 + 2 * 0.2);

  view.AddStep(StepOf(100), Longest(100, 0));
  view.AddStep(StepOf(100), Longest(100, 0));
  // The epoch's 4 steps took 0.8 s of 1 s: another 0.2 s beside the steps.
  view.BeginEpoch(2, AtMillis(1000));
  EXPECT_DOUBLE_EQ(view.Figures().seconds_left, 4 * 0.2 + 2 * 0.2 + 0.2);

  for (int step = 0; step < 4; ++step)
    view.AddStep(StepOf(100), Longest(100, 0));
  metrics::StepRecord eval;
  eval.proc = Millis(50);
  view.AddEvalStep(eval);
  // As measured now: one more step of 50 ms.
  EXPECT_NEAR(view.Figures().seconds_left, 0.05 + 0.2, 1e-9);
  EXPECT_TRUE(view.Figures().evaluating);
  EXPECT_EQ(view.Figures().step, 1U);
  EXPECT_EQ(view.Figures().steps, 2U);
}

TEST(LiveView, TheEventSaysItForPeopleAndPrograms) {
  LiveView view(TwoEpochs());
  view.BeginEpoch(2, AtMillis(0));
  view.AddStep(StepOf(0), Longest(2, 1));
  view.AddStep(StepOf(0), Longest(2, 1));
  const Event event = view.ProgressEvent();

  // 80 ms of 100 ms and the first barrier's 20; 1 GiB in that on each rank.
  EXPECT_THAT(event.text, HasSubstr("epoch 2/2 step 2/4"));
  EXPECT_THAT(event.text, HasSubstr("AU so far 66.7 %  16.67 GiB/s"));
  EXPECT_THAT(event.text, HasSubstr("slowest rank 1 on beta"));
  EXPECT_LE(event.brief.size(), 79U);
  EXPECT_THAT(event.brief, HasSubstr("1@beta"));
  reporting::Json fields = event.fields;
  EXPECT_EQ(reporting::DumpJson(*fields.Find("wait_p99_ms"), -1), "2.0");
  EXPECT_EQ(reporting::DumpJson(*fields.Find("slowest_host"), -1), "\"beta\"");
  for (const char* key : {"epoch", "au_percent", "step", "steps", "gib_per_s",
                          "eta_s", "wait_p50_ms", "slowest_rank"}) {
    EXPECT_NE(fields.Find(key), nullptr) << key;
  }
}

TEST(LiveView, BeforeTheFirstStepThereIsNothingToDivideBy) {
  LiveView view(TwoEpochs());
  view.BeginEpoch(1, AtMillis(0));
  const LiveFigures figures = view.Figures();
  EXPECT_DOUBLE_EQ(figures.seconds_left, 2 * 0.1);  // the evaluation alone
  EXPECT_EQ(figures.wait_p99, 0);
  EXPECT_THAT(view.ProgressEvent().text, HasSubstr("AU so far - %"));
}

}  // namespace
}  // namespace stoker::run::internal
