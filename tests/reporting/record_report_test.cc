#include "reporting/record_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/reporting/synthetic_run.h"
#include "tests/reporting/zone.h"
#include "tests/support/temp_dir.h"

namespace stoker::reporting {
namespace {

using ::testing::HasSubstr;

std::string Text(const Json* json) {
  return json == nullptr ? "(missing)" : DumpJson(*json, -1);
}

Json Load(const std::string& path) {
  core::Result<Json> json = ParseJson(testing::Slurp(path));
  EXPECT_TRUE(json.ok());
  return json.ok() ? std::move(json).value() : Json::MakeObject();
}

// As written when a run begins.
metrics::RunRecord RunningRecord() {
  metrics::RunRecord record;
  record.facts = testing::SyntheticFacts(false);
  record.started = testing::SyntheticAnchor().wall;
  return record;
}

TEST(RecordedHosts, AreThoseOfTheRecord) {
  const stoker::testing::TempDir dir;
  const std::string path = (dir.path() / "record.json").string();
  const metrics::RunRecord record = testing::SyntheticRun(false);
  ASSERT_TRUE(WriteRecord(path, record).ok());
  const std::vector<metrics::HostFacts> hosts = RecordedHosts(path);
  ASSERT_EQ(hosts.size(), record.hosts.size());
  EXPECT_EQ(hosts[0].hostname, record.hosts[0].hostname);
  EXPECT_EQ(hosts[0].cpu_count, record.hosts[0].cpu_count);
  EXPECT_EQ(hosts[0].memory_bytes, record.hosts[0].memory_bytes);
  EXPECT_TRUE(RecordedHosts((dir.path() / "none.json").string()).empty());
}

TEST(RecordJson, HoldsRawNanoseconds) {
  const Json record = RecordJson(testing::SyntheticRun(false));
  EXPECT_EQ(Text(record.Find("record_version")), "1");
  EXPECT_EQ(Text(record.Find("state")), "\"complete\"");
  const auto& ranks = std::get<Json::Array>(record.Find("ranks")->value());
  ASSERT_EQ(ranks.size(), 2U);
  EXPECT_EQ(Text(ranks[1].Find("op_stream_hash")), "\"00000000000000a1\"");
  const auto& epochs = std::get<Json::Array>(ranks[1].Find("epochs")->value());
  ASSERT_EQ(epochs.size(), 2U);
  EXPECT_EQ(Text(epochs[0].Find("start_ns")), "1010000000000");
  EXPECT_EQ(Text(epochs[0].Find("eval")), "null");
  const auto& blocks = std::get<Json::Array>(epochs[1].Find("blocks")->value());
  EXPECT_EQ(Text(blocks.at(0).Find("wall_ns")), "3600000000");
  EXPECT_EQ(Text(blocks[0].Find("excluded_proc_ns")), "2000000000");
  EXPECT_EQ(Text(blocks[0].Find("counted_compute_ns")), "1440000000");
  EXPECT_EQ(Text(blocks[0].Find("total_bytes")), "29360128");  // 4 · 7 MiB
  EXPECT_EQ(Text(epochs[0].Find("train_loader")->Find("reads")), "1000");
  // 1.6 + 3 · 0.1 s; 4 · 25 ms; 4 · 50 us (epoch 2 of rank 1: compute 0.48 s).
  EXPECT_EQ(Text(blocks[0].Find("total_load_ns")), "1580000000");
  EXPECT_EQ(Text(blocks[0].Find("total_barrier_ns")), "100000000");
  EXPECT_EQ(Text(blocks[0].Find("total_overshoot_ns")), "200000");
  EXPECT_EQ(Text(epochs[0].Find("train_loader")->Find("checking_ns")),
            "250000000");
  // 1 s of CPU, 50 ms of it the accelerator's thread.
  EXPECT_EQ(Text(epochs[0].Find("cpu_reading_ns")), "700000000");
  EXPECT_EQ(Text(epochs[0].Find("cpu_checking_ns")), "250000000");
  EXPECT_EQ(Text(epochs[0].Find("cpu_rest_ns")), "50000000");
  const Json& waits = *record.Find("longest_load_ns");
  EXPECT_EQ(Text(waits.Find("count")), "6");
  EXPECT_EQ(Text(waits.Find("max")), "120000000");
  // 100 ms is in [95 << 20, 96 << 20): 64 buckets from 2^26 on.
  EXPECT_EQ(Text(waits.Find("buckets")),
            "[[99614720,100663295,5],[119537664,120586239,1]]");
}

TEST(RecordJson, HoldsCheckpointsOfEachRankAndEpoch) {
  const Json record = RecordJson(testing::SyntheticRunWithCheckpoints());
  const Json* plan = record.Find("run")->Find("checkpoints");
  ASSERT_NE(plan, nullptr);
  EXPECT_EQ(Text(plan),
            R"({"count":2,"bytes":2147483648,"files":1,)"
            R"("stored_bytes":2147484648,"storage_uri":"file:///ck",)"
            R"("format":"torchzip","fsync":true,"all_ranks":false})");
  const auto& ranks = std::get<Json::Array>(record.Find("ranks")->value());
  const auto& epochs = std::get<Json::Array>(ranks[0].Find("epochs")->value());
  const auto& saves = std::get<Json::Array>(epochs[1].Find("saves")->value());
  ASSERT_EQ(saves.size(), 1U);
  EXPECT_EQ(Text(saves[0].Find("step")), "5");
  EXPECT_EQ(Text(saves[0].Find("start_ns")), "1025000000000");
  EXPECT_EQ(Text(saves[0].Find("end_ns")), "1025250000000");
  EXPECT_EQ(Text(saves[0].Find("fsync_ns")), "100000000");

  const Json without = RecordJson(testing::SyntheticRun(false));
  EXPECT_EQ(Text(without.Find("run")->Find("checkpoints")), "null");
}

TEST(RecordJson, NamesItsCompanions) {
  const Json record = RecordJson(testing::SyntheticRun(false));
  EXPECT_EQ(Text(record.Find("files")->Find("rank_outputs")),
            R"(["0_output.json","1_output.json"])");
  EXPECT_EQ(Text(record.Find("files")->Find("summary")), "\"summary.json\"");
}

TEST(WriteRecord, RunningThenComplete) {
  testing::UseTestZone();
  const testing::TempDir folder;
  const std::string path = folder.str() + "/record.json";
  ASSERT_TRUE(WriteRecord(path, RunningRecord()).ok());
  EXPECT_EQ(Text(Load(path).Find("state")), "\"running\"");
  EXPECT_EQ(Text(Load(path).Find("end")), "null");
  ASSERT_TRUE(WriteRecord(path, testing::SyntheticRun(false)).ok());
  EXPECT_EQ(Text(Load(path).Find("state")), "\"complete\"");
  EXPECT_EQ(Text(Load(path).Find("end")),
            "\"2025-03-01T14:30:26.250000+02:30\"");
}

TEST(MarkAborted, RunningRecordTakesTheCause) {
  testing::UseTestZone();
  const testing::TempDir folder;
  const std::string path = folder.str() + "/record.json";
  ASSERT_TRUE(WriteRecord(path, RunningRecord()).ok());
  ASSERT_TRUE(
      MarkAborted(path, "rank 1: gone", testing::SyntheticAnchor().wall).ok());
  const Json record = Load(path);
  EXPECT_EQ(Text(record.Find("state")), "\"aborted\"");
  EXPECT_EQ(Text(record.Find("cause")), "\"rank 1: gone\"");
  EXPECT_EQ(Text(record.Find("end")), "\"2025-03-01T14:30:00.250000+02:30\"");
  EXPECT_EQ(Text(record.Find("run")->Find("model")), "\"unet3d\"");
}

TEST(MarkAborted, FirstCauseStays) {
  const testing::TempDir folder;
  const std::string path = folder.str() + "/record.json";
  ASSERT_TRUE(WriteRecord(path, RunningRecord()).ok());
  ASSERT_TRUE(MarkAborted(path, "first", {}).ok());
  ASSERT_TRUE(MarkAborted(path, "second", {}).ok());
  EXPECT_EQ(Text(Load(path).Find("cause")), "\"first\"");
}

TEST(MarkAborted, WhoKnowsBetterCorrectsTheCauseButNotTheEnd) {
  testing::UseTestZone();
  const testing::TempDir folder;
  const std::string path = folder.str() + "/record.json";
  ASSERT_TRUE(WriteRecord(path, RunningRecord()).ok());
  ASSERT_TRUE(MarkAborted(path, "first", testing::SyntheticAnchor().wall).ok());
  const std::string end = Text(Load(path).Find("end"));
  ASSERT_TRUE(MarkAborted(path, "better", {}, true).ok());
  EXPECT_EQ(Text(Load(path).Find("cause")), "\"better\"");
  EXPECT_EQ(Text(Load(path).Find("end")), end);

  ASSERT_TRUE(WriteRecord(path, testing::SyntheticRun(false)).ok());
  const std::string before = testing::Slurp(path);
  ASSERT_TRUE(MarkAborted(path, "too late", {}, true).ok());
  EXPECT_EQ(testing::Slurp(path), before);
}

TEST(MarkAborted, CompleteRecordIsLeftAlone) {
  const testing::TempDir folder;
  const std::string path = folder.str() + "/record.json";
  ASSERT_TRUE(WriteRecord(path, testing::SyntheticRun(false)).ok());
  const std::string before = testing::Slurp(path);
  ASSERT_TRUE(MarkAborted(path, "too late", {}).ok());
  EXPECT_EQ(testing::Slurp(path), before);
}

TEST(MarkAborted, MissingOrForeignRecordIsAnError) {
  const testing::TempDir folder;
  const std::string path = folder.str() + "/record.json";
  EXPECT_EQ(MarkAborted(path, "x", {}).code(), core::Code::kNotFound);
  std::ofstream(path) << "{\"a\": 1}";
  EXPECT_EQ(MarkAborted(path, "x", {}).code(), core::Code::kCorruption);
  std::ofstream(path) << "not JSON";
  const core::Status status = MarkAborted(path, "x", {});
  EXPECT_EQ(status.code(), core::Code::kCorruption);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path));
}

}  // namespace
}  // namespace stoker::reporting
