#include "reporting/rank_report.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

#include "reporting/json.h"
#include "tests/reporting/synthetic_run.h"
#include "tests/reporting/zone.h"
#include "tests/support/temp_dir.h"

namespace stoker::reporting {
namespace {

metrics::RankFacts Rank(std::uint32_t rank) {
  metrics::RankFacts facts;
  facts.rank = rank;
  facts.anchor = testing::SyntheticAnchor();
  return facts;
}

// Both files of rank 1, in `folder`.
core::Status WriteRankOne(const testing::TempDir& folder, bool evaluation) {
  testing::UseTestZone();
  const metrics::RankRecorder recorder =
      testing::SyntheticRecorder(1, evaluation, folder.str());
  return WriteRankReports(folder.str(), testing::SyntheticFacts(evaluation),
                          Rank(1), testing::SyntheticHost(), recorder);
}

Json Load(const testing::TempDir& folder, const std::string& name) {
  core::Result<Json> json = ParseJson(testing::Slurp(folder.path() / name));
  EXPECT_TRUE(json.ok()) << name;
  return json.ok() ? std::move(json).value() : Json();
}

std::string Compact(const Json* json) {
  return json == nullptr ? "(missing)" : DumpJson(*json, -1);
}

TEST(WriteRankReports, OutputHoldsStepsAndFiguresOfEachBlock) {
  const testing::TempDir folder;
  ASSERT_TRUE(WriteRankOne(folder, true).ok());
  const Json output = Load(folder, "1_output.json");
  const Json* epoch = output.Find("2");
  ASSERT_NE(epoch, nullptr);
  EXPECT_EQ(Compact(epoch->Find("compute")),
            R"({"block1":[0.48,0.48,0.48,0.48],"eval":[0.3,0.3]})");
  EXPECT_EQ(Compact(epoch->Find("proc")),
            R"({"block1":[2.0,0.5,0.5,0.5],"eval":[0.6,0.4]})");
  EXPECT_EQ(Compact(epoch->Find("load")),
            R"({"block1":[1.52,0.02,0.02,0.02],"eval":[0.3,0.1]})");
  // 100 · 1.44 / 1.6 and 100 · 0.3 / (1.0 - 0.6)
  EXPECT_EQ(Compact(epoch->Find("au")), R"({"block1":90.0,"eval":75.0})");
  EXPECT_EQ(Compact(epoch->Find("throughput")),
            R"({"block1":8.75,"eval":6.0})");
  EXPECT_EQ(Compact(epoch->Find("host_meminfo")), R"({"MemFree":"512 kB"})");
  // 14:30:00.25 + 20 s + 5 s
  EXPECT_EQ(Compact(epoch->Find("end")), "\"2025-03-01T14:30:25.250000\"");
}

TEST(WriteRankReports, OutputTellsOfTheHost) {
  const testing::TempDir folder;
  ASSERT_TRUE(WriteRankOne(folder, false).ok());
  const Json output = Load(folder, "1_output.json");
  EXPECT_EQ(Compact(output.Find("host_memory_GB")), "1.0");
  EXPECT_EQ(Compact(output.Find("host_cpu_count")), "4");
  EXPECT_EQ(Compact(output.Find("potential_caching")), "1");
  EXPECT_EQ(Compact(output.Find("hostname")), "\"node1\"");
  EXPECT_EQ(Compact(output.Find("1")->Find("proc")),
            R"({"block1":[2.0,0.5,0.5,0.5]})");
}

TEST(WriteRankReports, StatsHoldTimesAndDurations) {
  const testing::TempDir folder;
  ASSERT_TRUE(WriteRankOne(folder, true).ok());
  const Json stats = Load(folder, "1_per_epoch_stats.json");
  // Training 3.755 s, block 3.6 s from 0.1 s on, evaluation from 3.8 s on.
  EXPECT_EQ(Compact(stats.Find("1")),
            R"({"start":"2025-03-01T14:30:10.250000",)"
            R"("block1":{"start":"2025-03-01T14:30:10.350000",)"
            R"("end":"2025-03-01T14:30:13.950000","duration":"3.60"},)"
            R"("end":"2025-03-01T14:30:15.250000","duration":"3.75",)"
            R"("eval":{"start":"2025-03-01T14:30:14.050000",)"
            R"("end":"2025-03-01T14:30:15.050000","duration":"1.00"}})");
  EXPECT_NE(stats.Find("2"), nullptr);
}

TEST(WriteRankReports, CheckpointsStandBehindTheirBlocks) {
  testing::UseTestZone();
  const testing::TempDir folder;
  metrics::RunFacts facts = testing::SyntheticFacts(false);
  facts.checkpoints = testing::SyntheticCheckpointPlan();
  metrics::RankRecorder recorder =
      testing::SyntheticRecorder(0, false, folder.str());
  metrics::EpochRecord epoch = testing::SyntheticEpoch(0, 3, false);
  epoch.blocks.push_back(epoch.blocks[0]);
  epoch.blocks[1].start += std::chrono::seconds(6);
  epoch.blocks[1].end += std::chrono::seconds(6);
  epoch.saves = {testing::SyntheticSave(0, 3)};
  epoch.saves[0].end = epoch.saves[0].start + std::chrono::milliseconds(500);
  ASSERT_TRUE(recorder.AddEpoch(std::move(epoch)).ok());
  ASSERT_TRUE(WriteRankReports(folder.str(), facts, Rank(0),
                               testing::SyntheticHost(), recorder)
                  .ok());

  const Json stats = Load(folder, "0_per_epoch_stats.json");
  const std::string text = Compact(stats.Find("3"));
  // 14:30:00.25 + 30 s + 5 s; 2 GiB in 0.5 s.
  EXPECT_NE(text.find(R"("duration":"3.60"},)"
                      R"("save_ckpt1":{"start":"2025-03-01T14:30:35.250000",)"
                      R"("end":"2025-03-01T14:30:35.750000",)"
                      R"("duration":0.5,"throughput":4.0},)"
                      R"("block2":{"start":"2025-03-01T14:30:36.350000",)"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("save_ckpt2"), std::string::npos);
}

TEST(WriteRankReports, BlockThatNeverClosedHasEmptyFigures) {
  const testing::TempDir folder;
  metrics::RankRecorder recorder =
      testing::SyntheticRecorder(0, false, folder.str());
  metrics::EpochRecord open = testing::SyntheticEpoch(0, 3, false);
  open.blocks[0].closed = false;
  ASSERT_TRUE(recorder.AddEpoch(std::move(open)).ok());
  ASSERT_TRUE(WriteRankReports(folder.str(), testing::SyntheticFacts(false),
                               Rank(0), testing::SyntheticHost(), recorder)
                  .ok());
  const Json output = Load(folder, "0_output.json");
  EXPECT_EQ(Compact(output.Find("3")->Find("au")), R"({"block1":[]})");
  const Json stats = Load(folder, "0_per_epoch_stats.json");
  EXPECT_EQ(stats.Find("3")->Find("block1")->Find("end"), nullptr);
}

TEST(WriteRankReports, MissingFolderIsAnError) {
  const testing::TempDir folder;
  const metrics::RankRecorder recorder =
      testing::SyntheticRecorder(0, false, folder.str());
  const core::Status status =
      WriteRankReports("/nonexistent", testing::SyntheticFacts(false), {},
                       testing::SyntheticHost(), recorder);
  EXPECT_EQ(status.code(), core::Code::kNotFound);
}

}  // namespace
}  // namespace stoker::reporting
