#include "cache/theory_rates.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace stoker::cache {
namespace {

constexpr double kRatesGb = 1e9;

// Batch times object over compute time, as the benchmark configures them.
struct Workload {
  std::string_view name;
  double batch, object_bytes, step_s, target;

  JobRates Job(double accelerators, double store_gb, double cache_gb) const {
    JobRates job;
    job.accelerators = accelerators;
    job.demand_bytes_per_s = batch * object_bytes / step_s;
    job.object_bytes = object_bytes;
    job.store.bytes_per_s = store_gb * kRatesGb;
    job.cache.read_bytes_per_s = cache_gb * kRatesGb;
    return job;
  }
};
constexpr Workload kUnet3d{"unet3d", 7, 146600628, 0.323, 0.9};
constexpr Workload kResnet50{"resnet50", 400, 114660.07, 0.224, 0.9};
constexpr Workload kCosmoflow{"cosmoflow", 1, 2828486, 0.0035, 0.7};

// Rates relative to the demand of a job whose demand is 1.
JobRates Relative(double store) {
  JobRates job;
  job.demand_bytes_per_s = 1;
  job.object_bytes = 1e-6;
  job.store.bytes_per_s = store;
  return job;
}

// Two accelerators of 100 bytes/s with four readers each of objects of 50, at
// a store of 100 bytes/s that takes 0.1 s and then 500 bytes/s for each.
JobRates Small() {
  JobRates job;
  job.accelerators = 2;
  job.demand_bytes_per_s = 100;
  job.object_bytes = 50;
  job.reader_threads = 4;
  job.store = {.bytes_per_s = 100,
               .requests_per_s = kUnlimited,
               .stream_bytes_per_s = 500,
               .latency_s = 0.1};
  return job;
}

TEST(MostAccelerators, OfTheWorkloadsOfTheBenchmark) {
  struct Row {
    Workload workload;
    double store_gb, cache_gb;
    std::array<double, 6> most;
  };
  constexpr std::array<double, 6> kHits = {0, 0.25, 0.5, 0.75, 0.9, 1};
  for (const Row& row : {Row{kUnet3d, 1, 7, {0, 0, 0, 1, 2, 2}},
                         Row{kUnet3d, 5, 7, {1, 2, 3, 3, 2, 2}},
                         Row{kUnet3d, 5, 28, {1, 2, 3, 6, 10, 9}},
                         Row{kUnet3d, 10, 28, {3, 4, 6, 13, 10, 9}},
                         Row{kResnet50, 1, 7, {5, 7, 10, 21, 42, 37}},
                         Row{kResnet50, 5, 28, {27, 36, 54, 108, 168, 151}},
                         Row{kResnet50, 10, 28, {54, 72, 108, 202, 168, 151}},
                         Row{kCosmoflow, 1, 7, {1, 2, 3, 7, 13, 12}},
                         Row{kCosmoflow, 5, 28, {8, 11, 17, 35, 54, 49}}}) {
    for (std::size_t i = 0; i < kHits.size(); ++i) {
      const JobRates job = row.workload.Job(1, row.store_gb, row.cache_gb);
      EXPECT_EQ(MostAccelerators(job, {.hit = kHits[i]}, row.workload.target),
                row.most[i])
          << row.workload.name << ' ' << row.store_gb << ' ' << row.cache_gb
          << ' ' << kHits[i];
    }
  }
}

TEST(MostAccelerators, AWholeQuotientIsNotRoundedDown) {
  // 0.3 / (0.1 · 1) is 2.9999999999999996 in binary.
  EXPECT_EQ(MostAccelerators(Relative(0.3), {}, 0.1), 3);
}

TEST(MostAccelerators, SlowReadersFeedNone) {
  JobRates job = Small();
  // A reader gets 50 bytes in 0.2 s, four get 1000 bytes/s: enough.
  EXPECT_EQ(MostAccelerators(job, {}, 0.9), 1);
  job.store.bytes_per_s = 1000;
  EXPECT_EQ(MostAccelerators(job, {}, 0.9), 11);
  job.store.latency_s = 10;  // 4 · 50 / 10.1 s = 19.8 bytes/s
  EXPECT_EQ(MostAccelerators(job, {}, 0.9), 0);
  EXPECT_EQ(MostAccelerators(job, {.hit = 1}, 0.9), kUnlimited);
}

TEST(HardwareRate, TheLeastOfStoreDeviceAndReaders) {
  JobRates job = Small();
  Rate rate = HardwareRate(job, {.hit = 0.75});
  EXPECT_DOUBLE_EQ(rate.bytes_per_s, 400);  // 100 / 0.25
  EXPECT_EQ(rate.limit, RateLimit::kStore);

  job.cache.read_bytes_per_s = 150;
  rate = HardwareRate(job, {.hit = 0.75});
  EXPECT_DOUBLE_EQ(rate.bytes_per_s, 200);  // 150 / 0.75
  EXPECT_EQ(rate.limit, RateLimit::kCacheDevice);

  job.reader_threads = 0.1;  // 2 · 0.1 · 50 bytes in 0.25 · 0.2 s
  EXPECT_DOUBLE_EQ(ReadSeconds(job, 0.75), 0.05);
  rate = HardwareRate(job, {.hit = 0.75});
  EXPECT_DOUBLE_EQ(rate.bytes_per_s, 200);
  job.reader_threads = 0.05;
  rate = HardwareRate(job, {.hit = 0.75});
  EXPECT_DOUBLE_EQ(rate.bytes_per_s, 100);
  EXPECT_EQ(rate.limit, RateLimit::kReaders);
}

TEST(HardwareRate, ACapOfRequestsIsOneOfBytes) {
  JobRates job = Small();
  job.store.requests_per_s = 1;  // of 50 bytes
  EXPECT_DOUBLE_EQ(HardwareRate(job, {.hit = 0.5}).bytes_per_s, 100);
}

TEST(ReadSeconds, IsTheMeanOfCacheAndStore) {
  JobRates job = Small();
  job.cache.latency_s = 0.01;
  job.cache.stream_bytes_per_s = 1000;
  EXPECT_DOUBLE_EQ(ReadSeconds(job, 1), 0.06);  // 0.01 + 50 / 1000
  EXPECT_DOUBLE_EQ(ReadSeconds(job, 0), 0.2);   // 0.1 + 50 / 500
  EXPECT_DOUBLE_EQ(ReadSeconds(job, 0.5), 0.13);
}

TEST(SustainedRate, IsTheDemandWhereThatIsLess) {
  const Rate rate = SustainedRate(Small(), {.hit = 0.75});
  EXPECT_EQ(rate.bytes_per_s, 200);
  EXPECT_EQ(rate.limit, RateLimit::kDemand);
}

// Event simulations of at least 100 steps gave .783, .524, .871; with an
// inline fill .755, without .995. The formula is within 0.01 of them.
TEST(LongEpochUtilisation, IsThatOfEventSimulations) {
  const auto utilisation = [](double accelerators, double hit) {
    return LongEpochUtilisation(kUnet3d.Job(accelerators, 5, 20), {.hit = hit});
  };
  // 5 / (2 · 3.1771), 10 / (6 · 3.1771), 20 / 0.9 / (8 · 3.1771)
  EXPECT_NEAR(utilisation(2, 0), 0.7869, 0.0001);
  EXPECT_NEAR(utilisation(6, 0.5), 0.5246, 0.0001);
  EXPECT_NEAR(utilisation(8, 0.9), 0.8743, 0.0001);
  EXPECT_NEAR(utilisation(2, 0), 0.783, 0.01);
  EXPECT_NEAR(utilisation(6, 0.5), 0.524, 0.01);
  EXPECT_NEAR(utilisation(8, 0.9), 0.871, 0.01);

  JobRates job = kUnet3d.Job(5, 20, 12);
  job.cache.write_bytes_per_s = 12 * kRatesGb;
  // Reads and fills share the device: 12 / (5 · 3.1771).
  EXPECT_NEAR(LongEpochUtilisation(job, {.hit = 0.5, .misses_written = 1}),
              0.755, 0.001);
  EXPECT_EQ(LongEpochUtilisation(job, {.hit = 0.5}), 1);
}

TEST(EpochUtilisation, IsBetweenTheExtremesOfTheStart) {
  // A step computes for 2 · 50 / 100 = 1 s; 10 of them read 2000 bytes, in
  // 20 s. The first batch is there after 2 · 0.2 s at the earliest, or after
  // the 2 · 4 · 2 · 50 = 800 bytes that all readers ask for at first, 8 s.
  const Bounds bounds =
      EpochUtilisation(Small(), {}, {.steps = 10, .samples_per_step = 2});
  EXPECT_DOUBLE_EQ(bounds.least, 10 / 28.0);
  EXPECT_DOUBLE_EQ(bounds.most, 10 / 20.4);
}

TEST(EpochUtilisation, TendsToTheLongEpochs) {
  const Bounds bounds =
      EpochUtilisation(Small(), {}, {.steps = 1e6, .samples_per_step = 2});
  EXPECT_NEAR(bounds.least, 0.5, 1e-5);
  EXPECT_NEAR(bounds.most, 0.5, 1e-5);
}

double LruUtilisation(const JobRates& job, const ReadPattern& pattern,
                      double node_share) {
  return UtilisationOfParts(job, LruHitsByPart(pattern, node_share));
}

TEST(LruUtilisation, IsIntegratedOverTheEpoch) {
  // Demand 2 B, f = 0.9: full speed while 0.5 (1-v) / 0.1 >= 1, v <= 0.8; then
  // ∫ 0.2 / (1-v) = 0.2 ln 2 up to 0.9; then twice the time. 0.8 + 0.138629 +
  // 0.2 = 1.138629.
  EXPECT_NEAR(LruUtilisation(Relative(0.5), {OrderClass::kPermutation, 1}, 0.9),
              1 / 1.138629, 1e-6);
  // f = 0.75: 0.5 + 0.5 ln 2 + 0.5 = 1.346574.
  EXPECT_NEAR(
      LruUtilisation(Relative(0.5), {OrderClass::kPermutation, 1}, 0.75),
      1 / 1.346574, 1e-6);
  // Demand 1.2 B, f = 0.5: 0.4 + 0.6 ln 1.2 + 0.6 = 1.109393.
  EXPECT_NEAR(
      LruUtilisation(Relative(1 / 1.2), {OrderClass::kPermutation, 1}, 0.5),
      1 / 1.109393, 1e-6);
}

TEST(LruUtilisation, IsLessThanTheMeanHitRatePromises) {
  struct Row {
    double store, f, integrated, promised;
  };
  const ReadPattern pattern{.order = OrderClass::kPermutation, .nodes = 1};
  for (const Row& row : {Row{0.5, 0.9, .878, 1}, Row{0.5, 0.75, .743, .838},
                         Row{1 / 1.2, 0.5, .901, .984}}) {
    const JobRates job = Relative(row.store);
    EXPECT_NEAR(LruUtilisation(job, pattern, row.f), row.integrated, 0.0005);
    const double mean =
        SteadyHitRate(Policy::kLru, pattern, row.f).value_or(-1);
    EXPECT_NEAR(LongEpochUtilisation(job, {.hit = mean}), row.promised, 0.0005);
  }
}

TEST(LruUtilisation, OfCyclicOrderIsThatOfTheStore) {
  EXPECT_NEAR(LruUtilisation(Relative(0.3), {}, 0.9), 0.3, 1e-12);
}

// Half of the bytes at twice the store's rate, half at the rate of the store,
// which is half the demand: 1 / (0.5 / 1 + 0.5 / 0.5).
TEST(UtilisationOfParts, IsTheHarmonicMeanOfTheParts) {
  EXPECT_NEAR(UtilisationOfParts(Relative(0.5), std::array{0.5, 0.0}), 1 / 1.5,
              1e-12);
  EXPECT_NEAR(UtilisationOfParts(Relative(0.5), std::array{0.25}),
              LongEpochUtilisation(Relative(0.5), {.hit = 0.25}), 1e-12);
}

TEST(MostAcceleratorsOfParts, OfEqualPartsIsThatOfTheirHitRate) {
  for (const double hit : {0.0, 0.3, 0.9}) {
    const JobRates job = Relative(7.3);
    EXPECT_EQ(MostAcceleratorsOfParts(job, std::array{hit, hit}, 0.9),
              MostAccelerators(job, {.hit = hit, .misses_written = 1}, 0.9))
        << hit;
  }
  EXPECT_EQ(MostAcceleratorsOfParts(Relative(0.5), std::array{0.0}, 0.9), 0);
  EXPECT_EQ(MostAcceleratorsOfParts(Relative(0.5), std::array{1.0}, 0.9),
            kUnlimited);
}

// Half of the job's bytes wait for the store: n accelerators have 2 / (1 + n d
// / B) of their time, 0.8 for n d = 1.5 B.
TEST(MostAcceleratorsOfParts, CountsTheTimeOfTheSlowPart) {
  JobRates job = Relative(10);  // B = 10 d
  EXPECT_EQ(MostAcceleratorsOfParts(job, std::array{1.0, 0.0}, 0.8), 15);
  job.accelerators = 15;
  EXPECT_NEAR(UtilisationOfParts(job, std::array{1.0, 0.0}), 0.8, 1e-12);
}

TEST(Balanced, LeavesTheShareThatMakesStoreAndDeviceEndTogether) {
  JobRates job = Relative(1);  // store as fast as the demand of one
  job.cache.read_bytes_per_s = 3 * job.store.bytes_per_s;
  job.accelerators = 8;
  // All hits: the device alone feeds 3 of 8. With a quarter from the store 4.
  const CacheUse use = Balanced(job, {.hit = 1});
  EXPECT_NEAR(use.hit, 0.75, 1e-12);
  EXPECT_NEAR(LongEpochUtilisation(job, use), 0.5, 1e-12);
  EXPECT_EQ(Balanced(job, {.hit = 0.5}).hit, 0.5);  // the store ends it
  job.accelerators = 2;
  EXPECT_EQ(Balanced(job, {.hit = 1}).hit, 1);  // nothing is short
}

// Read at 2, written at 1, store at 10 GB/s, 0.8 hits, all misses kept: the
// device alone ends it at 1 / (0.8/2 + 0.2/1) = 1.667 GB/s. What is written
// stays 0.2 of the bytes, which leaves it no time for hits: the store's 0.9 of
// them are not the end then, 1 / 0.2 = 5 GB/s is.
TEST(Balanced, CountsWhatIsWrittenAndNeverMakesItWorse) {
  JobRates job;
  job.accelerators = 100;
  job.demand_bytes_per_s = 1e9;
  job.object_bytes = 1e6;
  job.store.bytes_per_s = 10e9;
  job.cache.read_bytes_per_s = 2e9;
  job.cache.write_bytes_per_s = 1e9;
  const CacheUse use{.hit = 0.8, .misses_written = 1};
  const CacheUse moved = Balanced(job, use);
  EXPECT_EQ(moved.hit, 0);
  EXPECT_NEAR(moved.misses_written, 0.2, 1e-12);
  EXPECT_NEAR(HardwareRate(job, moved).bytes_per_s, 5e9, 1);
  for (const double hit : {0.0, 0.2, 0.5, 0.9, 1.0}) {
    for (const double written : {0.0, 0.3, 1.0}) {
      for (const double store : {0.1e9, 1e9, 10e9}) {
        job.store.bytes_per_s = store;
        const CacheUse plain{.hit = hit, .misses_written = written};
        EXPECT_GE(HardwareRate(job, Balanced(job, plain)).bytes_per_s,
                  HardwareRate(job, plain).bytes_per_s)
            << hit << " " << written << " " << store;
      }
    }
  }
}

TEST(Balanced, IsAppliedToEachPartOfAnEpoch) {
  JobRates job = Relative(1);
  job.cache.read_bytes_per_s = 3 * job.store.bytes_per_s;
  job.accelerators = 8;
  // The part that hits goes at 4 of 8, alone at 3; the other at 1.
  EXPECT_NEAR(UtilisationOfParts(job, std::array{1.0, 0.0}, true),
              2 / (8.0 / 4 + 8.0 / 1), 1e-12);
  EXPECT_NEAR(UtilisationOfParts(job, std::array{1.0, 0.0}),
              2 / (8.0 / 3 + 8.0 / 1), 1e-12);
}

// A cold epoch and four warm ones, by the store's rate over the demand.
TEST(UtilisationOf, ColdEpochIsHiddenByTheMean) {
  struct Cell {
    double store, f, mean, total;
  };
  for (const Cell& cell :
       {Cell{.25, .25, .317, .312}, Cell{.25, .5, .450, .417},
        Cell{.25, .75, .850, .625}, Cell{.25, 1, .850, .625},
        Cell{.5, .25, .633, .625}, Cell{.5, .5, .900, .833},
        Cell{.5, .75, .900, .833}, Cell{.5, 1, .900, .833},
        Cell{.8, .25, .960, .952}, Cell{.8, .5, .960, .952},
        Cell{.8, .75, .960, .952}, Cell{.8, 1, .960, .952}}) {
    const JobRates job = Relative(cell.store);
    const double cold = ColdUtilisation(job, cell.f);
    const double warm = LongEpochUtilisation(job, {.hit = cell.f});
    const RunUtilisation run = UtilisationOf(cold, warm, 5);
    constexpr double kDigits = 0.000501;
    EXPECT_NEAR(run.mean, cell.mean, kDigits) << cell.store << ' ' << cell.f;
    EXPECT_NEAR(run.total, cell.total, kDigits) << cell.store << ' ' << cell.f;

    const std::vector<double> epochs = {cold, warm, warm, warm, warm};
    EXPECT_NEAR(UtilisationOf(epochs).mean, run.mean, 1e-12);
    EXPECT_NEAR(UtilisationOf(epochs).total, run.total, 1e-12);
  }
}

TEST(UtilisationOf, NothingAndEpochsThatNeverEnd) {
  EXPECT_EQ(UtilisationOf({}).mean, 0);
  EXPECT_EQ(UtilisationOf({}).total, 0);
  const std::vector<double> epochs = {1, 0};
  EXPECT_EQ(UtilisationOf(epochs).mean, 0.5);
  EXPECT_EQ(UtilisationOf(epochs).total, 0);
}

TEST(ColdUtilisation, WritesUntilTheCacheIsFull) {
  JobRates job = Relative(1);
  job.cache.write_bytes_per_s = 0.25;
  // Half of the epoch at a quarter of the speed: 0.5 / 0.25 + 0.5 = 2.5.
  EXPECT_DOUBLE_EQ(ColdUtilisation(job, 0.5), 0.4);
  EXPECT_DOUBLE_EQ(ColdUtilisation(job, 1), 0.25);
  EXPECT_DOUBLE_EQ(ColdUtilisation(job, 0), 1);
}

TEST(BestCacheShare, IsWhereBothEndTogether) {
  const BestShare best = BestCacheShare(5 * kRatesGb, 28 * kRatesGb, 1);
  EXPECT_NEAR(best.cache_share, 0.848485, 1e-6);  // 28 / 33
  EXPECT_DOUBLE_EQ(best.bytes_per_s, 33 * kRatesGb);
  // Both need as long for their share.
  EXPECT_NEAR(best.cache_share / 28, (1 - best.cache_share) / 5, 1e-12);
}

TEST(BestCacheShare, NoMoreThanThereIs) {
  const BestShare best = BestCacheShare(5 * kRatesGb, 28 * kRatesGb, 0.5);
  EXPECT_EQ(best.cache_share, 0.5);
  EXPECT_DOUBLE_EQ(best.bytes_per_s, 10 * kRatesGb);
}

TEST(BestCacheShare, BeatsTheWholeCacheWhereTheDeviceIsTheBottleneck) {
  const auto most = [](double hit) {
    return MostAccelerators(kUnet3d.Job(1, 5, 28), {.hit = hit}, 0.9);
  };
  EXPECT_EQ(most(1), 9);
  EXPECT_EQ(most(0.9), 10);
  // 33 / (0.9 · 3.1771) = 11.54
  EXPECT_EQ(most(BestCacheShare(5 * kRatesGb, 28 * kRatesGb, 1).cache_share),
            11);
}

TEST(ReadersNeeded, IsLittlesLaw) {
  // Two objects a second, 0.2 s each.
  EXPECT_DOUBLE_EQ(ReadersNeeded(Small(), 0), 0.4);
}

TEST(HiddenPauseSeconds, IsTheComputeReadAhead) {
  // Four readers, three batches each, 1 s of compute a batch.
  const EpochShape shape{.steps = 1, .samples_per_step = 2};
  EXPECT_DOUBLE_EQ(HiddenPauseSeconds(Small(), shape, 3), 12);
  EXPECT_DOUBLE_EQ(ReadAheadBytes(Small(), shape, 3), 2 * 4 * 3 * 2 * 50);
  // Twelve seconds of 200 bytes/s: as much.
  EXPECT_DOUBLE_EQ(WindowBytes(Small(), 12), 2400);
}

TEST(EpochSeconds, APauseHidesFetches) {
  const PausedEpoch epoch{.compute_s = 100,
                          .pause_s = 30,
                          .missing_bytes = 1200,
                          .store_bytes_per_s = 10};
  EXPECT_EQ(EpochSeconds(epoch, false), 150);  // 30 + max(100, 120)
  EXPECT_EQ(EpochSeconds(epoch, true), 130);   // max(100 + 30, 120)
}

TEST(EpochSeconds, WithoutAPauseKnowingTheOrderGainsNothing) {
  for (const double missing : {500.0, 1200.0}) {
    const PausedEpoch epoch{.compute_s = 100,
                            .pause_s = 0,
                            .missing_bytes = missing,
                            .store_bytes_per_s = 10};
    EXPECT_EQ(EpochSeconds(epoch, true), EpochSeconds(epoch, false));
  }
}

TEST(NodeBytesPerSecond, IsTheLeastOfItsPaths) {
  NodeRates node{.nodes = 4, .accelerators = 2, .demand_bytes_per_s = 100};
  const NodeHits alone{.local = 0.25, .peers = 0};
  const NodeHits all{.local = 0.25, .peers = 0.75};
  EXPECT_EQ(NodeBytesPerSecond(node, alone), 200);
  node.store_bytes_per_s = 300;
  EXPECT_EQ(NodeBytesPerSecond(node, alone), 100);  // 300 / (4 · 0.75)
  EXPECT_EQ(NodeBytesPerSecond(node, all), 200);
  node.nic_bytes_per_s = 60;
  EXPECT_EQ(NodeBytesPerSecond(node, alone), 100);
  EXPECT_EQ(NodeBytesPerSecond(node, all), 80);  // 60 / 0.75
  node.store_on_nic = true;
  EXPECT_EQ(NodeBytesPerSecond(node, alone), 80);
  EXPECT_EQ(NodeBytesPerSecond(node, all), 80);
  node.cache_bytes_per_s = 70;
  EXPECT_EQ(NodeBytesPerSecond(node, alone), 80);
  EXPECT_EQ(NodeBytesPerSecond(node, all), 70);
}

}  // namespace
}  // namespace stoker::cache
