#include "run/checkpoint_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "tests/run/support.h"

namespace stoker::run {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Workload;

CheckpointPlan CheckpointPlanOf(const config::LoadedConfig& config,
                                std::uint32_t ranks) {
  auto plan = MakeCheckpointPlan(config, ranks);
  EXPECT_TRUE(plan.ok()) << plan.status().ToString();
  return plan.ok() ? std::move(plan).value() : CheckpointPlan{};
}

std::string CheckpointErrorOf(const config::LoadedConfig& config,
                              std::uint32_t ranks) {
  const auto plan = MakeCheckpointPlan(config, ranks);
  EXPECT_FALSE(plan.ok());
  EXPECT_EQ(plan.status().code(), core::Code::kInvalidArgument);
  return std::string(plan.status().message());
}

// The table of sizes of the benchmark; see also the tests of checkpoint/model.
TEST(MakeCheckpointPlan, ModelsOfTheBenchmarkHaveTheirSizes) {
  struct Row {
    const char* name;
    std::uint32_t ranks;
    std::uint64_t parameters;
    std::uint64_t model;
    std::uint64_t optimizer;
    std::uint64_t files;
    std::uint64_t stored;
  };
  for (const Row& row : {Row{"llama3_8b", 8, 8030261248, 16060522496,
                             96365101056, 16, 112426082960},
                         Row{"llama3_70b", 64, 69882617856, 139783700480,
                             838622871552, 128, 978415437696},
                         Row{"llama3_405b", 512, 405853388800, 811764809728,
                             4870743982080, 1544, 5682512788616},
                         Row{"llama3_1t", 1024, 1183035102480, 2366163292416,
                             14198010802176, 2072, 16564179766232}}) {
    const CheckpointPlan plan = CheckpointPlanOf(Workload(row.name), row.ranks);
    EXPECT_EQ(plan.parameters, row.parameters) << row.name;
    EXPECT_EQ(plan.bytes.model, row.model) << row.name;
    EXPECT_EQ(plan.bytes.optimizer, row.optimizer) << row.name;
    EXPECT_EQ(plan.reported_bytes, row.model + row.optimizer) << row.name;
    EXPECT_EQ(plan.bytes.files, row.files) << row.name;
    EXPECT_EQ(plan.stored_bytes, row.stored) << row.name;
    EXPECT_EQ(plan.saves, 10U);
    EXPECT_EQ(plan.restores, 10U);
    EXPECT_TRUE(plan.fsync);
    EXPECT_EQ(plan.seconds_between_checkpoints, 5);
    EXPECT_THAT(plan.warnings, IsEmpty());
  }
}

TEST(MakeCheckpointPlan, NeighboursOfEqualSizeAreOneClass) {
  const CheckpointPlan plan = CheckpointPlanOf(Workload("llama3_405b"), 512);

  std::vector<std::pair<std::uint32_t, std::uint64_t>> classes;
  std::uint32_t ranks = 0;
  for (const RankClass& group : plan.classes) {
    classes.emplace_back(group.last, group.bytes.total());
    EXPECT_EQ(group.first, ranks);
    ranks += group.ranks();
  }
  EXPECT_EQ(ranks, 512U);
  EXPECT_THAT(
      classes,
      ElementsAre(std::pair(7U, 13226441600U), std::pair(239U, 12701105024U),
                  std::pair(247U, 11904121728U), std::pair(255U, 12429491072U),
                  std::pair(511U, 9513171840U)));
  // Stage 30 holds three blocks, stage 31 the last two layers as well; each
  // has an optimizer file.
  EXPECT_EQ(plan.classes[2].bytes.files, 4U);
  EXPECT_EQ(plan.classes[3].bytes.files, 6U);
  EXPECT_EQ(plan.classes[4].bytes.files, 1U);
}

// Ranks 0 to 7 of the large jobs.
TEST(MakeCheckpointPlan, SubsetsAreTheFirstRanksOfTheWhole) {
  struct Row {
    const char* name;
    const char* copies;
    std::uint64_t bytes;
  };
  for (const Row& row : {Row{"llama3_70b", "8", 122300821504},
                         Row{"llama3_405b", "2", 105811532800},
                         Row{"llama3_1t", "2", 154322342880}}) {
    const CheckpointPlan plan = CheckpointPlanOf(
        Workload(row.name,
                 {"checkpoint.mode=subset",
                  std::string("model.parallelism.data=") + row.copies}),
        8);
    EXPECT_TRUE(plan.subset);
    EXPECT_EQ(plan.bytes.total(), row.bytes) << row.name;
    EXPECT_EQ(plan.reported_bytes, row.bytes) << row.name;
    EXPECT_EQ(plan.classes.size(), 1U) << row.name;
  }
}

// Worked out beside the code from the formulas: tiny has 77,081,600 parameters,
// of which each of 8 ranks keeps an eighth, 12 bytes each, and 60 * 1024 bytes.
TEST(MakeCheckpointPlan, SmallModelsHaveTheStructureOfTheLarge) {
  const CheckpointPlan tiny = CheckpointPlanOf(Workload("llama3_tiny"), 8);
  EXPECT_EQ(tiny.parameters, 77081600U);
  EXPECT_EQ(tiny.bytes.optimizer, 8U * (12 * 77081600 / 8 + 60 * 1024));
  EXPECT_EQ(tiny.bytes.total(), 1079656448U);
  EXPECT_EQ(tiny.bytes.files, 24U);
  EXPECT_EQ(tiny.classes.size(), 3U);
  EXPECT_EQ(CheckpointPlanOf(Workload("llama3_tiny"), 4).layout.data, 1U);

  const CheckpointPlan mini = CheckpointPlanOf(Workload("llama3_mini"), 4);
  EXPECT_EQ(mini.bytes.total(), 67064320U);
  EXPECT_EQ(mini.bytes.files, 8U);
  EXPECT_EQ(mini.layout.zero_stage, 3U);
}

TEST(MakeCheckpointPlan, RanksThatShareNoModelAreRefused) {
  EXPECT_THAT(CheckpointErrorOf(Workload("llama3_tiny"), 6), HasSubstr("6"));
  EXPECT_THAT(CheckpointErrorOf(Workload("llama3_70b"), 4), HasSubstr("4"));
}

TEST(MakeCheckpointPlan, NothingToDoIsRefusedWithTheRemedy) {
  EXPECT_THAT(CheckpointErrorOf(
                  Workload("llama3_8b", {"checkpoint.num_checkpoints_write=-1",
                                         "checkpoint.num_checkpoints_read=0"}),
                  8),
              HasSubstr("--num-checkpoints-write N"));
}

TEST(MakeCheckpointPlan, EmptyModelsAreRefused) {
  EXPECT_THAT(
      CheckpointErrorOf(Workload("llama3_8b", {"model.num_layers=-1"}), 8),
      HasSubstr("empty"));
}

TEST(MakeCheckpointPlan, NegativePausesAreNone) {
  const std::vector<std::string> minus{
      "checkpoint.time_between_checkpoints=-1"};

  EXPECT_EQ(CheckpointPlanOf(Workload("llama3_8b", minus), 8)
                .seconds_between_checkpoints,
            0);
  // The reference sleeps for the absolute value.
  EXPECT_EQ(CheckpointPlanOf(Workload("llama3_8b", minus, true), 8)
                .seconds_between_checkpoints,
            1);
}

TEST(MakeCheckpointPlan, CompatHasTheDeadKeysOfTheReference) {
  const std::vector<std::string> shift{"checkpoint.recovery_rank_shift=true"};
  EXPECT_TRUE(CheckpointPlanOf(Workload("llama3_8b", shift), 8).rank_shift);

  const CheckpointPlan plan =
      CheckpointPlanOf(Workload("llama3_8b", shift, true), 8);
  EXPECT_FALSE(plan.fsync);
  EXPECT_FALSE(plan.rank_shift);
  EXPECT_THAT(plan.warnings,
              ElementsAre(HasSubstr("checkpoint.fsync"),
                          HasSubstr("checkpoint.recovery_rank_shift")));
}

TEST(MakeCheckpointPlan, KeysOfTheFilesAreTaken) {
  const CheckpointPlan plan = CheckpointPlanOf(
      Workload(
          "llama3_mini",
          {"checkpoint.format=raw", "checkpoint.verify=full",
           "checkpoint.rank_sync=true", "checkpoint.randomize_tensor=false"}),
      4);

  EXPECT_EQ(plan.format, checkpoint::FileFormat::kRaw);
  EXPECT_EQ(plan.verify, checkpoint::Verify::kFull);
  EXPECT_TRUE(plan.rank_sync);
  EXPECT_FALSE(plan.random);
  EXPECT_EQ(plan.stored_bytes, plan.bytes.total());  // nothing around them
}

// unet3d, once its checkpoint is on: a file of 499,153,191 bytes of rank 0.
TEST(MakeCheckpointPlan, OtherModelsAreOneTensorOfTheFirstRank) {
  const CheckpointPlan plan = CheckpointPlanOf(
      Workload("unet3d_h100", {"checkpoint.num_checkpoints_write=1"}), 4);

  EXPECT_EQ(plan.bytes.total(), 499153191U);
  EXPECT_EQ(plan.stored_bytes, 499154729U);
  EXPECT_EQ(plan.bytes.files, 1U);
  ASSERT_EQ(plan.classes.size(), 2U);
  EXPECT_EQ(plan.classes[1].bytes.files, 0U);
}

// Blocks of ranks, as mpirun fills hosts: 405B on 8 hosts of 64.
TEST(BytesPerHost, SumsTheRanksOfEachHost) {
  const CheckpointPlan plan = CheckpointPlanOf(Workload("llama3_405b"), 512);
  const std::vector<std::uint64_t> bytes =
      BytesPerHost(plan, std::vector<std::uint32_t>(8, 64));

  // Host 0: ranks 0-7 and 56 of stages 1 to 7; host 3: ranks 192-239, 240-247
  // and 248-255; host 4: the second copy.
  EXPECT_EQ(bytes[0], 8 * 13226441600 + 56 * 12701105024);
  EXPECT_EQ(bytes[3], 48 * 12701105024 + 8 * 11904121728 + 8 * 12429491072);
  EXPECT_EQ(bytes[4], 64 * 9513171840);
  EXPECT_EQ(std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0}),
            plan.bytes.total());
}

TEST(BytesPerHost, HostsMayDiffer) {
  const CheckpointPlan plan = CheckpointPlanOf(Workload("llama3_8b"), 8);

  EXPECT_THAT(BytesPerHost(plan, {6, 2}),
              ElementsAre(6 * 14053202944, 2 * 14053202944));
}

}  // namespace
}  // namespace stoker::run
