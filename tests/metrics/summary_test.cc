#include "metrics/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metrics/recorder.h"
#include "tests/metrics/epochs.h"

namespace stoker::metrics {
namespace {

using testing::Block;
using testing::FourStepEpoch;
using testing::Millis;
using testing::Step;

// Two ranks on one host of 4 CPUs and 1 GiB, each with `epochs` four-step
// epochs: AU 75 %, 8.75 samples/s by the reference's count, each.
RunRecord TwoRanks(std::uint32_t epochs) {
  RunRecord record;
  record.state = RunState::kComplete;
  record.facts.num_accelerators = 2;
  record.facts.steps_per_epoch = 4;
  record.facts.eval_steps = 2;
  record.facts.batch_size = 7;
  record.facts.batch_size_eval = 3;
  record.facts.record_length_bytes = 2 * 1048576.0;
  record.facts.num_files_train = 56;
  record.facts.au_target = 0.75;
  record.hosts.resize(1);
  record.hosts[0].cpu_count = 4;
  record.hosts[0].memory_bytes = 1ULL << 30;
  record.hosts[0].ranks = 2;
  for (std::uint32_t rank = 0; rank < 2; ++rank) {
    RankRecord of;
    of.facts.rank = rank;
    for (std::uint32_t epoch = 1; epoch <= epochs; ++epoch) {
      of.epochs.push_back(SummariseEpoch(FourStepEpoch(epoch),
                                         TrainCounted(record.facts),
                                         EvalCounted(record.facts)));
    }
    record.ranks.push_back(std::move(of));
  }
  return record;
}

// A block of four steps that compute for `compute_ms` of each 500 ms, 2 s in
// all: AU of the counted three is compute/500.
BlockSummary EvenBlock(std::int64_t compute_ms, const RunFacts& facts) {
  const BlockRecord block =
      Block(0, 2000, std::vector<StepRecord>(4, Step(500, compute_ms)));
  return {.start = block.start,
          .end = block.end,
          .sums = SumBlock(block, TrainCounted(facts))};
}

TEST(Summarise, TwoIdenticalRanksKeepUtilisationAndDoubleThroughput) {
  const RunSummary summary = Summarise(TwoRanks(1));
  EXPECT_THAT(summary.train.au_percent, ::testing::ElementsAre(75.0));
  EXPECT_DOUBLE_EQ(summary.train.au.mean, 75.0);
  EXPECT_DOUBLE_EQ(summary.train.samples.mean, 17.5);
  // 17.5 samples/s of 2 MiB
  EXPECT_DOUBLE_EQ(summary.train.io_mib_per_second.mean, 35.0);
  EXPECT_TRUE(summary.train.au_met);
  EXPECT_EQ(summary.epochs, 1U);
}

TEST(Summarise, UnbiasedAndExactCountWhatWasMeasured) {
  // Each rank: 21 samples and 2100 B in 1.6 s.
  const RunSummary summary = Summarise(TwoRanks(2));
  EXPECT_DOUBLE_EQ(summary.train.unbiased_samples.mean, 26.25);
  EXPECT_DOUBLE_EQ(summary.train.exact_gib.mean, 2625.0 / (1ULL << 30));
  EXPECT_EQ(summary.train.exact_gib_per_second.size(), 2U);
  EXPECT_EQ(summary.steps, 16U);
  EXPECT_EQ(summary.samples, 16U * 7);
  EXPECT_EQ(summary.payload_bytes, 16U * 700);
}

TEST(Summarise, EpochsSpreadIsThePopulations) {
  RunRecord record = TwoRanks(2);
  for (RankRecord& rank : record.ranks)
    rank.epochs[1].blocks = {EvenBlock(475, record.facts)};  // AU 95 %
  const RunSummary summary = Summarise(record);
  // 75 and 95: mean 85, deviation 10.
  EXPECT_DOUBLE_EQ(summary.train.au.mean, 85.0);
  EXPECT_DOUBLE_EQ(summary.train.au.stdev, 10.0);
}

TEST(Summarise, BlocksCountByTheirSteps) {
  RunRecord record = TwoRanks(1);
  record.facts.num_accelerators = 1;
  record.ranks.pop_back();
  // AU 75 over 4 steps, AU 95 over 4 steps: 85.
  record.ranks[0].epochs[0].blocks.push_back(EvenBlock(475, record.facts));
  EXPECT_DOUBLE_EQ(Summarise(record).train.au.mean, 85.0);
}

CheckpointOp SaveOf(std::int64_t start_ms, std::int64_t duration_ms) {
  CheckpointOp save;
  save.step = 5;
  save.start = testing::AtMillis(start_ms);
  save.end = testing::AtMillis(start_ms + duration_ms);
  return save;
}

TEST(Summarise, CheckpointsOfAllEpochsMakeOneSeries) {
  RunRecord record = TwoRanks(2);
  record.facts.checkpoints.emplace();
  record.facts.checkpoints->bytes = 3000;
  // The same step in both epochs: rank 0 takes 1 and 3 s, rank 1 2 s each.
  for (const std::size_t epoch : {0U, 1U}) {
    const auto at = static_cast<std::int64_t>(10000 * epoch);
    const std::int64_t duration = epoch == 0 ? 1000 : 3000;
    record.ranks[0].epochs[epoch].saves = {SaveOf(at, duration)};
    record.ranks[1].epochs[epoch].saves = {SaveOf(at, 2000)};
  }
  const RunSummary summary = Summarise(record);

  ASSERT_TRUE(summary.saves.has_value());
  const CheckpointSeries saves = summary.saves.value_or(CheckpointSeries{});
  ASSERT_EQ(saves.each.size(), 2U);
  EXPECT_DOUBLE_EQ(saves.rank0_duration_s.mean, 2.0);
  EXPECT_DOUBLE_EQ(saves.rank0_duration_s.stdev, 1.0);
  EXPECT_DOUBLE_EQ(saves.rank0_rate.mean, 2000.0);  // 3000, 1000 B/s
  EXPECT_DOUBLE_EQ(saves.duration_max_s.mean, 2.5);
  EXPECT_DOUBLE_EQ(saves.rate_min.mean, 1250.0);  // 1500, 1000 B/s
  // They are in no figure of training.
  EXPECT_DOUBLE_EQ(summary.train.au.mean, 75.0);
  EXPECT_FALSE(Summarise(TwoRanks(1)).saves.has_value());
}

TEST(Summarise, RanksApartAreNamed) {
  RunRecord record = TwoRanks(1);
  record.ranks[1].epochs[0].blocks = {EvenBlock(475, record.facts)};
  const RunSummary summary = Summarise(record);
  EXPECT_DOUBLE_EQ(summary.train.au.mean, 85.0);
  EXPECT_DOUBLE_EQ(summary.au_min.value, 75.0);
  EXPECT_EQ(summary.au_min.rank, 0U);
  EXPECT_DOUBLE_EQ(summary.au_max.value, 95.0);
  EXPECT_EQ(summary.au_max.rank, 1U);
}

TEST(Summarise, BelowTheTargetFails) {
  RunRecord record = TwoRanks(1);
  record.facts.au_target = 0.76;
  EXPECT_FALSE(Summarise(record).train.au_met);
}

TEST(Summarise, ClientCpuIsOfAllCoresAndTheLongestRank) {
  RunRecord record = TwoRanks(1);
  record.ranks[1].epochs[0].end = testing::AtMillis(5000);
  const RunSummary summary = Summarise(record);
  // 2 ranks · 1 s over 5 s · 4 CPUs = 10 %.
  EXPECT_DOUBLE_EQ(summary.wall_seconds, 5.0);
  EXPECT_DOUBLE_EQ(summary.cpu_seconds, 2.0);
  EXPECT_DOUBLE_EQ(summary.client_cpu_percent, 10.0);
  // 8 steps · 700 B in 2 CPU seconds.
  EXPECT_DOUBLE_EQ(summary.gib_per_core_second, 2800.0 / (1ULL << 30));
}

TEST(Summarise, CpuTimeIsSplitIntoReadingCheckingAndTheRest) {
  // 2 ranks · 2 epochs of 1 s: 50 ms accelerator, 250 ms checks.
  const RunSummary summary = Summarise(TwoRanks(2));
  EXPECT_EQ(summary.cpu.rest, Millis(200));
  EXPECT_EQ(summary.cpu.checking, Millis(1000));
  EXPECT_EQ(summary.cpu.reading, Millis(2800));
}

TEST(SplitCpu, TheClocksTimeOfCheckingCountsAsFarAsTheProcessHadIt) {
  // 10 ms in all, 4 of the main thread: 7 ms by the clock hold 6 at most.
  const CpuSplit split = SplitCpu(Millis(10), Millis(4), Millis(7));
  EXPECT_EQ(split.reading, Millis(0));
  EXPECT_EQ(split.checking, Millis(6));
  EXPECT_EQ(split.rest, Millis(4));
}

TEST(SplitCpu, ThePartsAddUpToTheProcessAndNoneIsBelowZero) {
  for (const int process : {0, 10}) {
    for (const int main : {-1, 0, 4, 10, 11}) {
      for (const int checking : {-1, 0, 3, 6, 7, 100}) {
        const CpuSplit split =
            SplitCpu(Millis(process), Millis(main), Millis(checking));
        EXPECT_EQ(split.reading + split.checking + split.rest, Millis(process));
        EXPECT_GE(split.reading, Millis(0));
        EXPECT_GE(split.checking, Millis(0));
        EXPECT_GE(split.rest, Millis(0));
      }
    }
  }
}

TEST(Summarise, LongestLoadsAreTheHistograms) {
  RunRecord record = TwoRanks(1);
  // 99 waits of 100 ns, one of 5 s: the 99th of 100 is still 100 ns.
  for (int i = 0; i < 99; ++i) record.longest_loads.Add(100);
  record.longest_loads.Add(5'000'000'000);
  const RunSummary summary = Summarise(record);
  EXPECT_DOUBLE_EQ(summary.longest_load_p50, 100e-9);
  EXPECT_DOUBLE_EQ(summary.longest_load_p99, 100e-9);
  EXPECT_DOUBLE_EQ(summary.longest_load_max, 5.0);
}

TEST(Summarise, BoundIsComputeAtTheTargetElseWhatTheSlowestRankWaitsFor) {
  RunRecord record = TwoRanks(1);
  record.facts.au_target = 0;
  EXPECT_EQ(Summarise(record).bound, Bound::kCompute);
  // Rank 1 waits for its data, rank 0 in the barrier for rank 1.
  record.facts.au_target = 1;
  BlockSums& first = record.ranks[0].epochs[0].blocks[0].sums;
  BlockSums& second = record.ranks[1].epochs[0].blocks[0].sums;
  first.counted_load = Millis(1);
  first.counted_barrier = Millis(9000);
  second.counted_load = Millis(9000);
  second.counted_barrier = Millis(2);
  EXPECT_EQ(Summarise(record).bound, Bound::kStorageWait);
  EXPECT_EQ(Summarise(record).slowest_rank, 1U);
  // No rank waits for data: the barrier itself costs the time.
  second.counted_load = Millis(1);
  EXPECT_EQ(Summarise(record).bound, Bound::kBarrier);
  record.facts.backend = "null";
  EXPECT_EQ(Summarise(record).bound, Bound::kClient);
  EXPECT_EQ(BoundName(Bound::kBarrier), "barrier");
  EXPECT_EQ(BoundName(Bound::kStorageWait), "storage wait");
  EXPECT_EQ(BoundName(Bound::kClient), "client");
}

TEST(Summarise, StepMeansAndSharesAreOverCountedSteps) {
  RunRecord record = TwoRanks(1);
  BlockSums& sums = record.ranks[1].epochs[0].blocks[0].sums;
  sums.counted_barrier = Millis(600);
  sums.counted_overshoot = Millis(12);
  sums.max_overshoot = Millis(9);
  const RunSummary summary = Summarise(record);
  // 6 counted steps: load 0.1 each, compute 0.4 each, barrier 0.6 / 6.
  EXPECT_DOUBLE_EQ(summary.step.load, 0.1);
  EXPECT_DOUBLE_EQ(summary.step.compute, 0.4);
  EXPECT_DOUBLE_EQ(summary.step.barrier, 0.1);
  EXPECT_DOUBLE_EQ(summary.step.overshoot, 0.002);
  EXPECT_DOUBLE_EQ(summary.overshoot_max.value, 0.009);
  EXPECT_EQ(summary.overshoot_max.rank, 1U);
  EXPECT_NEAR(summary.compute_share, 2.4 / 3.6, 1e-12);
  EXPECT_NEAR(summary.overshoot_share, 0.012 / 3.6, 1e-12);
}

TEST(Summarise, EvaluationHasItsOwnFiguresForItsEpochs) {
  RunRecord record = TwoRanks(2);
  record.facts.evaluation = true;
  const BlockRecord eval = Block(0, 1000, {Step(600, 300), Step(400, 300)});
  for (RankRecord& rank : record.ranks) {
    rank.epochs[1].eval =
        BlockSummary{.start = eval.start,
                     .end = eval.end,
                     .sums = SumBlock(eval, EvalCounted(record.facts))};
  }
  const RunSummary summary = Summarise(record);
  ASSERT_TRUE(summary.eval.has_value());
  const PhaseFigures figures = summary.eval.value_or(PhaseFigures{});
  // Second step alone: 100 · 0.3 / (1.0 - 0.6) = 75; 2 / 1.0 · 3 · 2 ranks.
  ASSERT_EQ(figures.au_percent.size(), 1U);
  EXPECT_DOUBLE_EQ(figures.au.mean, 75.0);
  EXPECT_DOUBLE_EQ(figures.samples.mean, 12.0);
}

TEST(Summarise, ReadsAndDiscardsAreAddedUp) {
  RunRecord record = TwoRanks(2);
  LoaderCounters& one = record.ranks[0].epochs[0].train_loader;
  one.bytes_discarded = 5;
  one.files_opened = 2;
  one.reads = {.reads = 3,
               .bytes = 30,
               .errors = 1,
               .latency_sum = Millis(6),
               .latency_max = Millis(4)};
  LoaderCounters& other = record.ranks[1].epochs[1].eval_loader;
  other.bytes_discarded = 6;
  other.reads = {.reads = 1, .bytes = 10, .latency_sum = Millis(2)};
  const RunSummary summary = Summarise(record);
  EXPECT_EQ(summary.discarded_bytes, 11U);
  EXPECT_EQ(summary.files_opened, 2U);
  EXPECT_EQ(summary.reads.reads, 4U);
  EXPECT_EQ(summary.reads.bytes, 40U);
  EXPECT_EQ(summary.reads.errors, 1U);
  EXPECT_EQ(summary.reads.latency_max, Millis(4));
  EXPECT_DOUBLE_EQ(summary.read_latency_mean_seconds, 0.002);
}

TEST(Summarise, PotentialCachingComparesMemoryWithTheHostsData) {
  // 2 ranks · 1 sample · 56 files / 2 · 2 MiB = 112 MiB, memory 1 GiB.
  RunRecord record = TwoRanks(1);
  EXPECT_DOUBLE_EQ(Summarise(record).hosts.data_per_host_gib, 112.0 / 1024);
  EXPECT_TRUE(Summarise(record).hosts.potential_caching.at(0));
  record.hosts[0].memory_bytes = 112ULL << 20;  // equal is not more
  EXPECT_FALSE(Summarise(record).hosts.potential_caching.at(0));
}

TEST(DataBytesPerHost, DividesInIntegers) {
  RunFacts facts;
  facts.num_accelerators = 3;
  facts.num_files_train = 10;
  facts.num_samples_per_file = 1;
  facts.record_length_bytes = 100;
  // 2 · 1 · 10 / 3 = 6 samples
  EXPECT_DOUBLE_EQ(DataBytesPerHost(facts, 2), 600.0);
}

TEST(Summarise, RunOfNoEpochsHasNoNan) {
  const RunSummary summary = Summarise(TwoRanks(0));
  EXPECT_EQ(summary.train.au.mean, 0);
  EXPECT_EQ(summary.client_cpu_percent, 0);
  EXPECT_EQ(summary.gib_per_core_second, 0);
  EXPECT_EQ(summary.au_min.value, 0);
  EXPECT_EQ(summary.step.load, 0);
}

}  // namespace
}  // namespace stoker::metrics
