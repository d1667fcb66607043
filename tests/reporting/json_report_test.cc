#include "reporting/json_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/reporting/support.h"
#include "tests/reporting/synthetic_run.h"
#include "tests/reporting/zone.h"

namespace stoker::reporting {
namespace {

using ::testing::ElementsAre;
using testing::Text;

Json SyntheticSummary(bool evaluation) {
  testing::UseTestZone();
  const metrics::RunRecord record = testing::SyntheticRun(evaluation);
  return SummaryJson(record, metrics::Summarise(record));
}

// The first `count` keys of an object.
std::vector<std::string> FirstKeys(const Json& json, std::size_t count) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : std::get<Json::Object>(json.value())) {
    if (keys.size() == count) break;
    keys.push_back(key);
  }
  return keys;
}

TEST(SummaryJson, StandardFieldsComeFirstInTheReferencesOrder) {
  EXPECT_THAT(FirstKeys(SyntheticSummary(false), 17),
              ElementsAre("start", "num_accelerators", "num_hosts", "hostname",
                          "metric", "num_files_train", "num_files_eval",
                          "num_samples_per_file", "host_cpu_count",
                          "host_processor_name", "potential_caching",
                          "host_cpuinfo", "host_meminfo", "host_memory_GB",
                          "data_size_per_host_GB", "epochs", "end"));
}

TEST(SummaryJson, StandardMetricsComeFirstInTheReferencesOrder) {
  const Json summary = SyntheticSummary(true);
  EXPECT_THAT(
      FirstKeys(*summary.Find("metric"), 18),
      ElementsAre("train_au_percentage", "train_au_mean_percentage",
                  "train_au_meet_expectation", "train_au_stdev_percentage",
                  "train_throughput_samples_per_second",
                  "train_throughput_mean_samples_per_second",
                  "train_throughput_stdev_samples_per_second",
                  "train_io_mean_MB_per_second", "train_io_stdev_MB_per_second",
                  "eval_au_percentage", "eval_au_mean_percentage",
                  "eval_au_meet_expectation", "eval_au_stdev_percentage",
                  "eval_throughput_samples_per_second",
                  "eval_throughput_mean_samples_per_second",
                  "eval_throughput_stdev_samples_per_second",
                  "eval_io_mean_MB_per_second", "eval_io_stdev_MB_per_second"));
}

TEST(SummaryJson, RunsWithoutEvaluationHaveNoEvaluationMetrics) {
  const Json summary = SyntheticSummary(false);
  EXPECT_EQ(summary.Find("metric")->Find("eval_au_percentage"), nullptr);
}

TEST(SummaryJson, CheckpointsComeFirstOfTheMetrics) {
  testing::UseTestZone();
  const metrics::RunRecord record = testing::SyntheticRunWithCheckpoints();
  const Json summary = SummaryJson(record, metrics::Summarise(record));
  const Json& metric = *summary.Find("metric");
  EXPECT_THAT(FirstKeys(metric, 6),
              ElementsAre("save_checkpoint_io_mean_GB_per_second",
                          "save_checkpoint_io_stdev_GB_per_second",
                          "save_checkpoint_duration_mean_seconds",
                          "save_checkpoint_duration_stdev_seconds",
                          "checkpoint_size_GB", "train_au_percentage"));
  // Rank 0: 2 GiB in 0.5 s and in 0.25 s; rank 1: 1 s each.
  EXPECT_EQ(Text(metric, "save_checkpoint_io_mean_GB_per_second"), "6.0");
  EXPECT_EQ(Text(metric, "save_checkpoint_io_stdev_GB_per_second"), "2.0");
  EXPECT_EQ(Text(metric, "save_checkpoint_duration_mean_seconds"), "0.375");
  EXPECT_EQ(Text(metric, "save_checkpoint_duration_stdev_seconds"), "0.125");
  EXPECT_EQ(Text(metric, "checkpoint_size_GB"), "2.0");
  EXPECT_EQ(Text(metric, "num_save_ops"), "2");
  EXPECT_EQ(Text(metric, "mean_of_max_save_duration"), "1.0");
  EXPECT_EQ(Text(metric, "mean_of_min_save_throughput"), "2.0");
}

TEST(SummaryJson, RunsWithoutCheckpointsTellOfNone) {
  const Json summary = SyntheticSummary(false);
  EXPECT_EQ(summary.Find("metric")->Find("checkpoint_size_GB"), nullptr);
  EXPECT_EQ(summary.Find("metric")->Find("num_save_ops"), nullptr);
}

TEST(SummaryJson, TrainingMetrics) {
  const Json summary = SyntheticSummary(false);
  const Json& metric = *summary.Find("metric");
  // Epoch 1: 75 on both ranks; epoch 2: 75 and 90.
  EXPECT_EQ(Text(metric, "train_au_percentage"), "[75.0,82.5]");
  EXPECT_EQ(Text(metric, "train_au_mean_percentage"), "78.75");
  EXPECT_EQ(Text(metric, "train_au_stdev_percentage"), "3.75");
  EXPECT_EQ(Text(metric, "train_au_meet_expectation"), "\"success\"");
  // 2 ranks · (4 - 2) / 1.6 · 7; records of 1 MiB.
  EXPECT_EQ(Text(metric, "train_throughput_samples_per_second"), "[17.5,17.5]");
  EXPECT_EQ(Text(metric, "train_throughput_stdev_samples_per_second"), "0.0");
  EXPECT_EQ(Text(metric, "train_io_mean_MB_per_second"), "17.5");
}

TEST(SummaryJson, OwnMetricsCarryTheirUnits) {
  const Json summary = SyntheticSummary(true);
  const Json& metric = *summary.Find("metric");
  // 2 ranks · 3 steps · 7 samples / 1.6 s, each sample 1 MiB.
  EXPECT_EQ(Text(metric, "train_throughput_unbiased_mean_samples_per_second"),
            "26.25");
  EXPECT_EQ(Text(metric, "train_io_exact_mean_GiB_per_second"),
            DumpJson(26.25 / 1024, 0));
  // Rank 1: (75 + 90) / 2.
  EXPECT_EQ(Text(metric, "au_min_over_ranks_percentage"), "75.0");
  EXPECT_EQ(Text(metric, "au_max_over_ranks_percentage"), "82.5");
  // Epochs of 5 s; 4 CPU seconds of 10 s · 4 CPUs.
  EXPECT_EQ(Text(metric, "wall_seconds"), "10.0");
  EXPECT_EQ(Text(metric, "client_cpu_percentage"), "10.0");
  EXPECT_EQ(Text(metric, "bound"), "\"compute\"");
}

TEST(SummaryJson, EvaluationMetrics) {
  const Json summary = SyntheticSummary(true);
  const Json& metric = *summary.Find("metric");
  EXPECT_EQ(Text(metric, "eval_au_mean_percentage"), "75.0");
  EXPECT_EQ(Text(metric, "eval_throughput_mean_samples_per_second"), "12.0");
}

TEST(SummaryJson, HostsAndTimes) {
  const Json summary = SyntheticSummary(false);
  EXPECT_EQ(Text(summary, "start"), "\"2025-03-01T14:30:00.250000\"");
  EXPECT_EQ(Text(summary, "end"), "\"2025-03-01T14:30:26.250000\"");
  EXPECT_EQ(Text(summary, "end_zoned"), "\"2025-03-01T14:30:26.250000+02:30\"");
  EXPECT_EQ(Text(summary, "hostname"), "\"node1\"");
  EXPECT_EQ(Text(summary, "host_cpu_count"), "[4]");
  EXPECT_EQ(Text(summary, "host_memory_GB"), "[1.0]");
  // 2 · 56 / 2 samples of 1 MiB: 56 MiB, less than the memory.
  EXPECT_EQ(Text(summary, "data_size_per_host_GB"), "0.0546875");
  EXPECT_EQ(Text(summary, "potential_caching"), "[1]");
  EXPECT_EQ(Text(summary, "host_meminfo"),
            R"({"MemTotal":"1048576 kB","MemFree":"1024 kB"})");
}

}  // namespace
}  // namespace stoker::reporting
