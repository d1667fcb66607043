#include "cache/miss_ratio.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <list>
#include <numeric>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cache/eviction.h"
#include "cache/theory.h"
#include "core/random.h"
#include "tests/support/allocations.h"

namespace stoker::cache {
namespace {

#ifdef STOKER_SANITIZED
constexpr std::uint64_t kManyBlocks = 5'000;
#else
constexpr std::uint64_t kManyBlocks = 10'000;
#endif

constexpr std::uint64_t kUnit = 4096;

struct Read {
  std::uint64_t block = 0;
  std::uint64_t bytes = kUnit;
};
using Stream = std::vector<Read>;

Fingerprint KeyOf(std::uint64_t block) { return {.high = 1, .low = block}; }

Stream Cyclic(std::uint64_t blocks, int epochs) {
  Stream stream;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    for (std::uint64_t i = 0; i < blocks; ++i) stream.push_back({.block = i});
  }
  return stream;
}

// What one of `nodes` reads: each epoch its share of a new order of all blocks.
Stream Permuted(std::uint64_t blocks, int epochs, std::uint64_t nodes = 1) {
  std::vector<std::uint64_t> order(blocks);
  std::iota(order.begin(), order.end(), 0U);
  core::CounterRandom random(29);
  Stream stream;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    for (std::size_t i = order.size(); i-- > 1;)
      std::swap(order[i], order[random.Below(i + 1)]);
    for (std::uint64_t i = 0; i < blocks / nodes; ++i)
      stream.push_back({.block = order[i]});
  }
  return stream;
}

// Small numbers are read more often; sizes of 1 to 5 units.
Stream Skewed(std::uint64_t blocks, int reads) {
  core::CounterRandom random(31);
  Stream stream;
  for (int i = 0; i < reads; ++i) {
    const double u = random.Uniform();
    const auto block =
        static_cast<std::uint64_t>(static_cast<double>(blocks) * u * u * u);
    stream.push_back({.block = block, .bytes = (1 + block % 5) * kUnit});
  }
  return stream;
}

MissRatioCurve CurveOf(const Stream& stream, std::uint32_t max_keys) {
  MissRatioCurve curve(
      {.max_keys = max_keys, .unit_bytes = kUnit, .buckets = 1U << 12});
  for (const Read& read : stream) curve.Add(KeyOf(read.block), read.bytes);
  return curve;
}

MissRatioPoint PointOf(const MissRatioCurve& curve, std::uint64_t bytes) {
  return curve.Points(std::array{bytes}).front();
}

// The definition: a list in order of use that is cut where it gets too long.
double LruMisses(const Stream& stream, std::uint64_t capacity, bool by_bytes) {
  std::list<Read> newest_first;
  std::unordered_map<std::uint64_t, std::list<Read>::iterator> resident;
  std::uint64_t used = 0;
  double misses = 0;
  double all = 0;
  for (const Read& read : stream) {
    const double weight = by_bytes ? static_cast<double>(read.bytes) : 1;
    all += weight;
    const auto found = resident.find(read.block);
    if (found != resident.end()) {
      newest_first.splice(newest_first.begin(), newest_first, found->second);
      continue;
    }
    misses += weight;
    newest_first.push_front(read);
    resident[read.block] = newest_first.begin();
    used += read.bytes;
    while (used > capacity) {
      used -= newest_first.back().bytes;
      resident.erase(newest_first.back().block);
      newest_first.pop_back();
    }
  }
  return misses / all;
}

double NeverEvictMisses(const Stream& stream, std::uint64_t capacity) {
  std::unordered_map<std::uint64_t, bool> resident;
  std::uint64_t used = 0;
  double misses = 0;
  for (const Read& read : stream) {
    if (resident.contains(read.block)) continue;
    misses += 1;
    if (used + read.bytes > capacity) continue;
    used += read.bytes;
    resident[read.block] = true;
  }
  return misses / static_cast<double>(stream.size());
}

TEST(MissRatioCurve, CyclicReadsMissAllOrOnlyTheFirst) {
  const MissRatioCurve curve = CurveOf(Cyclic(50, 4), 64);
  // Every distance is 50 blocks: nothing is hit by less, and a quarter of the
  // reads, the first epoch's, is missed by more. The first c blocks to come
  // are hit in three epochs of four: c / 50 of 3/4.
  for (const std::uint64_t blocks : {0U, 1U, 25U, 49U}) {
    EXPECT_EQ(PointOf(curve, blocks * kUnit).lru_reads, 1) << blocks;
  }
  for (const std::uint64_t blocks : {50U, 51U, 5000U, 100'000U}) {
    EXPECT_EQ(PointOf(curve, blocks * kUnit).lru_reads, 0.25) << blocks;
  }
  for (const std::uint64_t blocks : {0U, 10U, 25U, 50U}) {
    const MissRatioPoint point = PointOf(curve, blocks * kUnit);
    EXPECT_EQ(point.cache_bytes, blocks * kUnit);
    EXPECT_DOUBLE_EQ(point.never_evict_reads,
                     1 - 0.75 * static_cast<double>(blocks) / 50);
    EXPECT_DOUBLE_EQ(point.never_evict_bytes, point.never_evict_reads);
  }
}

TEST(MissRatioCurve, IsExactWhereAllKeysFit) {
  constexpr std::uint64_t kBlocks = 60;
  // As many keys as there is room for: positions are closed up every 60 reads.
  for (const Stream& stream :
       {Cyclic(kBlocks, 12), Permuted(kBlocks, 12), Permuted(kBlocks, 24, 2)}) {
    const MissRatioCurve curve = CurveOf(stream, kBlocks);
    EXPECT_EQ(curve.sample_rate(), 1);
    for (std::uint64_t blocks = 0; blocks <= kBlocks + 5; ++blocks) {
      const std::uint64_t bytes = blocks * kUnit;
      const MissRatioPoint point = PointOf(curve, bytes);
      EXPECT_DOUBLE_EQ(point.lru_reads, LruMisses(stream, bytes, false))
          << blocks;
      EXPECT_DOUBLE_EQ(point.never_evict_reads, NeverEvictMisses(stream, bytes))
          << blocks;
    }
  }
}

TEST(MissRatioCurve, IsExactForBlocksOfUnlikeSizes) {
  const Stream stream = Skewed(80, 3000);
  const MissRatioCurve curve = CurveOf(stream, 80);
  for (std::uint64_t units = 0; units <= 260; units += 5) {
    const std::uint64_t bytes = units * kUnit;
    const MissRatioPoint point = PointOf(curve, bytes);
    EXPECT_DOUBLE_EQ(point.lru_reads, LruMisses(stream, bytes, false)) << units;
    EXPECT_DOUBLE_EQ(point.lru_bytes, LruMisses(stream, bytes, true)) << units;
  }
}

TEST(MissRatioCurve, BucketsDoubleToReachTheLargestDistance) {
  const Stream stream = Permuted(100, 6);
  MissRatioCurve curve({.max_keys = 128, .unit_bytes = kUnit, .buckets = 16});
  for (const Read& read : stream) curve.Add(KeyOf(read.block), read.bytes);
  // The first power of 2 of which 16 make up more than almost 100.
  const std::uint64_t width = curve.counts().lru.width_bytes;
  EXPECT_EQ(width, 8 * kUnit);
  for (std::uint64_t bytes = 0; bytes < 110 * kUnit; bytes += width) {
    EXPECT_DOUBLE_EQ(PointOf(curve, bytes).lru_reads,
                     LruMisses(stream, bytes, false));
  }
  // In between, on a straight line.
  const double middle = PointOf(curve, 68 * kUnit).lru_reads;
  EXPECT_NEAR(middle,
              (PointOf(curve, 64 * kUnit).lru_reads +
               PointOf(curve, 72 * kUnit).lru_reads) /
                  2,
              1e-12);
}

// The sample's error is one of the size: the curve is between the exact ones of
// caches smaller and larger by three relative standard errors of 1/sqrt(k), k
// blocks of the sample in the cache; and of a draw of the sample's reads.
TEST(MissRatioCurve, IsWithinTheStatedErrorWhereKeysAreSampled) {
  constexpr std::uint32_t kKeys = 2048;
  constexpr int kEpochs = 4;
  for (const Stream& stream :
       {Cyclic(kManyBlocks, kEpochs), Permuted(kManyBlocks, kEpochs)}) {
    const MissRatioCurve curve = CurveOf(stream, kKeys);
    const double sampled = curve.sample_rate() * kManyBlocks;
    EXPECT_LE(sampled, 1.1 * kKeys);
    EXPECT_GE(sampled, 0.4 * kKeys);
    for (const double f : {0.25, 0.5, 0.75, 0.9, 1.2}) {
      const double cache = f * kManyBlocks * kUnit;
      const double off = 3 / std::sqrt(std::min(f, 1.0) * sampled);
      const auto at = [&](double scale) {
        return static_cast<std::uint64_t>(cache * scale);
      };
      const MissRatioPoint point = PointOf(curve, at(1));
      const auto draw = [&](double share) {
        return 3 * std::sqrt(share * (1 - share) / (sampled * kEpochs)) + 1e-9;
      };
      const double lru = draw(LruMisses(stream, at(1), false));
      EXPECT_GE(point.lru_reads, LruMisses(stream, at(1 + off), false) - lru)
          << f;
      EXPECT_LE(point.lru_reads, LruMisses(stream, at(1 - off), false) + lru)
          << f;
      const double never = draw(NeverEvictMisses(stream, at(1)));
      EXPECT_GE(point.never_evict_reads,
                NeverEvictMisses(stream, at(1 + off)) - never)
          << f;
      EXPECT_LE(point.never_evict_reads,
                NeverEvictMisses(stream, at(1 - off)) + never)
          << f;
    }
    const double all = static_cast<double>(kManyBlocks * kUnit);
    EXPECT_NEAR(static_cast<double>(curve.working_set_bytes()), all,
                3 / std::sqrt(sampled) * all);
  }
}

TEST(MissRatioCurve, AgreesWithTheTheoryOfPermutedReads) {
  constexpr std::uint64_t kBlocks = 4000;
  for (const std::uint32_t nodes : {1U, 4U}) {
    const int epochs = static_cast<int>(4 * nodes);
    const MissRatioCurve curve =
        CurveOf(Permuted(kBlocks, epochs, nodes), kBlocks);
    const ReadPattern pattern{.order = OrderClass::kGlobalReshuffle,
                              .nodes = nodes};
    // No larger: a cache must be full after the first epoch.
    for (const double share : {0.05, 0.125, 0.25}) {
      const double hit =
          SteadyHitRate(Policy::kLru, pattern, share).value_or(-1);
      EXPECT_NEAR(
          PointOf(curve, static_cast<std::uint64_t>(share * kBlocks * kUnit))
              .lru_reads,
          StoreShare(hit, static_cast<std::uint32_t>(epochs)),
          HitRateTolerance(Policy::kLru, hit,
                           static_cast<double>(kBlocks) / nodes, epochs - 1))
          << nodes << ' ' << share;
    }
  }
}

TEST(MissRatioCurve, OfNothingMissesAll) {
  MissRatioCurve curve(MissRatioCurve::Options{});
  curve.Add(KeyOf(1), 0);
  EXPECT_TRUE(curve.Points({}).empty());
  const MissRatioPoint point = PointOf(curve, 1U << 30);
  EXPECT_EQ(point.lru_bytes, 1);
  EXPECT_EQ(point.lru_reads, 1);
  EXPECT_EQ(point.never_evict_bytes, 1);
  EXPECT_EQ(point.never_evict_reads, 1);
  EXPECT_EQ(curve.counts().reads, 0U);
}

TEST(MissRatioCurve, OneKeyIsEnoughRoomToStart) {
  const MissRatioCurve curve = CurveOf(Permuted(40, 5), 1);
  EXPECT_LE(curve.sample_rate(), 0.5);
  EXPECT_LE(PointOf(curve, 1000 * kUnit).lru_reads, 1);
}

TEST(MissRatioCurve, AddAllocatesNothing) {
  const Stream stream = Permuted(2000, 3);
  MissRatioCurve curve({.max_keys = 256, .unit_bytes = kUnit, .buckets = 64});
  const std::uint64_t before = testing::Allocations();
  for (const Read& read : stream) curve.Add(KeyOf(read.block), read.bytes);
  EXPECT_EQ(testing::Allocations(), before);
  EXPECT_LT(curve.sample_rate(), 1);
  EXPECT_GT(curve.counts().lru.width_bytes, kUnit);
}

TEST(MissRatioCurve, MergingIsACacheOfThatSizeForEach) {
  // Of 50 blocks 4 times and of 20 blocks 5 times: 300 reads, 70 of them
  // first ones. 30 blocks of cache hit the 80 later ones of the second.
  MissRatioCurve curve = CurveOf(Cyclic(50, 4), 64);
  EXPECT_TRUE(curve.Merge(CurveOf(Cyclic(20, 5), 32)).ok());
  EXPECT_EQ(curve.counts().reads, 300U);
  EXPECT_EQ(PointOf(curve, 19 * kUnit).lru_reads, 1);
  EXPECT_DOUBLE_EQ(PointOf(curve, 30 * kUnit).lru_reads, 220 / 300.0);
  EXPECT_DOUBLE_EQ(PointOf(curve, 50 * kUnit).lru_reads, 70 / 300.0);
  // Never evicting: 10 of 50 in 3 epochs and 10 of 20 in 4.
  EXPECT_DOUBLE_EQ(PointOf(curve, 10 * kUnit).never_evict_reads, 230 / 300.0);
}

TEST(MissRatioCurve, MergingWidensTheFinerOne) {
  const auto curve_of = [](std::uint64_t blocks) {
    MissRatioCurve curve({.max_keys = 256, .unit_bytes = kUnit, .buckets = 8});
    for (const Read& read : Cyclic(blocks, 2))
      curve.Add(KeyOf(read.block), read.bytes);
    return curve;
  };
  for (const bool larger_first : {false, true}) {
    MissRatioCurve curve = curve_of(larger_first ? 64U : 8U);
    EXPECT_TRUE(curve.Merge(curve_of(larger_first ? 8U : 64U)).ok());
    EXPECT_EQ(curve.counts().lru.width_bytes, 8 * kUnit);
    // 144 reads; 8 hits from 8 blocks on, 64 more from 64 on.
    EXPECT_EQ(PointOf(curve, 0).lru_reads, 1);
    EXPECT_DOUBLE_EQ(PointOf(curve, 8 * kUnit).lru_reads, 136 / 144.0);
    EXPECT_DOUBLE_EQ(PointOf(curve, 56 * kUnit).lru_reads, 136 / 144.0);
    EXPECT_DOUBLE_EQ(PointOf(curve, 64 * kUnit).lru_reads, 72 / 144.0);
  }
}

TEST(MissRatioCurve, CountsOfOtherOptionsOrDamagedAreNotMerged) {
  MissRatioCurve curve = CurveOf(Cyclic(50, 4), 64);
  const auto refused = [&](const MissRatioCounts& other) {
    MissRatioCounts counts = curve.counts();
    const core::Status status = counts.Merge(other);
    return status.code() == core::Code::kInvalidArgument &&
           counts.reads == curve.counts().reads;
  };
  EXPECT_FALSE(refused(curve.counts()));
  EXPECT_EQ(curve
                .Merge(MissRatioCurve(
                    {.max_keys = 64, .unit_bytes = kUnit, .buckets = 8}))
                .code(),
            core::Code::kInvalidArgument);
  MissRatioCounts other = curve.counts();
  other.lru.width_bytes = 3 * kUnit;
  EXPECT_TRUE(refused(other));
  other.lru.width_bytes = 0;
  EXPECT_TRUE(refused(other));
  other = curve.counts();
  other.never_evict.bytes.pop_back();
  EXPECT_TRUE(refused(other));
}

}  // namespace
}  // namespace stoker::cache
