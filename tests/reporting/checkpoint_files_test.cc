// Record, files of ranks and checkpoints.csv.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "reporting/checkpoint_report.h"
#include "reporting/json.h"
#include "reporting/record_report.h"
#include "tests/reporting/support.h"
#include "tests/reporting/synthetic_checkpoints.h"
#include "tests/reporting/synthetic_run.h"
#include "tests/reporting/zone.h"
#include "tests/support/temp_dir.h"

namespace stoker::reporting {
namespace {

using ::testing::HasSubstr;
using testing::Items;

std::string Text(const Json* json) {
  return json == nullptr ? "(missing)" : DumpJson(*json, -1);
}

Json Load(const testing::TempDir& folder, const std::string& name) {
  core::Result<Json> json = ParseJson(testing::Slurp(folder.path() / name));
  EXPECT_TRUE(json.ok()) << name;
  return json.ok() ? std::move(json).value() : Json::MakeObject();
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Both files of a rank of the second host, in `folder`.
core::Status WriteRankThree(const testing::TempDir& folder) {
  testing::UseTestZone();
  const metrics::CheckpointRecord record = testing::SyntheticCheckpoints();
  metrics::HostFacts host = record.hosts[1];
  host.ranks = 2;
  return WriteCheckpointRankReports(folder.str(), record.facts, record.ranks[3],
                                    host);
}

TEST(CheckpointRecordJson, HoldsRawNanoseconds) {
  const Json record = CheckpointRecordJson(testing::SyntheticCheckpoints());
  EXPECT_EQ(Text(record.Find("record_version")), "1");
  EXPECT_EQ(Text(record.Find("program")), "\"checkpointing\"");
  EXPECT_EQ(Text(record.Find("state")), "\"complete\"");
  EXPECT_EQ(Text(record.Find("run")->Find("save_id")), "\"00000000000000ab\"");
  EXPECT_EQ(Items(record, "hosts").size(), 2U);
  const Json& rank = Items(record, "ranks").at(3);
  EXPECT_EQ(Text(rank.Find("node")), "1");
  EXPECT_EQ(Text(rank.Find("clock")->Find("run_ns")), "1100000000000");
  EXPECT_EQ(Text(rank.Find("clock")->Find("to_rank0_ns")), "-100000000000");
  EXPECT_EQ(Text(rank.Find("clock")->Find("to_rank0_error_ns")), "5000");
  const Json::Array& ops = Items(rank, "checkpoints");
  ASSERT_EQ(ops.size(), 4U);
  EXPECT_EQ(Text(&ops[0]),
            R"({"kind":"save","step":1,"start_ns":1110300000000,)"
            R"("first_byte_ns":1110310000000,"last_byte_ns":1114100000000,)"
            R"("synced_ns":1114250000000,"end_ns":1114300000000,"files":2,)"
            R"("payload_bytes":1073741824,"file_bytes":1073742824,)"
            R"("model_part_ns":300000000,"optimizer_part_ns":3690000000,)"
            R"("fsync_ns":150000000,"content_ns":100000000,)"
            R"("checksum_ns":300000000,"stalled_ns":50000000,)"
            R"("cpu_ns":700000000,"verified_bytes":0,"cached_bytes":null,)"
            R"("device_bytes":null})");
  EXPECT_EQ(Text(ops[2].Find("kind")), "\"restore\"");
  EXPECT_EQ(Text(ops[2].Find("cached_bytes")), "0");
  EXPECT_EQ(Text(Items(record, "ranks").at(2).Find("between")),
            R"({"what":"drop-caches","duration_ns":2500000000})");
}

TEST(CheckpointRecordJson, NamesItsCompanions) {
  const Json record = CheckpointRecordJson(testing::SyntheticCheckpoints());
  const Json& files = *record.Find("files");
  EXPECT_EQ(Text(files.Find("checkpoints")), "\"checkpoints.csv\"");
  EXPECT_EQ(Text(files.Find("summary")), "\"summary.json\"");
  EXPECT_EQ(Items(files, "rank_stats").size(), 4U);
}

TEST(WriteCheckpointRecord, RunningRecordCanBeMarkedAborted) {
  testing::UseTestZone();
  const testing::TempDir folder;
  const std::string path = folder.str() + "/record.json";
  metrics::CheckpointRecord running;
  running.facts = testing::SyntheticCheckpointFacts();
  running.started = testing::SyntheticAnchor().wall;
  ASSERT_TRUE(WriteCheckpointRecord(path, running).ok());
  EXPECT_EQ(Text(Load(folder, "record.json").Find("state")), "\"running\"");
  EXPECT_EQ(Text(Load(folder, "record.json").Find("end")), "null");
  ASSERT_TRUE(
      MarkAborted(path, "rank 1: gone", testing::SyntheticAnchor().wall).ok());
  const Json record = Load(folder, "record.json");
  EXPECT_EQ(Text(record.Find("state")), "\"aborted\"");
  EXPECT_EQ(Text(record.Find("cause")), "\"rank 1: gone\"");
  EXPECT_EQ(Text(record.Find("end")), "\"2025-03-01T14:30:00.250000+02:30\"");
  EXPECT_EQ(Text(record.Find("run")->Find("model")), "\"llama3-8b\"");
}

TEST(WriteCheckpointRecord, HostsCanBeReadBack) {
  const testing::TempDir folder;
  const std::string path = folder.str() + "/record.json";
  ASSERT_TRUE(
      WriteCheckpointRecord(path, testing::SyntheticCheckpoints()).ok());
  const std::vector<metrics::HostFacts> hosts = RecordedHosts(path);
  ASSERT_EQ(hosts.size(), 2U);
  EXPECT_EQ(hosts[1].hostname, "node2");
  EXPECT_EQ(hosts[1].memory_bytes, 2ULL << 30);
}

TEST(WriteCheckpointRankReports, StatsCountSavesAndLoadsFromOne) {
  const testing::TempDir folder;
  ASSERT_TRUE(WriteRankThree(folder).ok());
  // Saves at 10.3 and 30.3 s after 14:30:00.25, loads at 100 and 120 s.
  EXPECT_EQ(
      Text(Load(folder, "3_per_epoch_stats.json").Find("1")),
      R"({"start":"2025-03-01T14:30:10.550000",)"
      R"("save_ckpt1":{"start":"2025-03-01T14:30:10.550000",)"
      R"("end":"2025-03-01T14:30:14.550000","duration":4.0,"throughput":1.0},)"
      R"("save_ckpt2":{"start":"2025-03-01T14:30:30.550000",)"
      R"("end":"2025-03-01T14:30:35.550000","duration":5.0,"throughput":0.8},)"
      R"("load_ckpt1":{"start":"2025-03-01T14:31:40.250000",)"
      R"("end":"2025-03-01T14:31:41.500000","duration":1.25,)"
      R"("throughput":3.2},)"
      R"("load_ckpt2":{"start":"2025-03-01T14:32:00.250000",)"
      R"("end":"2025-03-01T14:32:01.500000","duration":1.25,)"
      R"("throughput":3.2},)"
      R"("end":"2025-03-01T14:32:01.500000"})");
}

TEST(WriteCheckpointRankReports, OutputTellsOfTheHostAndHasNoSteps) {
  const testing::TempDir folder;
  ASSERT_TRUE(WriteRankThree(folder).ok());
  const Json output = Load(folder, "3_output.json");
  EXPECT_EQ(Text(output.Find("host_memory_GB")), "2.0");
  EXPECT_EQ(Text(output.Find("host_cpu_count")), "4");
  EXPECT_EQ(Text(output.Find("potential_caching")), "1");
  EXPECT_EQ(Text(output.Find("hostname")), "\"node2\"");
  EXPECT_EQ(Text(output.Find("1")),
            R"({"start":"2025-03-01T14:30:10.550000","load":{},"proc":{},)"
            R"("throughput":{},"au":{},"compute":{},)"
            R"("end":"2025-03-01T14:32:01.500000"})");
}

TEST(WriteCheckpointRankReports, RankWithoutCheckpointsHasFilesToo) {
  testing::UseTestZone();
  const testing::TempDir folder;
  metrics::CheckpointRankRecord rank;
  rank.anchor = testing::SyntheticAnchor();
  ASSERT_TRUE(WriteCheckpointRankReports(folder.str(),
                                         testing::SyntheticCheckpointFacts(),
                                         rank, testing::SyntheticHost())
                  .ok());
  EXPECT_EQ(Text(Load(folder, "0_per_epoch_stats.json").Find("1")),
            R"({"start":"2025-03-01T14:30:00.250000",)"
            R"("end":"2025-03-01T14:30:00.250000"})");
}

TEST(WriteCheckpointsCsv, OneLinePerRankAndCheckpoint) {
  const testing::TempDir folder;
  ASSERT_TRUE(WriteCheckpointsCsv(folder.str() + "/checkpoints.csv",
                                  testing::SyntheticCheckpoints())
                  .ok());
  const std::vector<std::string> lines =
      Lines(testing::Slurp(folder.path() / "checkpoints.csv"));
  ASSERT_EQ(lines.size(), 1U + 4 * 4);
  EXPECT_EQ(lines[0],
            "kind,number,step,rank,node,start_s,first_byte_s,last_byte_s,"
            "synced_s,duration_s,model_s,optimizer_s,fsync_s,stalled_s,"
            "content_s,checksum_s,cpu_s,files,payload_bytes,file_bytes,"
            "verified_bytes,cached_bytes,device_bytes");
  // Rank 3 of the first save: 0.3 s after rank 0, whose clock counts.
  EXPECT_EQ(lines[4],
            "save,1,1,3,1,0.300000000,0.010000000,3.800000000,3.950000000,"
            "4.000000000,0.300000000,3.690000000,0.150000000,0.050000000,"
            "0.100000000,0.300000000,0.700000000,2,1073741824,1073742824,0,,");
  // Rank 0 of the second restore, at 1120 s.
  EXPECT_EQ(lines[13],
            "restore,2,2,0,0,110.000000000,0.010000000,0.800000000,"
            "0.800000000,1.000000000,0.300000000,0.690000000,0.000000000,"
            "0.100000000,0.200000000,0.000000000,0.700000000,2,1073741824,"
            "1073742824,1073741824,1073742824,0");
}

TEST(WriteCheckpointsCsv, MissingFolderIsAnError) {
  const core::Status status = WriteCheckpointsCsv(
      "/nonexistent/checkpoints.csv", testing::SyntheticCheckpoints());
  EXPECT_EQ(status.code(), core::Code::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("/nonexistent/checkpoints.csv"));
}

}  // namespace
}  // namespace stoker::reporting
