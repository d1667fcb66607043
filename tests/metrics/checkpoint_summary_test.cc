#include "metrics/checkpoint_summary.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/units.h"
#include "tests/metrics/epochs.h"

namespace stoker::metrics {
namespace {

using testing::AtMillis;
using testing::Millis;

constexpr double kGiB = static_cast<double>(core::kGiB);

CheckpointOp Op(CheckpointKind kind, std::uint64_t step, std::int64_t start_ms,
                std::int64_t duration_ms) {
  CheckpointOp op;
  op.kind = kind;
  op.step = step;
  op.start = AtMillis(start_ms);
  op.end = AtMillis(start_ms + duration_ms);
  op.file_bytes = core::kGiB;
  return op;
}

// A checkpoint of 4 GiB by as many ranks as durations are given, all of them
// starting at 10 s, on one clock.
CheckpointRecord Record(CheckpointKind kind,
                        const std::vector<std::int64_t>& durations_ms) {
  CheckpointRecord record;
  record.facts.checkpoint_bytes = 4 * core::kGiB;
  record.facts.backend = "file";
  for (const std::int64_t duration : durations_ms) {
    CheckpointRankRecord rank;
    rank.rank = static_cast<std::uint32_t>(record.ranks.size());
    rank.ops = {Op(kind, 1, 10000, duration)};
    record.ranks.push_back(rank);
  }
  return record;
}

TEST(SummariseCheckpoints, StragglerCountsInAllButRankZerosFigures) {
  const CheckpointSummary even = SummariseCheckpoints(
      Record(CheckpointKind::kSave, {2000, 2000, 2000, 2000}));
  const CheckpointSummary slow = SummariseCheckpoints(
      Record(CheckpointKind::kSave, {2000, 2000, 4000, 2000}));
  const CheckpointFigures& a = even.saves.each.at(0);
  const CheckpointFigures& b = slow.saves.each.at(0);
  // 4 GiB in 2 s and in 4 s.
  EXPECT_EQ(a.duration_max, Millis(2000));
  EXPECT_DOUBLE_EQ(a.rate_min, 2 * kGiB);
  EXPECT_DOUBLE_EQ(a.rate_strict, 2 * kGiB);
  EXPECT_EQ(b.duration_max, Millis(4000));
  EXPECT_EQ(b.slowest_rank, 2U);
  EXPECT_DOUBLE_EQ(b.rate_min, kGiB);
  EXPECT_DOUBLE_EQ(b.rate_strict, kGiB);
  EXPECT_DOUBLE_EQ(a.rank0_rate, 2 * kGiB);
  EXPECT_DOUBLE_EQ(b.rank0_rate, 2 * kGiB);
  EXPECT_EQ(b.rank0_duration, Millis(2000));
}

TEST(SummariseCheckpoints, StrictSpanIsOfAlignedClocks) {
  CheckpointRecord record = Record(CheckpointKind::kSave, {2000, 2000});
  // Rank 1's clock is 500 s ahead. By rank 0's it starts 0.5 s after rank 0 and
  // ends 2.5 s after rank 0's start.
  record.ranks[1].ops[0].start = AtMillis(510500);
  record.ranks[1].ops[0].end = AtMillis(512500);
  record.ranks[1].clock_offset = Millis(-500000);
  record.ranks[1].clock_error = Millis(2);
  const CheckpointSummary summary = SummariseCheckpoints(record);
  const CheckpointFigures& figures = summary.saves.each.at(0);
  EXPECT_EQ(figures.strict_span, Millis(2500));
  EXPECT_DOUBLE_EQ(figures.rate_strict, 1.6 * kGiB);  // 4 / 2.5
  EXPECT_EQ(figures.duration_max, Millis(2000));
  EXPECT_EQ(summary.clock_error_max, Millis(2));
}

TEST(SummariseCheckpoints, SeriesHasMeanAndPopulationDeviation) {
  CheckpointRecord record = Record(CheckpointKind::kRestore, {1000, 2000});
  record.ranks[0].ops.push_back(Op(CheckpointKind::kRestore, 2, 20000, 1000));
  record.ranks[1].ops.push_back(Op(CheckpointKind::kRestore, 2, 20000, 4000));
  const CheckpointSummary summary = SummariseCheckpoints(record);
  EXPECT_TRUE(summary.saves.each.empty());
  const CheckpointSeries& series = summary.restores;
  ASSERT_EQ(series.each.size(), 2U);
  // 2 and 4 s; 2 and 1 GiB/s.
  EXPECT_DOUBLE_EQ(series.duration_max_s.mean, 3);
  EXPECT_DOUBLE_EQ(series.duration_max_s.stdev, 1);
  EXPECT_DOUBLE_EQ(series.rate_min.mean, 1.5 * kGiB);
  EXPECT_DOUBLE_EQ(series.rate_min.stdev, 0.5 * kGiB);
  EXPECT_DOUBLE_EQ(series.rate_strict.mean, 1.5 * kGiB);
  EXPECT_DOUBLE_EQ(series.rank0_duration_s.mean, 1);
  EXPECT_DOUBLE_EQ(series.rank0_rate.mean, 4 * kGiB);
  EXPECT_DOUBLE_EQ(series.rank0_rate.stdev, 0);
}

TEST(SummariseCheckpoints, PartsAreSumsOrTheLongest) {
  CheckpointRecord record = Record(CheckpointKind::kSave, {2000, 1000});
  for (CheckpointRankRecord& rank : record.ranks) {
    CheckpointOp& op = rank.ops[0];
    op.fsync = Millis(100 + 50 * rank.rank);
    op.stalled = Millis(30 - 10 * rank.rank);
    op.content = Millis(200);
    op.checksum = Millis(300);
    op.cpu = Millis(1000);
    rank.between = {.what = "flush", .duration = Millis(5 + rank.rank)};
  }
  const CheckpointSummary summary = SummariseCheckpoints(record);
  const CheckpointFigures& figures = summary.saves.each.at(0);
  EXPECT_EQ(figures.fsync_max, Millis(150));
  EXPECT_EQ(figures.stalled_max, Millis(30));
  EXPECT_EQ(figures.slowest_stalled, Millis(30));
  EXPECT_EQ(figures.content_sum, Millis(400));
  EXPECT_EQ(figures.checksum_sum, Millis(600));
  EXPECT_EQ(figures.cpu_sum, Millis(2000));
  EXPECT_EQ(figures.file_bytes, 2 * core::kGiB);
  EXPECT_DOUBLE_EQ(summary.saves.cpu_s_per_gib, 1);
  EXPECT_EQ(summary.between_max, Millis(6));
}

TEST(SummariseCheckpoints, CachedFractionIsOfTheRanksThatCanTell) {
  CheckpointRecord record =
      Record(CheckpointKind::kRestore, {1000, 1000, 1000});
  EXPECT_FALSE(SummariseCheckpoints(record).restores.each[0].cached_fraction);
  EXPECT_FALSE(SummariseCheckpoints(record).restores.each[0].device_bytes);
  EXPECT_EQ(CacheStateOf(SummariseCheckpoints(record).restores.each[0]),
            CacheState::kUnknown);
  CheckpointOp& first = record.ranks[0].ops[0];
  CheckpointOp& second = record.ranks[1].ops[0];
  first.cached_known = second.cached_known = true;
  first.device_known = second.device_known = true;
  first.cached_bytes = core::kGiB / 8;
  first.device_bytes = 700;
  second.device_bytes = 300;
  CheckpointSummary summary = SummariseCheckpoints(record);
  // An eighth of the first of two.
  EXPECT_DOUBLE_EQ(summary.restores.each[0].cached_fraction.value_or(-1),
                   1.0 / 16);
  EXPECT_EQ(summary.restores.each[0].device_bytes.value_or(0), 1000U);
  EXPECT_FALSE(summary.restored_from_cache);
  second.cached_bytes = core::kGiB / 8;  // 12.5 %
  summary = SummariseCheckpoints(record);
  EXPECT_TRUE(summary.restored_from_cache);
  EXPECT_EQ(CacheStateOf(summary.restores.each[0]), CacheState::kMixed);
}

TEST(SummariseCheckpoints, BrokenRecordGivesFiguresOfThoseThatHaveIt) {
  CheckpointRecord record = Record(CheckpointKind::kSave, {1000, 2000});
  record.ranks[1].ops.push_back(Op(CheckpointKind::kSave, 2, 20000, 500));
  const CheckpointSummary summary = SummariseCheckpoints(record);
  ASSERT_EQ(summary.saves.each.size(), 2U);
  EXPECT_EQ(summary.saves.each[1].duration_max, Millis(500));
  EXPECT_EQ(summary.saves.each[1].slowest_rank, 1U);
  EXPECT_EQ(summary.saves.each[1].rank0_duration, core::Nanos{});
  EXPECT_EQ(summary.saves.each[1].rank0_rate, 0);
}

TEST(SummariseCheckpoints, NothingRecordedIsNoFigures) {
  const CheckpointSummary none = SummariseCheckpoints({});
  EXPECT_TRUE(none.saves.each.empty());
  EXPECT_TRUE(none.restores.each.empty());
  const CheckpointSummary instant =
      SummariseCheckpoints(Record(CheckpointKind::kSave, {0}));
  EXPECT_EQ(instant.saves.each.at(0).rate_min, 0);
  EXPECT_EQ(instant.saves.each[0].rate_strict, 0);
}

TEST(GroupByCheckpoint, SameStepAgainIsAnotherCheckpoint) {
  CheckpointRecord record = Record(CheckpointKind::kSave, {1000, 1000});
  for (CheckpointRankRecord& rank : record.ranks) {
    rank.ops.push_back(Op(CheckpointKind::kSave, 1, 20000, 1000));
    rank.ops.push_back(Op(CheckpointKind::kRestore, 1, 30000, 1000));
  }
  const std::vector<CheckpointOps> groups = GroupByCheckpoint(record);
  ASSERT_EQ(groups.size(), 3U);
  for (const CheckpointOps& group : groups) EXPECT_EQ(group.ranks.size(), 2U);
  EXPECT_EQ(groups[1].ranks[1].op->start, AtMillis(20000));
  EXPECT_EQ(groups[2].kind, CheckpointKind::kRestore);
}

TEST(CheckpointBound, StalledQuarterOfTheSlowestRankIsTheClient) {
  CheckpointRecord record = Record(CheckpointKind::kSave, {2000, 1900});
  record.ranks[0].ops[0].stalled = Millis(500);
  EXPECT_EQ(SummariseCheckpoints(record).saves.bound,
            CheckpointBound::kStorage);
  record.ranks[0].ops[0].stalled = Millis(510);
  EXPECT_EQ(SummariseCheckpoints(record).saves.bound, CheckpointBound::kClient);
  // Only the slowest one holds the others up.
  record.ranks[0].ops[0].stalled = {};
  record.ranks[1].ops[0].stalled = Millis(1800);
  EXPECT_EQ(SummariseCheckpoints(record).saves.bound,
            CheckpointBound::kStorage);
}

TEST(CheckpointBound, OneSlowRankIsNamedByItsOwnRate) {
  // 1 GiB in 3.1 s is less than two thirds of 1 GiB in 2 s.
  CheckpointRecord record =
      Record(CheckpointKind::kSave, {2000, 2000, 2000, 3100});
  CheckpointSummary summary = SummariseCheckpoints(record);
  EXPECT_EQ(summary.saves.bound, CheckpointBound::kRank);
  EXPECT_EQ(summary.saves.slowest_rank, 3U);
  // With more to do than the others it is as fast as they.
  record.ranks[3].ops[0].file_bytes = 3 * core::kGiB / 2;
  summary = SummariseCheckpoints(record);
  EXPECT_EQ(summary.saves.bound, CheckpointBound::kStorage);
}

TEST(CheckpointBound, StorageThatAnswersAtOnceIsNeverIt) {
  CheckpointRecord record = Record(CheckpointKind::kSave, {2000, 2000});
  record.facts.backend = "null";
  EXPECT_EQ(SummariseCheckpoints(record).saves.bound, CheckpointBound::kClient);
}

TEST(BoundName, OfCheckpoints) {
  EXPECT_EQ(BoundName(CheckpointBound::kStorage), "storage");
  EXPECT_EQ(BoundName(CheckpointBound::kClient), "client");
  EXPECT_EQ(BoundName(CheckpointBound::kRank), "one slow rank");
}

}  // namespace
}  // namespace stoker::metrics
