#include "core/units.h"

#include <gtest/gtest.h>

namespace stoker::core {
namespace {

TEST(FormatBytes, UsesPowersOf1024) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(512), "512 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.50 KiB");
  EXPECT_EQ(FormatBytes(static_cast<double>(kMiB)), "1.00 MiB");
  // 146600628 / 1048576 = 139.809…
  EXPECT_EQ(FormatBytes(146600628), "139.81 MiB");
  EXPECT_EQ(FormatBytes(static_cast<double>(2 * kTiB)), "2.00 TiB");
}

TEST(FormatBytes, StaysAtTheLargestUnit) {
  // 2^70 bytes are 2^20 PiB.
  EXPECT_EQ(FormatBytes(0x1p70), "1048576.00 PiB");
}

TEST(FormatSeconds, ChoosesAUnitByLength) {
  EXPECT_EQ(FormatSeconds(0), "0 us");
  EXPECT_EQ(FormatSeconds(0.00035), "350 us");
  EXPECT_EQ(FormatSeconds(0.0035), "3.50 ms");
  EXPECT_EQ(FormatSeconds(12.3), "12.30 s");
  EXPECT_EQ(FormatSeconds(245), "4 min 05 s");
  EXPECT_EQ(FormatSeconds(7380), "2 h 03 min");
}

TEST(FormatCount, GroupsByThousands) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatCount(18446744073709551615ULL), "18,446,744,073,709,551,615");
}

TEST(Units, ConvertToBinaryMultiples) {
  EXPECT_DOUBLE_EQ(ToMiB(3.0 * 1048576.0), 3.0);
  EXPECT_DOUBLE_EQ(ToGiB(1.5 * 1073741824.0), 1.5);
}

}  // namespace
}  // namespace stoker::core
