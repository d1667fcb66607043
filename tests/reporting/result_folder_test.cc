#include "reporting/result_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/reporting/synthetic_run.h"
#include "tests/reporting/zone.h"
#include "tests/support/temp_dir.h"

namespace stoker::reporting {
namespace {

FolderRequest Request(const std::string& results) {
  testing::UseTestZone();
  return {.results_dir = results,
          .program = "training",
          .model = "unet3d",
          .command = "run",
          .time = testing::SyntheticAnchor().wall};
}

TEST(MakeResultFolder, PathSaysWhatAndWhen) {
  const testing::TempDir root;
  const core::Result<ResultFolder> folder =
      MakeResultFolder(Request(root.str() + "/new/results"));
  ASSERT_TRUE(folder.ok()) << folder.status().ToString();
  EXPECT_EQ(folder.value().path,
            root.str() + "/new/results/training/unet3d/run/20250301_143000");
  EXPECT_EQ(folder.value().run_time, "20250301_143000");
  EXPECT_TRUE(std::filesystem::is_directory(folder.value().path));
}

TEST(MakeResultFolder, RunsOfTheSameSecondGetTheirOwn) {
  const testing::TempDir root;
  for (const char* expected :
       {"20250301_143000", "20250301_143000_1", "20250301_143000_2"}) {
    const core::Result<ResultFolder> folder =
        MakeResultFolder(Request(root.str()));
    ASSERT_TRUE(folder.ok());
    EXPECT_EQ(folder.value().run_time, expected);
  }
}

TEST(MakeResultFolder, FileInTheWayIsNamed) {
  const testing::TempDir root;
  std::ofstream(root.path() / "training") << "a file";
  const core::Result<ResultFolder> folder =
      MakeResultFolder(Request(root.str()));
  ASSERT_FALSE(folder.ok());
  EXPECT_THAT(std::string(folder.status().message()),
              ::testing::AllOf(::testing::HasSubstr(root.str() + "/training"),
                               ::testing::HasSubstr("--results-dir")));
}

TEST(ResultFiles, HaveTheReferencesNames) {
  EXPECT_EQ(RankOutputFile(3), "3_output.json");
  EXPECT_EQ(RankStatsFile(12), "12_per_epoch_stats.json");
  EXPECT_EQ(MetadataFile("training", "20250301_143000"),
            "training_20250301_143000_metadata.json");
  EXPECT_EQ(CaptureFile("training", "run", "stderr"),
            "training_run.stderr.log");
}

}  // namespace
}  // namespace stoker::reporting
