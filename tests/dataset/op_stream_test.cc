#include "dataset/op_stream.h"

#include <gtest/gtest.h>

#include <array>

namespace stoker::dataset {
namespace {

constexpr SampleOp kFirst = {.epoch = 1, .file = 42, .bytes = 1000};
constexpr SampleOp kSecond = {.epoch = 1, .file = 43, .bytes = 2000};

// The expected values were computed from the definition in the header by a few
// lines of Python with arbitrary-precision integers.

TEST(OpStreamHash, FollowsItsDefinition) {
  OpStreamHash hash;
  EXPECT_EQ(hash.value(), 0xe220a8397b1dcdafU);
  hash.Add(kFirst);
  EXPECT_EQ(hash.value(), 0x4f669f291d2ff16dU);
  hash.Add(kSecond);
  EXPECT_EQ(hash.value(), 0x1c4289aa7f987a29U);
  EXPECT_EQ(hash.count(), 2U);
}

TEST(OpStreamHash, DependsOnTheOrder) {
  OpStreamHash forward;
  forward.Add(kFirst);
  forward.Add(kSecond);
  OpStreamHash backward;
  backward.Add(kSecond);
  backward.Add(kFirst);
  EXPECT_NE(forward.value(), backward.value());
}

TEST(OpStreamHash, DependsOnEveryField) {
  OpStreamHash plain;
  plain.Add({});
  for (const SampleOp& op :
       {SampleOp{.epoch = 1}, SampleOp{.rank = 1}, SampleOp{.step = 1},
        SampleOp{.file = 1}, SampleOp{.sample = 1}, SampleOp{.bytes = 1}}) {
    OpStreamHash hash;
    hash.Add(op);
    EXPECT_NE(hash.value(), plain.value());
  }
}

TEST(CombineHashes, ChainsTheRanksInOrder) {
  const std::array<std::uint64_t, 2> ranks = {0x4f669f291d2ff16d,
                                              0x1c4289aa7f987a29};
  EXPECT_EQ(CombineHashes(ranks), "5f390b5d017896bc");
  const std::array<std::uint64_t, 2> swapped = {ranks[1], ranks[0]};
  EXPECT_NE(CombineHashes(swapped), CombineHashes(ranks));
}

TEST(CombineHashes, OfNoRankIsTheStart) {
  EXPECT_EQ(CombineHashes({}), "e220a8397b1dcdaf");
}

}  // namespace
}  // namespace stoker::dataset
