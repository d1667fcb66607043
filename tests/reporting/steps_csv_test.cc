#include "reporting/steps_csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "tests/reporting/synthetic_run.h"
#include "tests/support/temp_dir.h"

namespace stoker::reporting {
namespace {

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(StepsCsv, RowsAreOrderedByStepThenRank) {
  const testing::TempDir folder;
  core::Result<StepsCsv> csv = StepsCsv::Make(folder.str() + "/steps.csv");
  ASSERT_TRUE(csv.ok()) << csv.status().ToString();
  ASSERT_TRUE(csv.value()
                  .AddEpoch({testing::SyntheticEpoch(0, 2, true),
                             testing::SyntheticEpoch(1, 2, true)})
                  .ok());
  const std::vector<std::string> lines =
      Lines(testing::Slurp(folder.path() / "steps.csv"));
  // Names, 2 ranks · (4 + 2) steps.
  ASSERT_EQ(lines.size(), 13U);
  EXPECT_EQ(lines[0],
            "epoch,block,step,rank,load_s,compute_s,proc_s,barrier_s,"
            "overshoot_s,samples,bytes,cpu_reading_s,cpu_checking_s,"
            "cpu_rest_s");
  EXPECT_EQ(lines[1],
            "2,1,1,0,1.600000000,0.400000000,2.000000000,0.025000000,"
            "0.000050000,7,7340032,0.030000000,0.020000000,0.010000000");
  EXPECT_EQ(lines[2],
            "2,1,1,1,1.520000000,0.480000000,2.000000000,0.025000000,"
            "0.000050000,7,7340032,0.030000000,0.020000000,0.010000000");
  EXPECT_THAT(lines[3], ::testing::StartsWith("2,1,2,0,"));
  EXPECT_THAT(lines[9], ::testing::StartsWith("2,eval,1,0,"));
  EXPECT_THAT(lines[12], ::testing::StartsWith("2,eval,2,1,"));
}

TEST(StepsCsv, EpochsFollowEachOther) {
  const testing::TempDir folder;
  core::Result<StepsCsv> csv = StepsCsv::Make(folder.str() + "/steps.csv");
  ASSERT_TRUE(csv.ok());
  for (std::uint32_t epoch = 1; epoch <= 2; ++epoch) {
    ASSERT_TRUE(
        csv.value().AddEpoch({testing::SyntheticEpoch(0, epoch, false)}).ok());
    EXPECT_EQ(Lines(testing::Slurp(folder.path() / "steps.csv")).size(),
              1 + 4 * epoch);
  }
}

TEST(StepsCsv, StepsCountFromOneInEachBlock) {
  const testing::TempDir folder;
  metrics::EpochRecord epoch = testing::SyntheticEpoch(0, 1, false);
  epoch.blocks.push_back(epoch.blocks[0]);
  epoch.blocks[1].steps.resize(1);
  core::Result<StepsCsv> csv = StepsCsv::Make(folder.str() + "/steps.csv");
  ASSERT_TRUE(csv.ok());
  ASSERT_TRUE(csv.value().AddEpoch({epoch, epoch}).ok());
  const std::vector<std::string> lines =
      Lines(testing::Slurp(folder.path() / "steps.csv"));
  ASSERT_EQ(lines.size(), 1U + 2 * 4 + 2 * 1);
  EXPECT_THAT(lines[8], ::testing::StartsWith("1,1,4,1,"));
  EXPECT_THAT(lines[9], ::testing::StartsWith("1,2,1,0,"));
  EXPECT_THAT(lines[10], ::testing::StartsWith("1,2,1,1,"));
}

TEST(StepsCsv, RankWithFewerStepsHasFewerRows) {
  const testing::TempDir folder;
  metrics::EpochRecord shorter = testing::SyntheticEpoch(1, 1, false);
  shorter.blocks[0].steps.pop_back();
  core::Result<StepsCsv> csv = StepsCsv::Make(folder.str() + "/steps.csv");
  ASSERT_TRUE(csv.ok());
  ASSERT_TRUE(csv.value()
                  .AddEpoch({testing::SyntheticEpoch(0, 1, false), shorter})
                  .ok());
  EXPECT_EQ(Lines(testing::Slurp(folder.path() / "steps.csv")).size(), 8U);
}

TEST(StepsCsv, FullDiskIsAnError) {
  const core::Result<StepsCsv> csv = StepsCsv::Make("/dev/full");
  EXPECT_EQ(csv.status().code(), core::Code::kIoError);
  EXPECT_THAT(std::string(csv.status().message()),
              ::testing::HasSubstr("/dev/full"));
}

}  // namespace
}  // namespace stoker::reporting
