// What is printed at the end of a checkpoint run, and logged during it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "reporting/checkpoint_report.h"
#include "reporting/dlio_log.h"
#include "tests/reporting/support.h"
#include "tests/reporting/synthetic_checkpoints.h"
#include "tests/reporting/synthetic_run.h"
#include "tests/reporting/zone.h"
#include "tests/support/temp_dir.h"

namespace stoker::reporting {
namespace {

using ::testing::HasSubstr;
using testing::kMetricRule;
using ::testing::Not;

std::string BlockOf(const metrics::CheckpointRecord& record) {
  return CheckpointBlock(record, metrics::SummariseCheckpoints(record),
                         std::nullopt, "/results/x");
}

TEST(CheckpointMetricBlock, LinesAndDecimalsOfTheReference) {
  const metrics::CheckpointRecord record = testing::SyntheticCheckpoints();
  EXPECT_EQ(
      CheckpointMetricBlock(record, metrics::SummariseCheckpoints(record)),
      std::string(kMetricRule) +
          "[METRIC] Number of Simulated Accelerators: 4\n"
          "[METRIC] Checkpoint save duration (seconds): 2.0000 (0.0000)\n"
          "[METRIC] Checkpoint save I/O Throughput (GB/second): 2.0000 "
          "(0.0000)\n"
          "[METRIC] Checkpoint load duration (seconds): 1.0000 (0.0000)\n"
          "[METRIC] Checkpoint load I/O Throughput (GB/second): 4.0000 "
          "(0.0000)\n" +
          std::string(kMetricRule));
}

TEST(CheckpointMetricBlock, ReadOnlyRunHasNoSaves) {
  const metrics::CheckpointRecord record = testing::SyntheticRestores();
  const std::string text =
      CheckpointMetricBlock(record, metrics::SummariseCheckpoints(record));
  EXPECT_THAT(text, Not(HasSubstr("save")));
  EXPECT_THAT(text, HasSubstr("Checkpoint load duration"));
}

TEST(CheckpointBlock, FiguresOfTheRulesAndTheSeries) {
  const std::string text = BlockOf(testing::SyntheticCheckpoints());
  EXPECT_THAT(text, HasSubstr("checkpoint        4.00 GiB of llama3-8b in 8 "
                              "files, fsync on, lean i/o, verify full\n"));
  EXPECT_THAT(text,
              HasSubstr("save              max 4.5000 (0.5000) s, min 0.9000 "
                        "(0.1000) GiB/s, strict 0.8425 (0.0878) GiB/s\n"
                        "restore           max 1.2500 (0.0000) s, min 3.2000 "
                        "(0.0000) GiB/s, strict 3.2000 (0.0000) GiB/s\n"));
  EXPECT_THAT(text, HasSubstr("\ncheckpoint      max s   rank  min GiB/s  "
                              "strict GiB/s   fsync s  stalled s   cached\n"
                              "save 1         4.0000      3     1.0000        "
                              "0.9302    0.1500     0.0500        -\n"));
  EXPECT_THAT(text, HasSubstr("\nrestore 2      1.2500      3     3.2000      "
                              "  3.2000    0.0000     0.1000   50.0 %\n"));
}

TEST(CheckpointBlock, WhereTheTimeWentAndWhatBoundIt) {
  const std::string text = BlockOf(testing::SyntheticCheckpoints());
  EXPECT_THAT(text, HasSubstr("save time         of 4.50 s: fsync 150.00 ms, "
                              "waiting for content 50.00 ms (means)\n"));
  // 8 times 0.1, 0.3 and 0.7 s; 8 GiB.
  EXPECT_THAT(text, HasSubstr("save cost         content 800.00 ms, checksums "
                              "2.40 s, CPU 5.60 s (0.700 s per GiB)"));
  EXPECT_THAT(text, HasSubstr("save bound by     one slow rank: rank 3 moves"));
  EXPECT_THAT(text, HasSubstr("restore time      of 1.25 s: waiting for the "
                              "client 100.00 ms (means)\n"));
  EXPECT_THAT(text, HasSubstr("restore cost      comparing 1.60 s"));
  EXPECT_THAT(text, HasSubstr("restore bound by  storage\n"));
}

TEST(CheckpointBlock, StalledRunIsBoundByTheClient) {
  metrics::CheckpointRecord record = testing::SyntheticCheckpoints();
  // 1.8 of 4 s and of 5 s: 3.6 of 9 s.
  for (std::size_t i = 0; i < 2; ++i)
    record.ranks[3].ops[i].stalled = std::chrono::milliseconds(1800);
  EXPECT_THAT(BlockOf(record),
              HasSubstr("save bound by     client (the storage had nothing to "
                        "do in 40.0 % of the slowest rank's time)\n"));
}

TEST(CheckpointBlock, CachesAreSaidLoudly) {
  const std::string text = BlockOf(testing::SyntheticCheckpoints());
  EXPECT_THAT(text, HasSubstr("from page cache   50.0 % of a restore's bytes"));
  EXPECT_THAT(text, HasSubstr("between           drop-caches, 2.50 s\n"));
  EXPECT_THAT(text, HasSubstr("3x memory rule    caches must be cleared before "
                              "restoring (2.00 GiB on the fullest host)\n"));
  EXPECT_THAT(text, HasSubstr("clocks of hosts   aligned to within 5 us\n"));
  EXPECT_THAT(text, HasSubstr("\nWARNING           RESTORED FROM PAGE CACHE"));
  EXPECT_THAT(text, ::testing::EndsWith("\nresults           /results/x\n"));
}

TEST(CheckpointBlock, SaysWhatACacheTookOverAndServed) {
  metrics::CheckpointRecord record = testing::SyntheticCheckpoints();
  EXPECT_THAT(BlockOf(record), Not(HasSubstr("drained")));
  record.ranks[0].cache = {.known = true,
                           .staged_bytes = 3ULL << 30U,
                           .uploaded_bytes = 1ULL << 30U,
                           .drain = std::chrono::seconds(2),
                           .restored_device_bytes = 60,
                           .restored_memory_bytes = 10,
                           .restored_store_bytes = 0};
  record.ranks[1].cache = {.known = true,
                           .staged_bytes = 1ULL << 30U,
                           .uploaded_bytes = 3ULL << 30U,
                           .drain = std::chrono::seconds(5),
                           .restored_device_bytes = 0,
                           .restored_memory_bytes = 0,
                           .restored_store_bytes = 30};
  const std::string text = BlockOf(record);
  EXPECT_THAT(text, HasSubstr("written to cache  4.00 GiB\n"));
  EXPECT_THAT(text, HasSubstr("drained           4.00 GiB brought to the "
                              "store, the last 5.00 s after the last save\n"));
  EXPECT_THAT(text, HasSubstr("restored from     cache 60.0 %, its buffers "
                              "10.0 %, store 30.0 %\n"));
}

TEST(CheckpointBlock, StorageThatIsNoneIsSaidLoudly) {
  metrics::CheckpointRecord record = testing::SyntheticCheckpoints();
  record.facts.storage_notes = "simulated store, faults put in";
  EXPECT_THAT(BlockOf(record),
              HasSubstr("\nWARNING           simulated store, faults put in: "
                        "these are not the figures of a device\n"));
}

TEST(CheckpointBlock, SavesAloneSayNothingOfCaches) {
  metrics::CheckpointRecord record = testing::SyntheticCheckpoints();
  record.facts.num_hosts = 1;
  record.facts.clear_needed = false;
  for (metrics::CheckpointRankRecord& rank : record.ranks) rank.ops.resize(2);
  const std::string text = BlockOf(record);
  EXPECT_THAT(text, Not(HasSubstr("page cache")));
  EXPECT_THAT(text, Not(HasSubstr("between")));
  EXPECT_THAT(text, Not(HasSubstr("clocks")));
  EXPECT_THAT(text, HasSubstr("caches need not be cleared"));
}

TEST(CheckpointBlock, EconomicsWhereTheyWereAskedFor) {
  const metrics::CheckpointRecord record = testing::SyntheticCheckpoints();
  metrics::CheckpointEconomics economics = testing::SyntheticEconomics();
  const metrics::CheckpointSummary summary =
      metrics::SummariseCheckpoints(record);
  const std::string text = CheckpointBlock(record, summary, economics, "/r");
  // 566.2 and 569.2 s
  EXPECT_THAT(text, HasSubstr("best interval     9 min 26 s of training "
                              "between checkpoints (Daly; Young: 9 min 29 s), "
                              "failures 10 h 00 min apart\n"));
  EXPECT_THAT(text, HasSubstr("goodput           98.42 %: 0.78 % go to saving, "
                              "0.79 % to failures\n"));
  EXPECT_THAT(text, HasSubstr("lost a day        387.4 accelerator-hours of "
                              "1,024 accelerators\n"));
  economics.input.restore = {};
  EXPECT_THAT(CheckpointBlock(record, summary, economics, "/r"),
              HasSubstr("(no restore was measured: taken as 0 s)\n"));
}

TEST(DlioLog, CheckpointRunIsToldAtTheTimesItHappened) {
  testing::UseTestZone();
  const testing::TempDir folder;
  core::Result<DlioLog> opened =
      DlioLog::Open(folder.str() + "/dlio.log", DlioLog::Mode::kNew);
  ASSERT_TRUE(opened.ok());
  DlioLog& log = opened.value();
  const metrics::CheckpointRecord record = testing::SyntheticCheckpoints();
  const metrics::CheckpointRankRecord& rank = record.ranks[3];
  const metrics::CheckpointOp& restore = rank.ops[2];
  ASSERT_TRUE(log.RunStarted(record.started, record.facts).ok());
  ASSERT_TRUE(
      log.CheckpointStarted(rank.anchor.ToWall(restore.start), restore.kind, 1)
          .ok());
  ASSERT_TRUE(log.CheckpointFinished(rank.anchor, restore, 1,
                                     record.facts.checkpoint_bytes)
                  .ok());
  ASSERT_TRUE(log.RunFinished(record.ended, record,
                              metrics::SummariseCheckpoints(record), "/r/x")
                  .ok());
  const std::string text = testing::Slurp(folder.path() / "dlio.log");
  EXPECT_THAT(text, HasSubstr("saves 2 and restores 2 checkpoints of llama3-8b "
                              "with 4 processes\n"));
  EXPECT_THAT(text, HasSubstr("Model of 300000000 parameters; model 1.000000 "
                              "GiB, optimizer 3.000000 GiB, checkpoint "
                              "4.000000 GiB\n"));
  EXPECT_THAT(
      text,
      HasSubstr("[OUTPUT] 2025-03-01T14:31:40.250000 Checkpoint load 1 begins\n"
                "[OUTPUT] 2025-03-01T14:31:41.500000 Checkpoint load 1: model "
                "part 0.3000 s\n"
                "[OUTPUT] 2025-03-01T14:31:41.500000 Checkpoint load 1: "
                "optimizer part 0.9400 s\n"
                "[OUTPUT] 2025-03-01T14:31:41.500000 Checkpoint load 1 is "
                "over: 1.2500 s, 3.2000 GiB/s\n"
                "[OUTPUT] [METRIC] ====="));
  EXPECT_THAT(text, ::testing::EndsWith("=\n[OUTPUT] 2025-03-01T14:32:05.250000"
                                        " Results are in /r/x\n"));
}

}  // namespace
}  // namespace stoker::reporting
