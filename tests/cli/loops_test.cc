#include "cli/loops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "reporting/json.h"
#include "tests/support/temp_dir.h"

namespace stoker::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

LoopResult Loop(double au, double gib, bool warm_up = false) {
  return {.folder = "results/x", .warm_up = warm_up, .figures = {au, gib}};
}

const std::span<const LoopColumn> kColumns = LoopColumns("training");

TEST(WarmUps, TheRunToWarmUpComesInFrontOfThoseAskedFor) {
  EXPECT_THAT(WarmUps(2, false), ElementsAre(false, false));
  EXPECT_THAT(WarmUps(2, true), ElementsAre(true, false, false));
}

TEST(ReadLoop, TakesTheFiguresOfTheSummary) {
  const stoker::testing::TempDir dir;
  std::ofstream(dir.path() / "summary.json")
      << R"({"metric": {"train_au_mean_percentage": 91.5,
             "train_io_exact_mean_GiB_per_second": 2}})";
  const LoopResult loop = ReadLoop(kColumns, dir.str(), 0, true);

  EXPECT_EQ(loop.Figure(0), 91.5);
  EXPECT_EQ(loop.Figure(1), 2);
  EXPECT_TRUE(loop.warm_up);
}

TEST(ReadLoop, CheckpointsHaveFiguresOfTheirOwn) {
  const stoker::testing::TempDir dir;
  std::ofstream(dir.path() / "summary.json") << R"({"metric": {}, "stoker": {
             "calculated_mean_save_throughput_from_strict_times": 1.5}})";
  const LoopResult loop =
      ReadLoop(LoopColumns("checkpointing"), dir.str(), 0, false);

  EXPECT_EQ(loop.Figure(0), 1.5);
  EXPECT_FALSE(loop.Figure(1).has_value());  // nothing was restored
}

TEST(ReadLoop, RunsWithoutASummaryHaveNoFigures) {
  const stoker::testing::TempDir dir;
  const LoopResult loop = ReadLoop(kColumns, dir.str(), 6, false);

  EXPECT_FALSE(loop.Figure(0).has_value());
  EXPECT_EQ(loop.exit_status, 6);
}

// AU 90, 92, 97: mean 93, deviations -3, -1, 4, squares 26, over two 13, root
// 3.60555, over 93: 3.877 %. GiB/s 1, 2, 3: mean 2, root of 1, 50 %.
TEST(LoopTable, SpreadIsOfTheCountedRuns) {
  const std::string table = LoopTable(
      kColumns, std::vector<LoopResult>{Loop(10, 9, true), Loop(90, 1),
                                        Loop(92, 2), Loop(97, 3)});

  EXPECT_EQ(table,
            "  run            AU %      GiB/s  results\n"
            "  warm-up       10.00      9.000  results/x\n"
            "  1             90.00      1.000  results/x\n"
            "  2             92.00      2.000  results/x\n"
            "  3             97.00      3.000  results/x\n"
            "  mean          93.00      2.000\n"
            "  min           90.00      1.000\n"
            "  max           97.00      3.000\n"
            "  CV %           3.88      50.00");
}

TEST(LoopTable, FailedRunsAreNamedAndNotCounted) {
  LoopResult failed = Loop(50, 1);
  failed.exit_status = 6;
  const std::string table = LoopTable(
      kColumns, std::vector<LoopResult>{
                    failed, {.folder = "y", .exit_status = 7}, Loop(90, 2)});

  EXPECT_THAT(table, HasSubstr("results/x (exit status 6)"));
  EXPECT_THAT(table, HasSubstr("2                 -          -  y (exit "
                               "status 7)"));
  EXPECT_THAT(table, HasSubstr("mean          90.00      2.000"));
  // One value does not vary.
  EXPECT_THAT(table, HasSubstr("CV %              -          -"));
}

// As above: squares 26 over two, root 3.60555, over 93.
TEST(LoopsEvent, ProgramsGetEachRunAndTheSpread) {
  LoopResult failed{.folder = "y", .exit_status = 7};
  const run::Event event = LoopsEvent(
      kColumns, std::vector<LoopResult>{Loop(10, 9, true), Loop(90, 1),
                                        Loop(92, 2), Loop(97, 3), failed});

  EXPECT_EQ(event.name, "loops");
  EXPECT_EQ(reporting::DumpJson(event.fields.front().second, -1),
            R"([{"results":"results/x","exit_status":0,"warm_up":true,)"
            R"("au_percent":10.0,"gib_per_s":9.0},)"
            R"({"results":"results/x","exit_status":0,"warm_up":false,)"
            R"("au_percent":90.0,"gib_per_s":1.0},)"
            R"({"results":"results/x","exit_status":0,"warm_up":false,)"
            R"("au_percent":92.0,"gib_per_s":2.0},)"
            R"({"results":"results/x","exit_status":0,"warm_up":false,)"
            R"("au_percent":97.0,"gib_per_s":3.0},)"
            R"({"results":"y","exit_status":7,"warm_up":false,)"
            R"("au_percent":null,"gib_per_s":null}])");
  const reporting::Json fields(event.fields);
  const reporting::Json* au = fields.Find("au_percent");
  ASSERT_NE(au, nullptr);
  EXPECT_EQ(reporting::NumberField(*au, "mean"), 93);
  EXPECT_EQ(reporting::NumberField(*au, "min"), 90);
  EXPECT_EQ(reporting::NumberField(*au, "max"), 97);
  EXPECT_NEAR(reporting::NumberField(*au, "cv_percent").value_or(0), 3.87694,
              1e-5);
  const reporting::Json* gib = fields.Find("gib_per_s");
  ASSERT_NE(gib, nullptr);
  EXPECT_EQ(reporting::NumberField(*gib, "cv_percent"), 50);
}

TEST(LoopStartEvent, SaysWhichOfHowMany) {
  const run::Event event = LoopStartEvent(1, 3, true);

  EXPECT_EQ(event.text, "run 1 of 3, to warm up");
  EXPECT_EQ(reporting::DumpJson(event.fields, -1),
            R"({"run":1,"runs":3,"warm_up":true})");
}

TEST(LoopTable, OneRunNeedsNone) {
  EXPECT_THAT(LoopTable(kColumns, std::vector<LoopResult>{Loop(90, 2)}),
              IsEmpty());
}

}  // namespace
}  // namespace stoker::cli
