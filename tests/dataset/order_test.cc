#include "dataset/order.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/random.h"

namespace stoker::dataset {
namespace {

TEST(StepsPerEpoch, DropsTheRemainder) {
  // ⌊1251 · 2557 / 400 / 16⌋ = ⌊499.8⌋
  EXPECT_EQ(StepsPerEpoch({.files = 2557,
                           .samples_per_file = 1251,
                           .batch_size = 400,
                           .ranks = 16},
                          0),
            499U);
  EXPECT_EQ(StepsPerEpoch({.files = 168, .batch_size = 7, .ranks = 4}, -1), 6U);
  EXPECT_EQ(StepsPerEpoch({.files = 5, .batch_size = 7, .ranks = 1}, 0), 0U);
}

TEST(StepsPerEpoch, IsLimitedOnlyDownwards) {
  const OrderSpec spec = {.files = 168, .batch_size = 7, .ranks = 4};
  EXPECT_EQ(StepsPerEpoch(spec, 5), 5U);
  EXPECT_EQ(StepsPerEpoch(spec, 7), 6U);
}

TEST(ContiguousShare, StartsAtMultiplesOfTheRoundedUpShare) {
  const OrderSpec spec = {.files = 168, .batch_size = 7, .ranks = 4};
  const Share share = ContiguousShare(spec, 1, 6);
  EXPECT_EQ(share.first, 42U);
  EXPECT_EQ(share.count, 42U);
  EXPECT_FALSE(ReferenceShareIsUneven(spec, 6));
}

TEST(ContiguousShare, KeepsTheReferencesStartWhereTheLastRankHasEnough) {
  // ⌈10 / 4⌉ = 3: ranks own 3, 3, 3, 1, enough for one batch of 1.
  const OrderSpec spec = {.files = 10, .batch_size = 1, .ranks = 4};
  EXPECT_FALSE(ReferenceShareIsUneven(spec, 1));
  EXPECT_EQ(ContiguousShare(spec, 3, 1).first, 9U);
  EXPECT_EQ(ContiguousShare(spec, 3, 1).count, 1U);
  EXPECT_EQ(ContiguousShare(spec, 2, 1).first, 6U);
  // Two steps are possible (10 / 1 / 4 = 2.5), but not for the last rank.
  EXPECT_TRUE(ReferenceShareIsUneven(spec, 2));
  EXPECT_EQ(ContiguousShare(spec, 3, 2).first, 6U);
  EXPECT_EQ(ContiguousShare(spec, 3, 2).count, 2U);
}

TEST(ContiguousShare, GivesEqualBatchesWhereTheReferenceWouldHang) {
  // The reference owns 49, 49, 47: 3, 3 and 2 batches of 16 for 3 steps.
  const OrderSpec spec = {.files = 145, .batch_size = 16, .ranks = 3};
  ASSERT_EQ(StepsPerEpoch(spec, 0), 3U);
  EXPECT_TRUE(ReferenceShareIsUneven(spec, 3));
  EXPECT_FALSE(ReferenceShareIsUneven(spec, 2));
  for (std::uint64_t rank = 0; rank < 3; ++rank) {
    const Share share = ContiguousShare(spec, rank, 3);
    EXPECT_EQ(share.first, rank * 48);
    EXPECT_EQ(share.count, 48U);
  }
}

TEST(ContiguousShare, CoversMoreRanksThanSamples) {
  const OrderSpec spec = {.files = 2, .batch_size = 1, .ranks = 5};
  EXPECT_EQ(ContiguousShare(spec, 1, 0).count, 1U);
  EXPECT_EQ(ContiguousShare(spec, 4, 0).count, 0U);
  EXPECT_EQ(ContiguousShare(spec, 4, 0).first, 2U);
}

OrderSpec RandomSpec(core::CounterRandom& random) {
  return {.files = random.Below(3000),
          .samples_per_file = 1 + random.Below(20),
          .batch_size = 1 + random.Below(50),
          .ranks = 1 + random.Below(40)};
}

TEST(ContiguousShare, IsDisjointAndLargeEnoughForAnySpec) {
  core::CounterRandom random(2024);
  for (int round = 0; round < 2000; ++round) {
    const OrderSpec spec = RandomSpec(random);
    const std::uint64_t steps =
        StepsPerEpoch(spec, static_cast<std::int64_t>(random.Below(10)));
    std::uint64_t end = 0;
    for (std::uint64_t rank = 0; rank < spec.ranks; ++rank) {
      const Share share = ContiguousShare(spec, rank, steps);
      ASSERT_GE(share.first, end);
      ASSERT_GE(share.count, steps * spec.batch_size);
      end = share.first + share.count;
    }
    ASSERT_LE(end, spec.samples());
  }
}

TEST(TensorflowShare, DealsFilesModuloTheRanks) {
  // Files 0 … 9 on 4 ranks: rank 1 has 1, 5, 9.
  const OrderSpec spec = {.files = 10, .samples_per_file = 3, .ranks = 4};
  const ModuloShare share = TensorflowShare(spec, 1);
  EXPECT_FALSE(share.by_record);
  EXPECT_EQ(share.files, 3U);
  EXPECT_EQ(share.records, 9U);
  EXPECT_EQ(share.File(0), 1U);
  EXPECT_EQ(share.File(2), 9U);
  EXPECT_EQ(TensorflowShare(spec, 2).files, 2U);
}

TEST(TensorflowShare, DealsRecordsWhereFilesAreFewerThanRanks) {
  // 6 records on 4 ranks: 0 4 | 1 5 | 2 | 3; every rank reads both files.
  const OrderSpec spec = {.files = 2, .samples_per_file = 3, .ranks = 4};
  for (std::uint64_t rank = 0; rank < 4; ++rank) {
    const ModuloShare share = TensorflowShare(spec, rank);
    EXPECT_TRUE(share.by_record);
    EXPECT_EQ(share.files, 2U);
    EXPECT_EQ(share.File(1), 1U);
    EXPECT_EQ(share.records, rank < 2 ? 2U : 1U);
  }
}

TEST(TensorflowShare, LeavesARankWithoutRecordsWhereThereAreTooFew) {
  EXPECT_EQ(TensorflowShare({.files = 1, .ranks = 3}, 2).records, 0U);
  EXPECT_EQ(TensorflowShare({.files = 0, .ranks = 3}, 0).records, 0U);
}

TEST(TensorflowShare, CoversEveryFileOnceForAnySpec) {
  core::CounterRandom random(77);
  for (int round = 0; round < 500; ++round) {
    const OrderSpec spec = RandomSpec(random);
    std::vector<int> seen(spec.files, 0);
    std::uint64_t records = 0;
    for (std::uint64_t rank = 0; rank < spec.ranks; ++rank) {
      const ModuloShare share = TensorflowShare(spec, rank);
      records += share.records;
      for (std::uint64_t i = 0; i < share.files; ++i) {
        ASSERT_LT(share.File(i), spec.files);
        ++seen[share.File(i)];
      }
    }
    ASSERT_EQ(records, spec.samples());
    const int times =
        spec.files < spec.ranks ? static_cast<int>(spec.ranks) : 1;
    ASSERT_EQ(seen, std::vector<int>(spec.files, times));
  }
}

}  // namespace
}  // namespace stoker::dataset
