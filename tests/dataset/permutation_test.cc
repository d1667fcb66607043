#include "dataset/permutation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <vector>

namespace stoker::dataset {
namespace {

std::vector<std::uint64_t> All(std::uint64_t size, std::uint64_t key) {
  const Permutation permutation(size, key);
  std::vector<std::uint64_t> values;
  values.reserve(size);
  for (std::uint64_t i = 0; i < size; ++i) {
    values.push_back(permutation.At(i));
  }
  return values;
}

TEST(Permutation, VisitsEveryNumberOnce) {
  // Around powers of two and four, where the network's width changes.
  for (const std::uint64_t size : {1U, 2U, 3U, 4U, 5U, 15U, 16U, 17U, 63U, 64U,
                                   65U, 1000U, 4096U, 4097U, 65537U}) {
    std::vector<std::uint64_t> values = All(size, 42);
    std::ranges::sort(values);
    std::vector<std::uint64_t> expected(size);
    std::iota(expected.begin(), expected.end(), 0U);
    EXPECT_EQ(values, expected) << size;
  }
}

TEST(Permutation, IsTheSameForAKeyAndAnotherForAnother) {
  EXPECT_EQ(All(1000, 1), All(1000, 1));
  EXPECT_NE(All(1000, 1), All(1000, 2));
}

TEST(Permutation, StaysBelowAHugeSize) {
  // 50 million files of 1251 samples; no list could hold them.
  constexpr std::uint64_t kSize = 50'000'000ULL * 1251;
  const Permutation permutation(kSize, 7);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_LT(permutation.At(i), kSize);
    EXPECT_LT(permutation.At(kSize - 1 - i), kSize);
  }
}

TEST(Permutation, EveryNumberIsFirstAboutEquallyOften) {
  // 10,000 keys over ten numbers: 1,000 each, and five standard deviations of
  // sqrt(10,000 * 0.1 * 0.9) = 30.
  std::vector<int> first(10);
  std::vector<int> last(10);
  for (std::uint64_t key = 0; key < 10'000; ++key) {
    const Permutation permutation(10, key);
    ++first[permutation.At(0)];
    ++last[permutation.At(9)];
  }
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_NEAR(first[i], 1000, 150) << i;
    EXPECT_NEAR(last[i], 1000, 150) << i;
  }
}

TEST(Permutation, LeavesNoNeighboursTogether) {
  // A random order has on average two pairs i, i ± 1 side by side.
  const std::vector<std::uint64_t> values = All(10'000, 3);
  int together = 0;
  for (std::size_t i = 1; i < values.size(); ++i) {
    const std::uint64_t step = values[i] > values[i - 1]
                                   ? values[i] - values[i - 1]
                                   : values[i - 1] - values[i];
    together += step == 1 ? 1 : 0;
  }
  EXPECT_LT(together, 12);
}

TEST(Permutation, DisplacesByAThirdOnAverage) {
  // The mean distance of two random numbers below N is N / 3.
  const std::vector<std::uint64_t> values = All(30'000, 9);
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += std::abs(static_cast<double>(values[i]) - static_cast<double>(i));
  }
  EXPECT_NEAR(sum / 30'000, 10'000, 300);
}

TEST(Permutation, PositionOfIsTheInverse) {
  for (const std::uint64_t size : {1U, 2U, 3U, 17U, 64U, 1000U}) {
    const Permutation permutation(size, 5);
    for (std::uint64_t i = 0; i < size; ++i) {
      EXPECT_EQ(permutation.PositionOf(permutation.At(i)), i) << size;
    }
  }
}

}  // namespace
}  // namespace stoker::dataset
