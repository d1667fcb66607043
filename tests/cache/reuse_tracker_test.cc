#include "cache/reuse_tracker.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

namespace stoker::cache {
namespace {

Fingerprint TrackedKey(std::uint64_t block) {
  return {.high = block, .low = 7};
}

TEST(ReuseTracker, CountsTheDifferentBlocksSince) {
  ReuseTracker tracker(8);
  // a b c b b a, of 10, 20, 30 bytes.
  for (const std::uint64_t block : {1U, 2U, 3U}) {
    const std::optional<Reuse> first =
        tracker.Touch(TrackedKey(block), 10 * block);
    ASSERT_TRUE(first.has_value());
    EXPECT_TRUE(first->first);
    EXPECT_EQ(first->weight, 1U);
  }
  std::optional<Reuse> reuse = tracker.Touch(TrackedKey(2), 20);
  ASSERT_TRUE(reuse.has_value());
  EXPECT_FALSE(reuse->first);
  EXPECT_EQ(reuse->distance_bytes, 50U);  // c and b itself
  EXPECT_EQ(reuse->arrival_bytes, 30U);   // a and b
  reuse = tracker.Touch(TrackedKey(2), 20);
  ASSERT_TRUE(reuse.has_value());
  EXPECT_EQ(reuse->distance_bytes, 20U);
  reuse = tracker.Touch(TrackedKey(1), 10);
  ASSERT_TRUE(reuse.has_value());
  EXPECT_EQ(reuse->distance_bytes, 60U);  // b once, c and a
  EXPECT_EQ(reuse->arrival_bytes, 10U);
  EXPECT_EQ(tracker.working_set_bytes(), 60U);
  EXPECT_EQ(tracker.sampled_keys(), 3U);
}

TEST(ReuseTracker, ABlockThatGrewCountsWithItsNewSize) {
  ReuseTracker tracker(8);
  tracker.Touch(TrackedKey(1), 10);
  tracker.Touch(TrackedKey(2), 20);
  tracker.Touch(TrackedKey(1), 15);
  EXPECT_EQ(tracker.working_set_bytes(), 35U);
  const std::optional<Reuse> reuse = tracker.Touch(TrackedKey(2), 20);
  ASSERT_TRUE(reuse.has_value());
  EXPECT_EQ(reuse->distance_bytes, 35U);
}

TEST(ReuseTracker, KeysThatDifferInHalfOfTheirBitsAreDifferent) {
  ReuseTracker tracker(8);
  tracker.Touch({.high = 1, .low = 2}, 1);
  tracker.Touch({.high = 2, .low = 2}, 1);
  tracker.Touch({.high = 1, .low = 1}, 1);
  EXPECT_EQ(tracker.sampled_keys(), 3U);
}

TEST(ReuseTracker, NeverHoldsMoreKeysThanItHasRoomFor) {
  constexpr std::uint32_t kMost = 100;
  ReuseTracker tracker(kMost);
  for (std::uint64_t block = 0; block < 10'000; ++block) {
    tracker.Touch(TrackedKey(block), 1);
    EXPECT_LE(tracker.sampled_keys(), kMost);
  }
  EXPECT_LT(tracker.sample_rate(), 0.02);
  EXPECT_GT(tracker.sample_rate(), 0.002);
}

TEST(ReuseTracker, ASampledBlockIsSampledEachTime) {
  ReuseTracker tracker(64);
  for (std::uint64_t block = 0; block < 1000; ++block) {
    tracker.Touch(TrackedKey(block), 1);
  }
  // No new blocks: the sample stays, and stands for all by its weight.
  const std::uint64_t weight =
      static_cast<std::uint64_t>(1 / tracker.sample_rate());
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::uint32_t sampled = 0;
    for (std::uint64_t block = 0; block < 1000; ++block) {
      const std::optional<Reuse> reuse = tracker.Touch(TrackedKey(block), 1);
      if (!reuse) continue;
      ++sampled;
      EXPECT_FALSE(reuse->first);
      EXPECT_EQ(reuse->weight, weight);
      // All others of the sample were read since.
      EXPECT_EQ(reuse->distance_bytes,
                (tracker.sampled_keys() - 1) * weight + 1);
    }
    EXPECT_EQ(sampled, tracker.sampled_keys());
  }
}

}  // namespace
}  // namespace stoker::cache
