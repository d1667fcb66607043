// On real files: hard links, and what lies in the folders after a failure.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "storage/fault_backend.h"
#include "tests/generators/scenario.h"
#include "tests/support/temp_dir.h"

namespace stoker::generators {
namespace {

namespace fs = std::filesystem;

using testing::GenerateTest;
using ::testing::Key;
using testing::NpzPlan;
using testing::TfrecordPlan;
using ::testing::UnorderedElementsAre;

class GenerateFiles : public GenerateTest {
 protected:
  void SetUp() override { Open(Uri()); }
  std::string Uri() const { return "file://" + temp_.str() + "/data"; }
  fs::path Path(std::string_view name) const {
    return temp_.path() / "data" / name;
  }
  // Every regular file below the data folder, temporary ones included.
  std::vector<std::string> OnDisk() const {
    std::vector<std::string> names;
    for (const auto& entry :
         fs::recursive_directory_iterator(temp_.path() / "data")) {
      if (entry.is_regular_file()) {
        names.push_back(
            fs::relative(entry.path(), temp_.path() / "data").string());
      }
    }
    return names;
  }

  stoker::testing::TempDir temp_;
};

TEST_F(GenerateFiles, MakesBothFoldersEvenIfEmpty) {
  GeneratePlan plan = NpzPlan();
  plan.valid.total = 0;
  ASSERT_TRUE(Run(plan).ok());
  EXPECT_TRUE(fs::is_directory(Path("train")));
  EXPECT_TRUE(fs::is_directory(Path("valid")));
}

TEST_F(GenerateFiles, HaveTheSameBytesAsInMemory) {
  GeneratePlan plan = TfrecordPlan();
  plan.train.subfolders = 3;
  for (const Outcome& outcome : RunOn(3, plan)) {
    ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  }
  const Objects train = All("train/");
  const Objects index = All("index/");
  Open("mem:");
  ASSERT_TRUE(Run(plan).ok());
  EXPECT_EQ(train, All("train/"));
  EXPECT_EQ(index, All("index/"));
}

TEST_F(GenerateFiles, LinkedNamesAreHardLinks) {
  GeneratePlan plan = NpzPlan();
  plan.train.total = 8;
  plan.content.distinct = 3;
  for (const Outcome& outcome : RunOn(2, plan)) {
    ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  }
  // 0 3 6 | 1 4 7 | 2 5
  EXPECT_EQ(fs::hard_link_count(Path("train/img_0_of_8.npz")), 3U);
  EXPECT_EQ(fs::hard_link_count(Path("train/img_7_of_8.npz")), 3U);
  EXPECT_EQ(fs::hard_link_count(Path("train/img_5_of_8.npz")), 2U);
  EXPECT_TRUE(fs::equivalent(Path("train/img_7_of_8.npz"),
                             Path("train/img_1_of_8.npz")));
  EXPECT_EQ(fs::hard_link_count(Path("valid/img_0_of_2.npz")), 1U);
}

TEST_F(GenerateFiles, AnInterruptedRunLeavesWholeFilesAndTheNextCompletes) {
  auto file = storage::OpenBackend(Uri());
  ASSERT_TRUE(file.ok());
  auto fault = storage::NewFaultBackend(
      {{.operation = storage::FaultRule::Operation::kWrite,
        .object = "train/img_3",
        .action = storage::FaultRule::Error{core::Status::FromErrno(ENOSPC,
                                                                    "write")}}},
      std::move(file).value());
  ASSERT_TRUE(fault.ok());
  backend_ = std::make_unique<testing::TunedBackend>(std::move(fault).value());
  ASSERT_EQ(Run(NpzPlan()).status().os_error(), ENOSPC);
  EXPECT_THAT(OnDisk(), UnorderedElementsAre("stoker_dataset.partial.json",
                                             "train/img_0_of_5.npz",
                                             "train/img_1_of_5.npz",
                                             "train/img_2_of_5.npz"));

  Open(Uri());
  const Outcome made = Run(NpzPlan());
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_EQ(made.value().kept, 3U);
  EXPECT_EQ(backend_->creates, 4 + 2);  // files, marker, manifest
  EXPECT_EQ(OnDisk().size(), 8U);
  const Objects train = All("train/");
  Open("mem:");
  ASSERT_TRUE(Run(NpzPlan()).ok());
  EXPECT_EQ(train, All("train/"));
}

TEST_F(GenerateFiles, AreDiscoveredByARun) {
  GeneratePlan plan = NpzPlan();
  plan.train.subfolders = 2;
  plan.content.distinct = 2;
  ASSERT_TRUE(Run(plan).ok());
  const auto found = dataset::Discover(*backend_,
                                       {.format = "npz",
                                        .files_train = 5,
                                        .files_eval = 2,
                                        .subfolders_train = 2,
                                        .subfolders_eval = 0},
                                       clock_);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found.value().train, plan.train);
  EXPECT_EQ(found.value().valid, plan.valid);
  ASSERT_TRUE(found.value().manifest.has_value());
  EXPECT_EQ(found.value().manifest->content, plan.content);
  EXPECT_TRUE(found.value().warnings.empty());
}

TEST_F(GenerateFiles, AreFoundWholeBySecondRun) {
  GeneratePlan plan = NpzPlan();
  plan.train.subfolders = 2;
  plan.content.distinct = 2;
  ASSERT_TRUE(Run(plan).ok());
  const Outcome again = Run(plan);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_TRUE(again.value().reused);
}

}  // namespace
}  // namespace stoker::generators
