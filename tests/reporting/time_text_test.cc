#include "reporting/time_text.h"

#include <gtest/gtest.h>

#include "tests/reporting/synthetic_run.h"
#include "tests/reporting/zone.h"

namespace stoker::reporting {
namespace {

// 12:00:00.25 UTC is 14:30 in the test's zone.
TEST(LocalTime, HasMicrosecondsAndNoZone) {
  testing::UseTestZone();
  EXPECT_EQ(LocalTime(testing::SyntheticAnchor().wall),
            "2025-03-01T14:30:00.250000");
}

TEST(ZonedTime, EndsWithTheOffset) {
  testing::UseTestZone();
  EXPECT_EQ(ZonedTime(testing::SyntheticAnchor().wall),
            "2025-03-01T14:30:00.250000+02:30");
}

TEST(FolderTime, IsWholeSeconds) {
  testing::UseTestZone();
  EXPECT_EQ(FolderTime(testing::SyntheticAnchor().wall), "20250301_143000");
}

TEST(LocalTime, NanosecondsAreCutNotRounded) {
  testing::UseTestZone();
  const metrics::WallTime at(std::chrono::nanoseconds(1'999'999'999));
  EXPECT_EQ(LocalTime(at), "1970-01-01T02:30:01.999999");
}

}  // namespace
}  // namespace stoker::reporting
