#include "reporting/hydra_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/reporting/synthetic_run.h"
#include "tests/support/temp_dir.h"

namespace stoker::reporting {
namespace {

TEST(WriteHydraFiles, OverridesAreListedAsTyped) {
  const testing::TempDir folder;
  const HydraFiles files = {
      .config_yaml = "workload: {}\n",
      .workload = "unet3d_h100",
      .overrides = {"++workload.dataset.num_files_train=42000",
                    "++workload.dataset.data_folder=/a b: #c"},
      .output_dir = folder.str(),
      .config_folder = "/w",
      .working_dir = "/",
      .tool_version = "0.1.0"};
  ASSERT_TRUE(WriteHydraFiles(files).ok());
  EXPECT_EQ(testing::Slurp(folder.path() / "dlio_config" / "overrides.yaml"),
            "- workload=unet3d_h100\n"
            "- ++workload.dataset.num_files_train=42000\n"
            "- \"++workload.dataset.data_folder=/a b: #c\"\n");
  EXPECT_EQ(testing::Slurp(folder.path() / "dlio_config" / "config.yaml"),
            "workload: {}\n");
}

TEST(WriteHydraFiles, FileInTheWayIsNamed) {
  HydraFiles files;
  files.output_dir = "/dev/null";
  const core::Status status = WriteHydraFiles(files);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr("/dev/null/dlio_config"));
}

}  // namespace
}  // namespace stoker::reporting
