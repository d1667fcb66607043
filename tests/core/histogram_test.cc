#include "core/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace stoker::core {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

// The definition, on all values: the ceil(fraction · n)-th smallest.
std::int64_t NearestRank(std::vector<std::int64_t> values, double fraction) {
  std::ranges::sort(values);
  const auto n = static_cast<double>(values.size());
  const double rank = std::max(1.0, std::ceil(fraction * n));
  return values[static_cast<std::size_t>(rank) - 1];
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::int64_t value = 0; value <= 127; ++value) histogram.Add(value);
  // The 64th and the 127th of 128.
  EXPECT_EQ(histogram.Quantile(0.5), 63);
  EXPECT_EQ(histogram.Quantile(0.99), 126);
  EXPECT_EQ(histogram.smallest(), 0);
  EXPECT_EQ(histogram.largest(), 127);
}

TEST(Histogram, QuantilesAreWithinOnePercent) {
  // Waits from 100 ns to 100 s, evenly in their logarithm.
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> exponent(2, 11);
  Histogram histogram;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<std::int64_t>(std::pow(10, exponent(random))));
    histogram.Add(values.back());
  }
  for (const double fraction : {0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto exact = static_cast<double>(NearestRank(values, fraction));
    EXPECT_NEAR(static_cast<double>(histogram.Quantile(fraction)), exact,
                0.01 * exact)
        << fraction;
  }
}

TEST(Histogram, EveryValueIsWithinItsBucket) {
  for (int power = 0; power < 63; ++power) {
    const std::int64_t base = std::int64_t{1} << power;
    for (const std::int64_t value :
         {base - 1, base, base + 1, base + base / 3, base + (base - 1)}) {
      Histogram histogram;
      histogram.Add(value);
      const std::vector<Histogram::Bucket> buckets = histogram.Buckets();
      ASSERT_EQ(buckets.size(), 1U);
      EXPECT_LE(buckets[0].lowest, value);
      EXPECT_GE(buckets[0].highest, value);
      // A sixty-fourth of the lowest value at most.
      EXPECT_LE(buckets[0].highest - buckets[0].lowest, buckets[0].lowest / 64);
    }
  }
}

TEST(Histogram, BucketsAreAscendingWithoutGapsBetweenNeighbours) {
  Histogram histogram;
  for (std::int64_t value = 0; value < 5000; ++value) histogram.Add(value);
  std::int64_t next = 0;
  for (const Histogram::Bucket& bucket : histogram.Buckets()) {
    EXPECT_EQ(bucket.lowest, next);
    next = bucket.highest + 1;
  }
  EXPECT_GE(next, 5000);
}

TEST(Histogram, OfNothingIsZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.Quantile(0.99), 0);
  EXPECT_TRUE(histogram.Buckets().empty());
}

TEST(Histogram, TakesTheLargestNumberAndNegativesAsZero) {
  Histogram histogram;
  histogram.Add(kMost);
  histogram.Add(-5);
  EXPECT_EQ(histogram.largest(), kMost);
  EXPECT_EQ(histogram.smallest(), 0);
  EXPECT_EQ(histogram.Buckets().back().highest, kMost);
}

// Both halves of the same values, merged, are the histogram of all of them.
TEST(Histogram, MergingIsAddingTheValues) {
  Histogram all;
  Histogram halves[2];
  for (std::int64_t i = 0; i < 5000; ++i) {
    const std::int64_t value = i * i * 37 + 11;
    all.Add(value);
    halves[i % 2].Add(value);
  }
  Histogram merged;
  merged.Merge(halves[0]);
  ASSERT_TRUE(merged.MergeBuckets(halves[1].Buckets(), halves[1].smallest(),
                                  halves[1].largest()));
  EXPECT_EQ(merged.count(), 5000U);
  EXPECT_EQ(merged.smallest(), 11);
  EXPECT_EQ(merged.largest(), 4999 * 4999 * 37 + 11);
  for (const double fraction : {0.01, 0.5, 0.99, 0.999, 1.0}) {
    EXPECT_EQ(merged.Quantile(fraction), all.Quantile(fraction)) << fraction;
  }
  const auto expected = all.Buckets();
  const auto buckets = merged.Buckets();
  ASSERT_EQ(buckets.size(), expected.size());
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    EXPECT_EQ(buckets[i].lowest, expected[i].lowest);
    EXPECT_EQ(buckets[i].count, expected[i].count);
  }
}

TEST(Histogram, MergingNothingChangesNothing) {
  Histogram histogram;
  histogram.Add(7);
  histogram.Merge(Histogram());
  EXPECT_TRUE(histogram.MergeBuckets({}, 0, 0));
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.smallest(), 7);
}

TEST(Histogram, WhatIsNoHistogramIsRefused) {
  using Bucket = Histogram::Bucket;
  const Bucket good{.lowest = 128, .highest = 129, .count = 3};
  const Bucket inside{.lowest = 129, .highest = 129, .count = 3};
  const Bucket empty{.lowest = 200, .highest = 201, .count = 0};
  Histogram histogram;
  EXPECT_FALSE(histogram.MergeBuckets(std::vector{inside}, 129, 129));
  EXPECT_FALSE(histogram.MergeBuckets(std::vector{good, empty}, 128, 200));
  EXPECT_FALSE(histogram.MergeBuckets(std::vector{good, good}, 128, 128));
  EXPECT_FALSE(histogram.MergeBuckets(std::vector{good}, 127, 128));
  EXPECT_FALSE(histogram.MergeBuckets(std::vector{good}, 128, 200));
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_TRUE(histogram.MergeBuckets(std::vector{good}, 128, 129));
  EXPECT_EQ(histogram.count(), 3U);
}

}  // namespace
}  // namespace stoker::core
