#include "storage/latency_book.h"

#include <gtest/gtest.h>

namespace stoker::storage {
namespace {

TEST(LatencyBook, SizeClassesEndAtPowersOfSixteenFrom4KiB) {
  EXPECT_EQ(SizeClassOf(0), 0U);
  EXPECT_EQ(SizeClassOf(4096), 0U);
  EXPECT_EQ(SizeClassOf(4097), 1U);
  EXPECT_EQ(SizeClassOf(65536), 1U);
  EXPECT_EQ(SizeClassOf(65537), 2U);
  EXPECT_EQ(SizeClassOf(1 << 20), 2U);
  EXPECT_EQ(SizeClassOf((1 << 20) + 1), 3U);
  EXPECT_EQ(SizeClassOf(16 << 20), 3U);
  EXPECT_EQ(SizeClassOf((16 << 20) + 1), 4U);
  EXPECT_EQ(SizeClassOf(1ULL << 40), 4U);
}

TEST(LatencyBook, KindsAndClassesAreApartAndMergeExactly) {
  LatencyBook one;
  LatencyBook other;
  one.Add(LatencyKind::kRead, 100, core::Nanos(10));
  one.Add(LatencyKind::kRead, 100'000, core::Nanos(20));
  other.Add(LatencyKind::kRead, 100, core::Nanos(30));
  other.Add(LatencyKind::kSize, 0, core::Nanos(40));
  one.Merge(other);
  EXPECT_EQ(one.Find(LatencyKind::kRead, 0)->count(), 2U);
  EXPECT_EQ(one.Find(LatencyKind::kRead, 0)->largest(), 30);
  EXPECT_EQ(one.Find(LatencyKind::kRead, 2)->count(), 1U);
  EXPECT_EQ(one.Find(LatencyKind::kRead, 4), nullptr);
  EXPECT_EQ(one.Find(LatencyKind::kSize, 0)->smallest(), 40);
  EXPECT_EQ(one.Of(LatencyKind::kRead).count(), 3U);
  EXPECT_EQ(one.Of(LatencyKind::kFirstByte).count(), 0U);
}

}  // namespace
}  // namespace stoker::storage
