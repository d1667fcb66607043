#include "reporting/console_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/reporting/support.h"
#include "tests/reporting/synthetic_run.h"

namespace stoker::reporting {
namespace {

using ::testing::HasSubstr;
using testing::kMetricRule;
using ::testing::Not;

TEST(MetricBlock, LinesAndDecimalsOfTheReference) {
  const metrics::RunRecord record = testing::SyntheticRun(false);
  // As in summary.json: AU 78.75 ± 3.75, 17.5 samples/s of 1 MiB.
  EXPECT_EQ(MetricBlock(record, metrics::Summarise(record)),
            std::string(kMetricRule) +
                "[METRIC] Number of Simulated Accelerators: 2\n"
                "[METRIC] Training Accelerator Utilization [AU] (%): 78.7500 "
                "(3.7500)\n"
                "[METRIC] Training Throughput (samples/second): 17.5000 "
                "(0.0000)\n"
                "[METRIC] Training I/O Throughput (MB/second): 17.5000 "
                "(0.0000)\n"
                "[METRIC] train_au_meet_expectation: success\n" +
                std::string(kMetricRule));
}

TEST(MetricBlock, CheckpointsAreRankZeros) {
  const metrics::RunRecord record = testing::SyntheticRunWithCheckpoints();
  EXPECT_THAT(MetricBlock(record, metrics::Summarise(record)),
              HasSubstr("[METRIC] train_au_meet_expectation: success\n"
                        "[METRIC] Checkpoint save duration (seconds): 0.3750 "
                        "(0.1250)\n"
                        "[METRIC] Checkpoint save I/O Throughput (GB/second): "
                        "6.0000 (2.0000)\n" +
                        std::string(kMetricRule)));
}

TEST(MetricBlock, EvaluationHasSixDecimalsOfThroughput) {
  const metrics::RunRecord record = testing::SyntheticRun(true);
  const std::string text = MetricBlock(record, metrics::Summarise(record));
  EXPECT_THAT(text, HasSubstr("[METRIC] Eval Accelerator Utilization [AU] "
                              "(%): 75.0000 (0.0000)\n"));
  EXPECT_THAT(text, HasSubstr("[METRIC] Eval Throughput (samples/second): "
                              "12.000000 (0.000000)\n"));
  EXPECT_THAT(text, HasSubstr("[METRIC] Eval I/O Throughput (MB/second): "
                              "12.000000 (0.000000)\n"));
  EXPECT_THAT(text, HasSubstr("[METRIC] eval_au_meet_expectation: success\n"));
}

TEST(ConsoleReport, SaysWhatTheScoreIsWorth) {
  const metrics::RunRecord record = testing::SyntheticRun(false);
  const std::string text =
      ConsoleReport(record, metrics::Summarise(record), "/results/x");
  EXPECT_THAT(text, HasSubstr("26.2500 (0.0000) samples/s"));
  EXPECT_THAT(text, HasSubstr("75.00 % (rank 0) to 82.50 % (rank 1)"));
  // 12 counted steps: load 0.1 s, but 0.02 s in three of them.
  EXPECT_THAT(text, HasSubstr("where time went   load wait 15.2 %, compute "
                              "80.0 % (overshoot 0.0 %), barrier 4.8 %\n"));
  EXPECT_THAT(text, HasSubstr("a step's mean     load wait 80.00 ms, compute "
                              "420.00 ms, barrier 25.00 ms\n"));
  EXPECT_THAT(text, HasSubstr("mean 50 us, longest 50 us (rank 0)"));
  // The middle of the bucket of 100 ms.
  EXPECT_THAT(text, HasSubstr("p50 100.14 ms, p99 120.00 ms, max 120.00 ms"));
  EXPECT_THAT(text,
              HasSubstr("reading 2.80 s, checking 1.00 s, rest 200.00 ms"));
  EXPECT_THAT(text, HasSubstr("10.0 % of all cores"));
  EXPECT_THAT(text, HasSubstr("1 of 1 hosts could hold all"));
  EXPECT_THAT(text, HasSubstr("success: AU 78.75 % of 70.00 % asked"));
  EXPECT_THAT(text, HasSubstr("00000000000000ab"));
  EXPECT_THAT(text, HasSubstr("/results/x\n"));
  EXPECT_THAT(text, Not(HasSubstr("read ahead, lost")));
}

TEST(ConsoleReport, CheckpointsAreAsSlowAsTheirSlowestRank) {
  const metrics::RunRecord record = testing::SyntheticRunWithCheckpoints();
  EXPECT_THAT(ConsoleReport(record, metrics::Summarise(record), "x"),
              HasSubstr("checkpoints       2 of 2.00 GiB saved, 1.00 s each at "
                        "the slowest rank, 2.0000 GiB/s\n"));
  const metrics::RunRecord without = testing::SyntheticRun(false);
  EXPECT_THAT(ConsoleReport(without, metrics::Summarise(without), "x"),
              Not(HasSubstr("checkpoints")));
}

TEST(ConsoleReport, TroubleIsMentioned) {
  metrics::RunRecord record = testing::SyntheticRun(false);
  record.facts.au_target = 0.9;
  record.facts.distinct_contents = 8;
  record.facts.storage_notes = "simulated store";
  record.facts.dataset_files_train = record.facts.num_files_train + 36;
  record.ranks[0].epochs[0].train_loader.bytes_discarded = 3 << 20;
  record.ranks[0].epochs[0].train_loader.reads.errors = 2;
  record.ranks[1].epochs[0].train_loader.unexpected_sizes = 1234;
  const std::string text =
      ConsoleReport(record, metrics::Summarise(record), "x");
  EXPECT_THAT(text, HasSubstr("fail: AU 78.75 % of 90.00 % asked"));
  EXPECT_THAT(text, HasSubstr("storage           simulated store: not the "
                              "figures of a device"));
  EXPECT_THAT(text, HasSubstr("read ahead, lost  3.00 MiB"));
  EXPECT_THAT(text, HasSubstr("8 different contents under"));
  EXPECT_THAT(text, HasSubstr("dataset           the first "));
  EXPECT_THAT(text, HasSubstr("read errors       2"));
  EXPECT_THAT(text, HasSubstr("odd sizes         1,234 samples"));
}

}  // namespace
}  // namespace stoker::reporting
