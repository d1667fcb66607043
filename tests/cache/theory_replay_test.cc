// Hit rates found by letting a policy run, against closed forms where there are
// some and against rates of independent simulations where there are none.

#include "cache/theory_replay.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "cache/cache_options.h"
#include "cache/eviction.h"
#include "cache/theory.h"

namespace stoker::cache {
namespace {

double Rate(Policy policy, OrderClass order, double share) {
  return ReplayHits(policy, {.order = order, .nodes = 1}, share).mean;
}

TEST(ReplayHits, AgreeWithClosedForms) {
  for (const OrderClass order : {OrderClass::kCyclic, OrderClass::kPermutation,
                                 OrderClass::kGlobalReshuffle}) {
    for (const std::uint32_t nodes : {1U, 4U}) {
      for (const Policy policy : {Policy::kLru, Policy::kRandom}) {
        for (const double share : {0.05, 0.125, 0.2}) {
          const ReadPattern pattern{.order = order, .nodes = nodes};
          // Long enough that the epochs after the first are as all later ones.
          const double rate =
              ReplayHits(policy, pattern, share, {.items = 2000, .epochs = 100})
                  .mean;
          EXPECT_NEAR(rate, SteadyHitRate(policy, pattern, share).value_or(-1),
                      0.01)
              << PolicyName(policy) << " " << static_cast<int>(order) << " "
              << nodes << " " << share;
        }
      }
    }
  }
}

TEST(ReplayHits, OfACacheThatEvictsNothingAreWhatFits) {
  for (const double share : {0.1, 0.25, 0.5, 0.75, 0.9}) {
    EXPECT_DOUBLE_EQ(Rate(Policy::kNever, OrderClass::kCyclic, share), share);
    EXPECT_DOUBLE_EQ(Rate(Policy::kNever, OrderClass::kPermutation, share),
                     share);
  }
}

TEST(ReplayHits, OfPoliciesWithoutAClosedFormAreThePublishedRates) {
  constexpr std::array<double, 5> kShares{.1, .25, .5, .75, .9};
  constexpr std::array<double, 5> kFifo{.0053, .0378, .193, .571, .828};
  constexpr std::array<double, 5> kTwoRandom{.0071, .0488, .2206, .536, .797};
  constexpr std::array<double, 5> kTwoRandomCyclic{0, .001, .083, .398, .723};
  for (std::size_t i = 0; i < kShares.size(); ++i) {
    const double share = kShares[i];
    EXPECT_NEAR(Rate(Policy::kFifo, OrderClass::kPermutation, share), kFifo[i],
                0.02)
        << share;
    EXPECT_NEAR(Rate(Policy::kTwoRandom, OrderClass::kPermutation, share),
                kTwoRandom[i], 0.02)
        << share;
    EXPECT_NEAR(Rate(Policy::kTwoRandom, OrderClass::kCyclic, share),
                kTwoRandomCyclic[i], 0.02)
        << share;
  }
}

// The policies that spare what was hit lie between LRU and what fits.
TEST(ReplayHits, OfSieveAndS3FifoLieBetweenLruAndWhatFits) {
  for (const double share : {.1, .25, .5, .75, .9}) {
    const double lru = Rate(Policy::kLru, OrderClass::kPermutation, share);
    for (const Policy policy : {Policy::kSieve, Policy::kS3Fifo}) {
      const double rate = Rate(policy, OrderClass::kPermutation, share);
      EXPECT_GT(rate, lru) << PolicyName(policy) << " " << share;
      EXPECT_LE(rate, share) << PolicyName(policy) << " " << share;
    }
  }
}

// LRU hits with max(0, 1 - (1-f) / (1-v)) at v.
TEST(ReplayHits, ByPartFollowTheEpoch) {
  const ReadPattern pattern{.order = OrderClass::kPermutation, .nodes = 1};
  const ReplayedHits hits =
      ReplayHits(Policy::kLru, pattern, 0.5, {.epochs = 100, .parts = 10});
  ASSERT_EQ(hits.by_part.size(), 10U);
  for (std::size_t part = 0; part < 10; ++part) {
    const double middle = (static_cast<double>(part) + 0.5) / 10;
    EXPECT_NEAR(hits.by_part[part], std::max(0.0, 1 - 0.5 / (1 - middle)), 0.02)
        << part;
  }
  EXPECT_NEAR(
      std::accumulate(hits.by_part.begin(), hits.by_part.end(), 0.0) / 10,
      hits.mean, 1e-9);
}

TEST(ReplayHits, AreAllOrNothingAtTheEnds) {
  EXPECT_EQ(Rate(Policy::kSieve, OrderClass::kPermutation, 0), 0);
  EXPECT_EQ(Rate(Policy::kTwoRandom, OrderClass::kPermutation, 1), 1);
  // A node of many may read less than one block an epoch; there are fewer reads
  // than parts then.
  const ReplayedHits few = ReplayHits(
      Policy::kSieve, {.order = OrderClass::kGlobalReshuffle, .nodes = 100},
      0.5, {.items = 16, .epochs = 50, .parts = 4});
  EXPECT_LE(few.mean, 1);
  for (const double hit : few.by_part) {
    EXPECT_EQ(hit, few.mean);  // of the one read there is
  }
}

TEST(ReplayHits, AreTheSameEachTime) {
  EXPECT_EQ(Rate(Policy::kTwoRandom, OrderClass::kPermutation, 0.3),
            Rate(Policy::kTwoRandom, OrderClass::kPermutation, 0.3));
}

}  // namespace
}  // namespace stoker::cache
