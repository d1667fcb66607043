#include "run/internal/training_checkpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/model.h"
#include "storage/registry.h"
#include "tests/run/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::run::internal {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Workload;

CheckpointPlan PlanOf(std::vector<std::string> overrides, std::uint32_t ranks,
                      bool compat = false) {
  const auto plan = PlanTrainingCheckpoints(
      Workload("unet3d_h100", std::move(overrides), compat), ranks, 3);
  EXPECT_TRUE(plan.ok()) << plan.status().ToString();
  return plan.ok() ? plan.value() : CheckpointPlan{};
}

// Names of all files, rank by rank.
std::vector<std::string> FilesOf(const CheckpointPlan& plan) {
  std::vector<std::string> names;
  for (std::uint32_t rank = 0; rank < plan.layout.ranks; ++rank) {
    for (const checkpoint::ShardFile& file :
         checkpoint::FilesOf(plan.model, plan.layout, rank)) {
      names.push_back(file.name);
    }
  }
  return names;
}

TEST(PlanTrainingCheckpoints, RankZeroSavesAModelWithoutShards) {
  const CheckpointPlan plan = PlanOf({}, 3);

  EXPECT_EQ(plan.saves, 3U);
  EXPECT_EQ(plan.restores, 0U);
  EXPECT_THAT(FilesOf(plan), ElementsAre("model_states-0.pt"));
  EXPECT_EQ(plan.reported_bytes, 499153191U);  // unet3d's model_size
  EXPECT_THAT(plan.warnings, IsEmpty());
}

TEST(PlanTrainingCheckpoints, AllRanksSaveFilesOfTheirOwn) {
  const CheckpointPlan plan = PlanOf({"checkpoint.type=all_ranks"}, 3);

  EXPECT_THAT(FilesOf(plan),
              ElementsAre("model_states-0.pt", "model_states-1.pt",
                          "model_states-2.pt"));
  EXPECT_EQ(plan.bytes.total(), 3 * 499153191ULL);
  EXPECT_THAT(plan.warnings, IsEmpty());
}

TEST(PlanTrainingCheckpoints, CompatIgnoresTheTypeAndTheModelsSize) {
  const CheckpointPlan plan = PlanOf({"checkpoint.type=all_ranks"}, 3, true);

  EXPECT_THAT(FilesOf(plan), ElementsAre("model_states-0.pt"));
  EXPECT_EQ(plan.reported_bytes, 10240U);  // quirk Q2
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("checkpoint.type")));
}

TEST(PlanTrainingCheckpoints, ShardingSaysWhoWritesATransformer) {
  // 2 ranks share each layer of 4 ranks: the first two save.
  const std::vector<std::string> transformer = {"model.type=transformer",
                                                "model.num_layers=2",
                                                "model.parallelism.tensor=2"};
  std::vector<std::string> all = transformer;
  all.emplace_back("checkpoint.type=all_ranks");

  const CheckpointPlan plan = PlanOf(all, 4);

  EXPECT_EQ(FilesOf(plan), FilesOf(PlanOf(transformer, 4)));
  EXPECT_EQ(plan.bytes.files, 4U);  // a model and an optimizer file each
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("checkpoint.type=all_ranks")));
}

TEST(PlanTrainingCheckpoints, RanksMustFitTheLayout) {
  const auto plan = PlanTrainingCheckpoints(
      Workload("unet3d_h100", {"model.parallelism.tensor=2"}), 3, 1);
  EXPECT_EQ(plan.status().code(), core::Code::kInvalidArgument);
}

std::unique_ptr<storage::Backend> Opened(const std::string& uri) {
  auto backend = storage::OpenBackend(uri);
  EXPECT_TRUE(backend.ok()) << backend.status().ToString();
  return std::move(backend).value();
}

TEST(CheckCheckpointRoom, MoreThanIsFreeNamesFiguresAndRemedy) {
  const stoker::testing::TempDir dir;
  const auto backend = Opened(dir.str() + "/not/there/yet");
  EXPECT_TRUE(CheckCheckpointRoom(*backend, 3, 1).ok());

  const core::Status status = CheckCheckpointRoom(*backend, 4, 1ULL << 61);
  EXPECT_EQ(status.os_error(), ENOSPC);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("4 of 2048.00 PiB each"), HasSubstr(dir.str()),
                    HasSubstr("checkpoint.checkpoint_folder")));
}

TEST(CheckCheckpointRoom, CheckpointsThatAreReplacedMakeRoom) {
  const stoker::testing::TempDir dir;
  const auto backend = Opened(dir.str());
  constexpr std::uint64_t kTebi = 1ULL << 40;
  const std::uint64_t free = backend->FreeBytes().value();
  const std::uint64_t half = (free + kTebi) / 2 - (kTebi / 4);
  EXPECT_FALSE(CheckCheckpointRoom(*backend, 2, half).ok());

  // Without blocks, but of the size of an earlier run's checkpoints.
  std::filesystem::create_directories(dir.path() / "global_epoch1_step4");
  const auto file = dir.path() / "global_epoch1_step4" / "model_states-0.pt";
  std::ofstream(file).close();
  std::filesystem::resize_file(file, kTebi);
  EXPECT_TRUE(CheckCheckpointRoom(*backend, 2, half).ok());
}

TEST(CheckCheckpointRoom, WhereThereIsNoLimitThereIsRoom) {
  const auto backend = Opened("null:");
  EXPECT_TRUE(CheckCheckpointRoom(*backend, UINT64_MAX, 1ULL << 61).ok());
}

}  // namespace
}  // namespace stoker::run::internal
