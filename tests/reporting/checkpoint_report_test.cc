#include "reporting/checkpoint_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "tests/reporting/support.h"
#include "tests/reporting/synthetic_checkpoints.h"
#include "tests/reporting/zone.h"
#include "tests/support/temp_dir.h"

namespace stoker::reporting {
namespace {

using ::testing::ElementsAre;
using testing::Text;

Json SummaryOf(const metrics::CheckpointRecord& record, bool economics = true) {
  testing::UseTestZone();
  return CheckpointSummaryJson(
      record, metrics::SummariseCheckpoints(record),
      economics ? std::optional(testing::SyntheticEconomics()) : std::nullopt);
}

std::vector<std::string> Keys(const Json& json) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : std::get<Json::Object>(json.value()))
    keys.push_back(key);
  return keys;
}

double Number(const Json& json, std::string_view key) {
  return NumberField(json, key).value_or(-1);
}

TEST(CheckpointSummaryJson, ReferencesFieldsComeFirstInItsOrder) {
  EXPECT_THAT(Keys(SummaryOf(testing::SyntheticCheckpoints())),
              ElementsAre("start", "num_accelerators", "num_hosts", "hostname",
                          "metric", "num_files_train", "num_files_eval",
                          "num_samples_per_file", "host_cpu_count",
                          "host_processor_name", "potential_caching",
                          "host_cpuinfo", "host_meminfo", "host_memory_GB",
                          "data_size_per_host_GB", "epochs", "end", "stoker"));
}

TEST(CheckpointSummaryJson, MetricIsRankZerosView) {
  const Json summary = SummaryOf(testing::SyntheticCheckpoints());
  const Json& metric = *summary.Find("metric");
  EXPECT_THAT(Keys(metric),
              ElementsAre("save_checkpoint_io_mean_GB_per_second",
                          "save_checkpoint_io_stdev_GB_per_second",
                          "save_checkpoint_duration_mean_seconds",
                          "save_checkpoint_duration_stdev_seconds",
                          "load_checkpoint_io_mean_GB_per_second",
                          "load_checkpoint_io_stdev_GB_per_second",
                          "load_checkpoint_duration_mean_seconds",
                          "load_checkpoint_duration_stdev_seconds",
                          "checkpoint_size_GB"));
  // 4 GiB in 2 s and in 1 s, each time.
  EXPECT_EQ(DumpJson(metric, -1),
            R"({"save_checkpoint_io_mean_GB_per_second":2.0,)"
            R"("save_checkpoint_io_stdev_GB_per_second":0.0,)"
            R"("save_checkpoint_duration_mean_seconds":2.0,)"
            R"("save_checkpoint_duration_stdev_seconds":0.0,)"
            R"("load_checkpoint_io_mean_GB_per_second":4.0,)"
            R"("load_checkpoint_io_stdev_GB_per_second":0.0,)"
            R"("load_checkpoint_duration_mean_seconds":1.0,)"
            R"("load_checkpoint_duration_stdev_seconds":0.0,)"
            R"("checkpoint_size_GB":4.0})");
}

TEST(CheckpointSummaryJson, ReadOnlyRunHasNullsForSaves) {
  const Json summary = SummaryOf(testing::SyntheticRestores());
  const Json& metric = *summary.Find("metric");
  EXPECT_EQ(Text(metric, "save_checkpoint_io_mean_GB_per_second"), "null");
  EXPECT_EQ(Text(metric, "save_checkpoint_io_stdev_GB_per_second"), "null");
  EXPECT_EQ(Text(metric, "save_checkpoint_duration_mean_seconds"), "null");
  EXPECT_EQ(Text(metric, "save_checkpoint_duration_stdev_seconds"), "null");
  EXPECT_EQ(Text(metric, "load_checkpoint_duration_mean_seconds"), "1.0");
  const Json& own = *summary.Find("stoker");
  EXPECT_EQ(Text(own, "num_save_ops"), "0");
  EXPECT_EQ(Text(own, "mean_of_max_save_duration"), "(missing)");
  EXPECT_EQ(Text(own, "save"), "null");
}

TEST(CheckpointSummaryJson, WriteOnlyRunHasNoLoads) {
  metrics::CheckpointRecord record = testing::SyntheticCheckpoints();
  for (metrics::CheckpointRankRecord& rank : record.ranks) rank.ops.resize(2);
  const Json summary = SummaryOf(record);
  EXPECT_EQ(Keys(*summary.Find("metric")).size(), 5U);
  EXPECT_EQ(Text(*summary.Find("stoker"), "restore"), "null");
}

TEST(CheckpointSummaryJson, HostsAndTimes) {
  const Json summary = SummaryOf(testing::SyntheticCheckpoints());
  EXPECT_EQ(Text(summary, "start"), "\"2025-03-01T14:30:00.250000\"");
  EXPECT_EQ(Text(summary, "end"), "\"2025-03-01T14:32:05.250000\"");
  EXPECT_EQ(Text(summary, "hostname"), "\"node1\"");
  EXPECT_EQ(Text(summary, "num_accelerators"), "4");
  EXPECT_EQ(Text(summary, "host_cpu_count"), "[4,4]");
  EXPECT_EQ(Text(summary, "host_memory_GB"), "[1.0,2.0]");
  EXPECT_EQ(Text(summary, "potential_caching"), "[1,1]");
  // 2 of 4 ranks, 8 files of 64 KiB: 256 KiB.
  EXPECT_EQ(Text(summary, "data_size_per_host_GB"), "0.000244140625");
  EXPECT_EQ(Text(summary, "num_files_train"), "8");
  EXPECT_EQ(Text(summary, "epochs"), "0");
}

TEST(CheckpointSummaryJson, FiguresOfTheRulesUnderTheCheckersNames) {
  const Json summary = SummaryOf(testing::SyntheticCheckpoints());
  const Json& own = *summary.Find("stoker");
  EXPECT_EQ(Text(own, "num_save_ops"), "2");
  EXPECT_EQ(Text(own, "mean_of_max_save_duration"), "4.5");
  EXPECT_EQ(Text(own, "min_throughput_list_save"), "[1.0,0.8]");
  EXPECT_NEAR(Number(own, "mean_of_min_save_throughput"), 0.9, 1e-12);
  // (4 / 4.3 + 4 / 5.3) / 2
  EXPECT_NEAR(Number(own, "calculated_mean_save_throughput_from_strict_times"),
              0.842475, 1e-6);
  EXPECT_EQ(Text(own, "num_load_ops"), "2");
  EXPECT_EQ(Text(own, "mean_of_max_load_duration"), "1.25");
  EXPECT_EQ(Text(own, "min_throughput_list_load"), "[3.2,3.2]");
}

TEST(CheckpointSummaryJson, SeriesHasEveryCheckpoint) {
  const Json summary = SummaryOf(testing::SyntheticCheckpoints());
  const Json& save = *summary.Find("stoker")->Find("save");
  EXPECT_EQ(Text(save, "bound"), "\"one slow rank\"");
  EXPECT_EQ(Text(save, "slowest_rank"), "3");
  EXPECT_EQ(Text(save, "duration_max_stdev_seconds"), "0.5");
  const auto& saves = std::get<Json::Array>(save.Find("checkpoints")->value());
  ASSERT_EQ(saves.size(), 2U);
  EXPECT_EQ(Text(saves[0], "step"), "1");
  EXPECT_EQ(Text(saves[0], "duration_max_seconds"), "4.0");
  EXPECT_EQ(Text(saves[0], "strict_span_seconds"), "4.3");
  EXPECT_EQ(Text(saves[1], "throughput_min_GiB_per_second"), "0.8");
  EXPECT_EQ(Text(saves[1], "rank0_throughput_GiB_per_second"), "2.0");
  EXPECT_EQ(Text(saves[1], "fsync_max_seconds"), "0.15");
  EXPECT_EQ(Text(saves[1], "stalled_max_seconds"), "0.05");
  EXPECT_EQ(Text(saves[1], "checksum_sum_seconds"), "1.2");
  EXPECT_EQ(Text(saves[1], "cached_fraction"), "(missing)");
  const Json& restore = *summary.Find("stoker")->Find("restore");
  EXPECT_EQ(Text(restore, "bound"), "\"storage\"");
  const auto& restores =
      std::get<Json::Array>(restore.Find("checkpoints")->value());
  EXPECT_EQ(Text(restores[0], "cached_fraction"), "0.0");
  EXPECT_EQ(Text(restores[1], "cached_fraction"), "0.5");
  EXPECT_EQ(Text(restores[0], "cache_state"), "\"cold\"");
  EXPECT_EQ(Text(restores[1], "cache_state"), "\"mixed\"");
  // Of ranks 2 and 3.
  EXPECT_EQ(Text(restores[1], "device_bytes"), "2147485648");
  EXPECT_EQ(Text(restores[1], "verified_bytes"), "4294967296");
}

TEST(CheckpointSummaryJson, CachesClocksAndEconomics) {
  const Json summary = SummaryOf(testing::SyntheticCheckpoints());
  const Json& own = *summary.Find("stoker");
  EXPECT_EQ(Text(own, "restored_from_cache"), "true");
  EXPECT_EQ(Text(own, "between"), "\"drop-caches\"");
  EXPECT_EQ(Text(own, "between_max_seconds"), "2.5");
  EXPECT_EQ(Text(own, "clock_error_max_seconds"), "5e-06");
  EXPECT_EQ(Text(own, "clear_needed"), "true");
  EXPECT_EQ(Text(own, "largest_bytes_per_host"), "2147483648");
  const Json& economics = *own.Find("economics");
  EXPECT_EQ(Text(economics, "accelerators"), "1024");
  EXPECT_EQ(Text(economics, "mtbf_seconds"), "36000.0");
  EXPECT_EQ(Text(economics, "save_seconds"), "4.5");
  EXPECT_EQ(Text(economics, "restore_seconds"), "1.25");
  // sqrt(2 · 4.5 · 36000)
  EXPECT_NEAR(Number(economics, "young_interval_seconds"), 569.209979, 1e-6);
  EXPECT_NEAR(Number(economics, "goodput"), 0.984238, 1e-6);
  EXPECT_EQ(
      Text(*SummaryOf(testing::SyntheticCheckpoints(), false).Find("stoker"),
           "economics"),
      "null");
}

TEST(CheckpointWarnings, RunThatMeasuredTheStorageHasNone) {
  metrics::CheckpointRecord record = testing::SyntheticCheckpoints();
  for (metrics::CheckpointRankRecord& rank : record.ranks) {
    for (metrics::CheckpointOp& op : rank.ops) op.cached_bytes = 0;
  }
  EXPECT_THAT(CheckpointWarnings(record, metrics::SummariseCheckpoints(record)),
              ElementsAre());
}

TEST(CheckpointWarnings, SayWhatSpoilsTheFigures) {
  metrics::CheckpointRecord record = testing::SyntheticCheckpoints();
  record.facts.between = "none";
  record.ranks[2].clock_error = std::chrono::milliseconds(13);  // of 1.25 s
  record.ranks[1].ops.pop_back();
  const std::vector<std::string> warnings =
      CheckpointWarnings(record, metrics::SummariseCheckpoints(record));
  ASSERT_EQ(warnings.size(), 4U);
  // Rank 0's of three ranks' bytes.
  EXPECT_THAT(warnings[0],
              ::testing::StartsWith("RESTORED FROM PAGE CACHE: up to 33.3 %"));
  EXPECT_THAT(warnings[1], ::testing::HasSubstr("nothing was done"));
  EXPECT_THAT(warnings[2], ::testing::HasSubstr("within 13.00 ms only"));
  EXPECT_THAT(warnings[3],
              ::testing::HasSubstr("restore 2 was recorded by 3 of 4 ranks"));
}

TEST(WriteCheckpointSummary, MissingFolderIsAnError) {
  const metrics::CheckpointRecord record = testing::SyntheticCheckpoints();
  const core::Status status = WriteCheckpointSummary(
      "/nonexistent/summary.json", record,
      metrics::SummariseCheckpoints(record), std::nullopt);
  EXPECT_EQ(status.code(), core::Code::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr("/nonexistent/summary.json"));
}

}  // namespace
}  // namespace stoker::reporting
