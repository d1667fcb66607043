#include "cache/theory.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/random.h"

namespace stoker::cache {
namespace {

constexpr ReadPattern kCyclic{.order = OrderClass::kCyclic, .nodes = 1};
constexpr ReadPattern kPermuted{.order = OrderClass::kPermutation, .nodes = 1};

ReadPattern Reshuffled(std::uint32_t nodes) {
  return {.order = OrderClass::kGlobalReshuffle, .nodes = nodes};
}

double Steady(Policy policy, const ReadPattern& pattern, double node_share) {
  const std::optional<double> rate = SteadyHitRate(policy, pattern, node_share);
  EXPECT_TRUE(rate.has_value());
  return rate.value_or(-1);
}

TEST(SteadyHitRate, IsThatOfTheClosedForms) {
  // By hand for f = 0.5: LRU 0.5 + 0.5 ln 0.5 = 0.1534. Random, permuted: a =
  // 0.7186 / 0.5 = 1.4372, e^-a = 0.2376, (0.7624 / 1.4372)² = 0.2814. Random,
  // cyclic: e^(-0.7968 / 0.5) = e^-1.5936 = 0.2032. All are fixed points to
  // the digits given.
  struct Row {
    double f, lru, random, random_cyclic;
  };
  for (const Row& row :
       {Row{.20, .0215, .0429, .0070},  //
        Row{.25, .0342, .0686, .0198}, Row{.50, .1534, .2814, .2032},
        Row{.75, .4034, .6025, .5456}, Row{.90, .6697, .8333, .8069},
        Row{.95, .8002, .9154, .9017}}) {
    constexpr double kDigits = 0.00006;
    EXPECT_NEAR(Steady(Policy::kLru, kPermuted, row.f), row.lru, kDigits);
    EXPECT_NEAR(Steady(Policy::kRandom, kPermuted, row.f), row.random, kDigits)
        << row.f;
    EXPECT_NEAR(Steady(Policy::kRandom, kCyclic, row.f), row.random_cyclic,
                kDigits)
        << row.f;
  }
}

TEST(SteadyHitRate, IsThatOfSimulatedPolicies) {
  // Simulations of 4 to 16 thousand items, for other shares as well.
  struct Row {
    double f, lru, random, random_cyclic;
  };
  for (const Row& row :
       {Row{.05, .0013, .0026, 0}, Row{.10, .0051, .0106, 0},
        Row{.25, .0343, .0707, .020}, Row{.50, .1531, .2825, .203},
        Row{.75, .4035, .6029, .545}, Row{.90, .6689, .8333, .807},
        Row{.95, .7994, .9154, .902}}) {
    EXPECT_NEAR(Steady(Policy::kLru, kPermuted, row.f), row.lru, 0.001);
    EXPECT_NEAR(Steady(Policy::kRandom, kPermuted, row.f), row.random, 0.0025);
    EXPECT_NEAR(Steady(Policy::kRandom, kCyclic, row.f), row.random_cyclic,
                0.001);
  }
}

TEST(SteadyHitRate, NeverEvictAndBeladyAreTheShareThatFits) {
  for (const double f : {0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0}) {
    for (const ReadPattern& pattern : {kCyclic, kPermuted, Reshuffled(1)}) {
      EXPECT_DOUBLE_EQ(Steady(Policy::kNever, pattern, f), f);
      EXPECT_DOUBLE_EQ(Steady(Policy::kBelady, pattern, f), f);
    }
  }
}

TEST(SteadyHitRate, CyclicOrderDefeatsWhatEvictsTheOldest) {
  for (const Policy policy : {Policy::kLru, Policy::kFifo, Policy::kSieve}) {
    EXPECT_EQ(Steady(policy, kCyclic, 0.999), 0);
    EXPECT_EQ(Steady(policy, kCyclic, 1), 1);
  }
}

TEST(SteadyHitRate, IsUnknownWithoutAClosedForm) {
  for (const Policy policy :
       {Policy::kFifo, Policy::kTwoRandom, Policy::kSieve, Policy::kS3Fifo}) {
    EXPECT_FALSE(SteadyHitRate(policy, kPermuted, 0.5).has_value());
    EXPECT_FALSE(SteadyHitRate(policy, Reshuffled(4), 0.5).has_value());
    // But all know what holds nothing, or all.
    EXPECT_EQ(SteadyHitRate(policy, kPermuted, 0), 0);
    EXPECT_EQ(SteadyHitRate(policy, kPermuted, 1.5), 1);
  }
  EXPECT_FALSE(SteadyHitRate(Policy::kTwoRandom, kCyclic, 0.5).has_value());
  EXPECT_FALSE(SteadyHitRate(Policy::kS3Fifo, kCyclic, 0.5).has_value());
}

TEST(SteadyHitRate, NoPolicyHitsMoreThanFits) {
  for (int percent = 2; percent < 100; percent += 2) {
    const double f = percent / 100.0;
    for (const Policy policy : {Policy::kLru, Policy::kRandom}) {
      for (const ReadPattern& pattern : {kCyclic, kPermuted}) {
        EXPECT_LE(Steady(policy, pattern, f), f);
      }
      // Nor more than the best that a node can do alone.
      EXPECT_LE(Steady(policy, Reshuffled(8), f),
                Steady(Policy::kBelady, Reshuffled(8), f));
    }
  }
}

TEST(SteadyHitRate, EachOfSeveralNodesHasItsOwnPart) {
  // Four nodes with an eighth each: half of what each of them reads.
  const ReadPattern four{.order = OrderClass::kPermutation, .nodes = 4};
  EXPECT_DOUBLE_EQ(Steady(Policy::kLru, four, 0.125),
                   Steady(Policy::kLru, kPermuted, 0.5));
  EXPECT_DOUBLE_EQ(Steady(Policy::kNever, four, 0.5), 1);
}

TEST(SteadyHitRate, ReshuffledOverOneNodeIsAPermutation) {
  for (const double f : {0.1, 0.5, 0.9}) {
    for (const Policy policy : {Policy::kLru, Policy::kRandom}) {
      EXPECT_NEAR(Steady(policy, Reshuffled(1), f),
                  Steady(policy, kPermuted, f), 1e-12);
    }
  }
}

TEST(SteadyHitRate, BeladyOfOneNodeOfEight) {
  // q = 7/8. Room m f = 1; the first four terms k q^(k-1) / 8 are 0.125,
  // 0.21875, 0.287109, 0.334961, together 0.965820; the fifth is 0.366364, of
  // which 0.034180 / 0.366364 = 0.093295 fit. Hits: 1 - q^4 = 0.413818 and
  // 0.093295 q^4 / 8 = 0.006836.
  EXPECT_NEAR(Steady(Policy::kBelady, Reshuffled(8), 0.125), 0.420654, 2e-6);
}

TEST(SteadyHitRate, BeladyOfAnAlmostWholeCacheMissesAlmostNothing) {
  const double hit = Steady(Policy::kBelady, Reshuffled(8), 0.9999);
  EXPECT_GT(hit, 0.999);
  EXPECT_LT(hit, 1);
}

// Simulated shares of all reads that go to the store, the first epoch's
// included.
TEST(StoreShare, OfReshuffledReadsIsThatOfSimulations) {
  struct Row {
    std::uint32_t nodes, epochs;
    double share, lru, never, cooperative;
  };
  for (const Row& row :
       {Row{2, 5, .25, .945, .801, .600}, Row{4, 5, .125, .974, .898, .600},
        Row{8, 5, .125, .948, .901, .200},
        Row{8, 60, .125, .936, .877, .017}}) {
    const ReadPattern pattern = Reshuffled(row.nodes);
    const auto share = [&](double hit) { return StoreShare(hit, row.epochs); };
    EXPECT_NEAR(share(Steady(Policy::kLru, pattern, row.share)), row.lru,
                0.001);
    EXPECT_NEAR(share(Steady(Policy::kNever, pattern, row.share)), row.never,
                0.0025);
    EXPECT_NEAR(
        share(NeverEvictHits(pattern, Placement::kCooperative, row.share)
                  .total()),
        row.cooperative, 0.0005);
  }
}

TEST(StoreShare, OfOneEpochIsAll) { EXPECT_EQ(StoreShare(0.9, 1), 1); }

TEST(LruHitRateAt, HitsAreInTheFirstPartOfAPermutation) {
  // 1 - 0.5 / (1 - v)
  EXPECT_DOUBLE_EQ(LruHitRateAt(kPermuted, 0.5, 0), 0.5);
  EXPECT_DOUBLE_EQ(LruHitRateAt(kPermuted, 0.5, 0.2), 0.375);
  EXPECT_DOUBLE_EQ(LruHitRateAt(kPermuted, 0.5, 0.5), 0);
  EXPECT_EQ(LruHitRateAt(kPermuted, 0.5, 0.9), 0);
  EXPECT_EQ(LruHitRateAt(kPermuted, 0.5, 1), 0);
  EXPECT_EQ(LruHitRateAt(kPermuted, 1, 1), 1);
  EXPECT_EQ(LruHitRateAt(kCyclic, 0.5, 0), 0);
}

TEST(LruHitRateAt, MeanOverTheEpochIsTheHitRate) {
  for (const ReadPattern& pattern : {kPermuted, Reshuffled(2), Reshuffled(8)}) {
    for (const double share : {0.1, 0.125, 0.25, 0.5, 0.9}) {
      constexpr int kParts = 4000;
      double sum = 0;
      for (int i = 0; i < kParts; ++i) {
        sum += LruHitRateAt(pattern, share, (i + 0.5) / kParts);
      }
      EXPECT_NEAR(sum / kParts, Steady(Policy::kLru, pattern, share), 1e-5)
          << pattern.nodes << ' ' << share;
    }
  }
}

// One node of several with a cache that evicts at random.
class RandomCache {
 public:
  RandomCache(std::size_t items, std::size_t slots)
      : slot_of_(items, kNone), items_(slots, kNone) {}

  bool Read(std::size_t item) {
    if (slot_of_[item] != kNone) return true;
    const std::size_t slot =
        used_ < items_.size() ? used_++ : random_.Below(items_.size());
    if (items_[slot] != kNone) slot_of_[items_[slot]] = kNone;
    items_[slot] = item;
    slot_of_[item] = slot;
    return false;
  }

 private:
  static constexpr std::size_t kNone = SIZE_MAX;
  std::vector<std::size_t> slot_of_;
  std::vector<std::size_t> items_;
  std::size_t used_ = 0;
  core::CounterRandom random_{11};
};

void Shuffle(std::span<std::size_t> items, core::CounterRandom& random) {
  for (std::size_t i = items.size(); i-- > 1;) {
    std::swap(items[i], items[random.Below(i + 1)]);
  }
}

TEST(SteadyHitRate, RandomReshuffledIsThatOfASimulation) {
  constexpr std::size_t kItems = 2000;
  constexpr int kEpochs = 120;
  constexpr int kFilling = 20;
  for (const std::size_t nodes : {2U, 4U}) {
    RandomCache cache(kItems, kItems / 4);
    core::CounterRandom random(5);
    std::vector<std::size_t> order(kItems);
    std::iota(order.begin(), order.end(), 0U);
    int hits = 0;
    int reads = 0;
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      Shuffle(order, random);
      for (std::size_t i = 0; i < kItems / nodes; ++i) {
        const bool hit = cache.Read(order[i]);
        if (epoch < kFilling) continue;
        hits += hit ? 1 : 0;
        ++reads;
      }
    }
    // Three deviations of 50,000 draws are 0.006; few items, 0.002.
    EXPECT_NEAR(static_cast<double>(hits) / reads,
                Steady(Policy::kRandom,
                       Reshuffled(static_cast<std::uint32_t>(nodes)), 0.25),
                0.008);
  }
}

TEST(NeverEvictHits, PeersHelpOnlyWhereItemsMove) {
  const ReadPattern fixed{.order = OrderClass::kCyclic, .nodes = 4};
  const NodeHits own = NeverEvictHits(fixed, Placement::kCooperative, 0.2);
  EXPECT_DOUBLE_EQ(own.local, 0.8);  // 0.2 of all, 0.8 of its quarter
  EXPECT_EQ(own.peers, 0);

  const NodeHits alone = NeverEvictHits(Reshuffled(4), Placement::kLocal, 0.2);
  EXPECT_DOUBLE_EQ(alone.local, 0.2);
  EXPECT_EQ(alone.peers, 0);

  // Four fifths of all are cached, a quarter of those at each.
  const NodeHits all =
      NeverEvictHits(Reshuffled(4), Placement::kCooperative, 0.2);
  EXPECT_DOUBLE_EQ(all.local, 0.2);
  EXPECT_DOUBLE_EQ(all.peers, 0.6);
  EXPECT_DOUBLE_EQ(
      NeverEvictHits(Reshuffled(4), Placement::kCooperative, 0.3).total(), 1);
}

TEST(HitRateTolerance, IsThreeDeviationsAndAMargin) {
  EXPECT_EQ(HitRateTolerance(Policy::kNever, 0.5, 100, 4), 0);
  // sqrt(0.25 / 400) = 0.025
  EXPECT_NEAR(HitRateTolerance(Policy::kLru, 0.5, 100, 4), 0.077, 1e-12);
}

TEST(ApparentSpeedup, OfAFifthInMemory) {
  EXPECT_DOUBLE_EQ(ApparentSpeedup(0.2), 1.25);
}

TEST(AdmittedShare, OfBeladyOnPermutationsIsTheSimulatedOne) {
  // An independent simulation of 2000 items, epochs 5 to 12.
  struct Row {
    double f, share;
  };
  for (const Row& row : {Row{.1, .2572}, Row{.25, .4635}, Row{.5, .6816},
                         Row{.75, .859}, Row{.9, .9575}}) {
    const auto share = AdmittedShare(Policy::kBelady, kPermuted, row.f);
    ASSERT_TRUE(share.has_value());
    EXPECT_NEAR(*share, row.share, 0.015) << row.f;
  }
}

TEST(AdmittedShare, IsNoneWhereNothingGivesWayAndAllElsewhere) {
  const ReadPattern cyclic{.order = OrderClass::kCyclic, .nodes = 1};
  EXPECT_EQ(AdmittedShare(Policy::kNever, kPermuted, .5), 0);
  EXPECT_EQ(AdmittedShare(Policy::kBelady, cyclic, .5), 0);
  EXPECT_EQ(AdmittedShare(Policy::kBelady, kPermuted, 1), 0);
  EXPECT_EQ(AdmittedShare(Policy::kLru, cyclic, .5), 1);
  EXPECT_FALSE(
      AdmittedShare(Policy::kBelady,
                    {.order = OrderClass::kGlobalReshuffle, .nodes = 2}, .1)
          .has_value());
}

}  // namespace
}  // namespace stoker::cache
