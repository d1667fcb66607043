#include "reporting/dlio_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/reporting/synthetic_run.h"
#include "tests/reporting/zone.h"
#include "tests/support/temp_dir.h"

namespace stoker::reporting {
namespace {

using ::testing::HasSubstr;

const metrics::WallTime kAt = testing::SyntheticAnchor().wall;

DlioLog OpenLog(const testing::TempDir& folder, DlioLog::Mode mode) {
  testing::UseTestZone();
  core::Result<DlioLog> log = DlioLog::Open(folder.str() + "/dlio.log", mode);
  EXPECT_TRUE(log.ok()) << log.status().ToString();
  return std::move(log).value();
}

TEST(DlioLog, LinesHaveLevelTimeAndText) {
  const testing::TempDir folder;
  DlioLog log = OpenLog(folder, DlioLog::Mode::kNew);
  ASSERT_TRUE(log.Output(kAt, "one").ok());
  ASSERT_TRUE(log.Warning(kAt, "two").ok());
  ASSERT_TRUE(log.Error(kAt, "three").ok());
  EXPECT_EQ(testing::Slurp(folder.path() / "dlio.log"),
            "[OUTPUT] 2025-03-01T14:30:00.250000 one\n"
            "[WARNING] 2025-03-01T14:30:00.250000 two\n"
            "[ERROR] 2025-03-01T14:30:00.250000 three\n");
}

TEST(DlioLog, OtherRanksAddToWhatRankZeroBegan) {
  const testing::TempDir folder;
  {
    DlioLog old = OpenLog(folder, DlioLog::Mode::kNew);
    ASSERT_TRUE(old.Output(kAt, "of an earlier run").ok());
  }
  DlioLog first = OpenLog(folder, DlioLog::Mode::kNew);
  DlioLog second = OpenLog(folder, DlioLog::Mode::kAppend);
  ASSERT_TRUE(first.Output(kAt, "a").ok());
  ASSERT_TRUE(second.Warning(kAt, "b").ok());
  ASSERT_TRUE(first.Output(kAt, "c").ok());
  EXPECT_EQ(testing::Slurp(folder.path() / "dlio.log"),
            "[OUTPUT] 2025-03-01T14:30:00.250000 a\n"
            "[WARNING] 2025-03-01T14:30:00.250000 b\n"
            "[OUTPUT] 2025-03-01T14:30:00.250000 c\n");
}

TEST(DlioLog, EpochIsToldAtTheTimesItHappened) {
  const testing::TempDir folder;
  const metrics::RunFacts facts = testing::SyntheticFacts(true);
  DlioLog log = OpenLog(folder, DlioLog::Mode::kNew);
  ASSERT_TRUE(log.RunStarted(kAt, facts).ok());
  ASSERT_TRUE(log.EpochStarted(kAt, facts, 1).ok());
  ASSERT_TRUE(log.EpochFinished(facts, testing::SyntheticAnchor(),
                                testing::SyntheticEpoch(0, 1, true))
                  .ok());
  const std::string text = testing::Slurp(folder.path() / "dlio.log");
  EXPECT_THAT(text, HasSubstr("Steps per epoch: 4 = 1 samples per file x 56 "
                              "files / batch of 7 / 2 processes\n"));
  EXPECT_THAT(text, HasSubstr("Epoch 1 begins: 4 steps expected\n"));
  EXPECT_THAT(text, HasSubstr("[OUTPUT] 2025-03-01T14:30:10.350000 Epoch 1 "
                              "block 1 begins\n"
                              "[OUTPUT] 2025-03-01T14:30:13.950000 Epoch 1 "
                              "block 1 is over: 4 steps in 3.60 s\n"));
  EXPECT_THAT(text, HasSubstr("Utilization [AU] (%): 75.0000\n"));
  // 8.75 of rank 0 times 2
  EXPECT_THAT(text, HasSubstr("Throughput (samples/second): 17.5000"));
  EXPECT_THAT(text, HasSubstr("0.4000 +- 0.0000 (set to 0.4)\n"));
  EXPECT_THAT(text, HasSubstr("Epoch 1 is over: trained for 3.7"));
  EXPECT_THAT(text, HasSubstr("Epoch 1 evaluation is over: 2 steps in 1.00"));
}

TEST(DlioLog, CheckpointsAreToldBehindTheirBlocks) {
  const testing::TempDir folder;
  metrics::RunFacts facts = testing::SyntheticFacts(false);
  facts.checkpoints = testing::SyntheticCheckpointPlan();
  metrics::EpochRecord epoch = testing::SyntheticEpoch(0, 1, false);
  epoch.saves = {testing::SyntheticSave(0, 1)};
  DlioLog log = OpenLog(folder, DlioLog::Mode::kNew);
  ASSERT_TRUE(log.EpochFinished(facts, testing::SyntheticAnchor(), epoch).ok());
  const std::string text = testing::Slurp(folder.path() / "dlio.log");
  // 14:30:00.25 + 10 s + 5 s; 2 GiB in 0.5 s.
  EXPECT_THAT(text, HasSubstr("(set to 0.4)\n"
                              "[OUTPUT] 2025-03-01T14:30:15.250000 Checkpoint "
                              "save 1 begins\n"
                              "[OUTPUT] 2025-03-01T14:30:15.750000 "));
  EXPECT_THAT(text, HasSubstr("Checkpoint save 1 is over: 0.5000 s, 4.0000 "
                              "GiB/s\n"));
}

TEST(DlioLog, RunEndsWithFiguresAndFolder) {
  const testing::TempDir folder;
  const metrics::RunRecord record = testing::SyntheticRun(false);
  DlioLog log = OpenLog(folder, DlioLog::Mode::kNew);
  ASSERT_TRUE(
      log.RunFinished(kAt, record, metrics::Summarise(record), "/r/x").ok());
  const std::string text = testing::Slurp(folder.path() / "dlio.log");
  EXPECT_THAT(text, ::testing::StartsWith("[OUTPUT] [METRIC] ====="));
  EXPECT_THAT(text, HasSubstr("\n[METRIC] train_au_meet_expectation: success"));
  EXPECT_THAT(text, ::testing::EndsWith("=\n[OUTPUT] 2025-03-01T14:30:00.250000"
                                        " Results are in /r/x\n"));
}

TEST(DlioLog, MissingFolderIsNamed) {
  const core::Result<DlioLog> log =
      DlioLog::Open("/nonexistent/dlio.log", DlioLog::Mode::kNew);
  EXPECT_EQ(log.status().code(), core::Code::kNotFound);
  EXPECT_THAT(std::string(log.status().message()),
              HasSubstr("/nonexistent/dlio.log"));
}

}  // namespace
}  // namespace stoker::reporting
