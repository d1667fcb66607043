#include "cli/internal/checkpoint_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "cli/exit_codes.h"
#include "cli/internal/job.h"

namespace stoker::cli::internal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Words = std::vector<std::string>;

constexpr CommandId kRunId{"checkpointing", "run", kCheckpointRun};

Arguments Parse(const Words& words, CommandSet command = kCheckpointRun) {
  auto arguments = ParseArguments(JobOptions(), command, words);
  EXPECT_TRUE(arguments.ok()) << arguments.status().ToString();
  return arguments.ok() ? arguments.value() : Arguments{};
}

core::Result<Job> Made(const Words& words, const CommandId& id = kRunId) {
  ::setenv("STOKER_WORKLOADS", STOKER_SOURCE_DIR "/workloads", 1);
  return MakeJob("stoker", id, words, Parse(words, id.bit));
}

Job JobOf(const Words& words, const CommandId& id = kRunId) {
  auto job = Made(words, id);
  EXPECT_TRUE(job.ok()) << job.status().ToString();
  return job.ok() ? std::move(job).value() : Job{};
}

std::string CheckError(const Words& words) {
  return std::string(CheckCheckpointArguments(kRunId, Parse(words)).message());
}

TEST(CheckpointJob, ModelNamesWorkloadAndPlace) {
  const Job job = JobOf({"-m", "llama3-8b", "-np", "8", "-cf", "/mnt/ck",
                         "-ncr", "2", "-ncw", "3"});

  EXPECT_EQ(job.workload_name, "llama3_8b");
  EXPECT_EQ(job.model, "llama3-8b");
  EXPECT_EQ(job.accelerator, "");
  EXPECT_EQ(job.ranks(), 8);
  EXPECT_EQ(job.uri, "/mnt/ck/llama3-8b");
  EXPECT_EQ(job.command_line(),
            "stoker checkpointing run -m llama3-8b -np 8 -cf /mnt/ck -ncr 2 "
            "-ncw 3");
}

TEST(CheckpointJob, ToolAddsCountsAndFolderBehindTheUsersOverrides) {
  const Job job =
      JobOf({"-m", "llama3-8b", "-np", "8", "-cf", "/mnt/ck", "-ncr", "2",
             "-ncw", "3", "-p", "checkpoint.fsync=false"});

  EXPECT_THAT(job.user_overrides,
              ElementsAre("++workload.checkpoint.fsync=false"));
  EXPECT_THAT(
      job.config.overrides,
      ElementsAre("++workload.checkpoint.fsync=false",
                  "++workload.checkpoint.num_checkpoints_read=2",
                  "++workload.checkpoint.num_checkpoints_write=3",
                  "++workload.checkpoint.checkpoint_folder=/mnt/ck/llama3-8b"));
  EXPECT_EQ(job.config.workload.checkpoint.num_checkpoints_read, 2);
  EXPECT_EQ(job.config.workload.checkpoint.num_checkpoints_write, 3);
  EXPECT_EQ(job.config.workload.checkpoint.checkpoint_folder,
            "/mnt/ck/llama3-8b");
}

TEST(CheckpointJob, CountsAreTheWorkloadsUnlessGiven) {
  const Job large = JobOf({"-m", "llama3-70b", "-np", "64", "-cf", "x"});
  const Job tiny = JobOf({"-m", "llama3-tiny", "-np", "4", "-cf", "x"});

  EXPECT_EQ(large.config.workload.checkpoint.num_checkpoints_write, 10);
  EXPECT_EQ(tiny.config.workload.checkpoint.num_checkpoints_write, 2);
}

// 512 / (8 * 32) and 1024 / (8 * 64) copies of the whole.
TEST(CheckpointJob, FewerRanksThanClosedAsksForAreASubset) {
  struct Row {
    const char* model;
    std::int64_t copies;
  };
  for (const Row& row :
       {Row{"llama3-70b", 8}, Row{"llama3-405b", 2}, Row{"llama3-1t", 2}}) {
    const Job job = JobOf({"-m", row.model, "-np", "8", "-cf", "x"});
    EXPECT_EQ(job.config.workload.checkpoint.mode, "subset");
    EXPECT_EQ(job.config.workload.model.parallelism.data, row.copies);
    EXPECT_EQ(
        job.config.overrides.back(),
        "++workload.model.parallelism.data=" + std::to_string(row.copies));
  }
}

TEST(CheckpointJob, AllRanksAndTheSmallModelsAreNoSubset) {
  for (const Words& words : {Words{"-m", "llama3-70b", "-np", "64"},
                             Words{"-m", "llama3-8b", "-np", "4"},
                             Words{"-m", "llama3-tiny", "-np", "4"}}) {
    Words all = words;
    all.insert(all.end(), {"-cf", "x"});
    EXPECT_EQ(JobOf(all).config.workload.checkpoint.mode, "default");
  }
}

TEST(CheckpointJob, ModeOfTheUserStays) {
  const Job job = JobOf({"-m", "llama3-70b", "-np", "16", "-cf", "x", "-p",
                         "checkpoint.mode=default"});

  EXPECT_EQ(job.config.workload.checkpoint.mode, "default");
  EXPECT_EQ(job.config.workload.model.parallelism.data, -1);
}

TEST(CheckpointJob, WorkloadFileBringsTheModel) {
  const Job job =
      JobOf({"--workload", STOKER_SOURCE_DIR "/workloads/llama3_8b.yaml", "-np",
             "8", "-cf", "x"});

  EXPECT_EQ(job.model, "llama3-8b");
  EXPECT_EQ(job.uri, "x/llama3-8b");
}

TEST(CheckpointJob, ConfigviewNeedsNeitherRanksNorPlace) {
  const Job job = JobOf({"-m", "llama3-405b"},
                        {"checkpointing", "configview", kCheckpointView});

  EXPECT_EQ(job.uri, "checkpoints/llama_405b");
  EXPECT_THAT(job.config.overrides, IsEmpty());
}

TEST(CheckpointJob, PlacesThatHydraWouldSplitAreQuoted) {
  const Job job = JobOf(
      {"-m", "llama3-8b", "-np", "8", "-cf", "model:?latency=1ms,/mnt/it's"});

  EXPECT_EQ(job.config.workload.checkpoint.checkpoint_folder,
            "model:?latency=1ms,/mnt/it's/llama3-8b");
}

TEST(CheckpointJob, MoreReadsThanWritesAreAConfigurationError) {
  const auto job = Made(
      {"-m", "llama3-8b", "-np", "8", "-cf", "x", "-ncw", "2", "-ncr", "3"});

  ASSERT_FALSE(job.ok());
  EXPECT_EQ(ExitCodeOf(job.status()), kExitConfiguration);
  EXPECT_THAT(std::string(job.status().message()),
              HasSubstr("num_checkpoints_read: value 3"));
}

TEST(CheckpointModel, FollowsTheNamesOfTheReference) {
  EXPECT_EQ(CheckpointModel("llama_405b"), "llama3-405b");
  EXPECT_EQ(CheckpointModel("llama3_8b"), "llama3-8b");
  EXPECT_EQ(CheckpointModel("llama3-1t"), "llama3-1t");
  EXPECT_EQ(CheckpointModel("mine"), "mine");
}

TEST(CheckCheckpointArguments, TakesWhatGoesTogether) {
  EXPECT_EQ(CheckError({"--accelerators", "100", "--mtbf", "4h", "--between",
                        "drop-caches", "--keep", "2"}),
            "");
  EXPECT_EQ(CheckError({"--foreign", "-ncw", "0"}), "");
}

TEST(CheckCheckpointArguments, NamesAllThatDoesNot) {
  EXPECT_THAT(
      CheckError({"--accelerators", "100", "--foreign", "--pool", "1MiB",
                  "--between", "sync"}),
      AllOf(HasSubstr("--accelerators and --mtbf"), HasSubstr("--foreign"),
            HasSubstr("--pool: '1MiB'"), HasSubstr("--between: 'sync'")));
  EXPECT_THAT(CheckError({"--keep", "2", "-ncw", "0"}), HasSubstr("--keep"));
  EXPECT_THAT(CheckError({"--foreign", "-ncw", "3"}), HasSubstr("--foreign"));
}

TEST(CheckPlaceArguments, WantsOnePlace) {
  constexpr CommandId kVerify{"checkpointing", "verify", kCheckpointVerify};
  const auto check = [&](const Words& words) {
    return CheckPlaceArguments(kVerify, Parse(words, kCheckpointVerify)).ok();
  };

  EXPECT_TRUE(check({"/mnt/ck/llama3-8b"}));
  EXPECT_TRUE(check({"file:///mnt/ck?engine=threads", "--log-format=json"}));
  EXPECT_FALSE(check({}));
  EXPECT_FALSE(check({"a", "b"}));
}

TEST(ParseBetween, KnowsFourWays) {
  EXPECT_EQ(ParseBetween("none").value().what, run::Between::kNone);
  EXPECT_EQ(ParseBetween("flush").value().what, run::Between::kFlush);
  EXPECT_EQ(ParseBetween("drop-caches").value().what,
            run::Between::kDropCaches);
  const BetweenChoice command = ParseBetween("command:umount /x; y").value();
  EXPECT_EQ(command.what, run::Between::kCommand);
  EXPECT_EQ(command.command, "umount /x; y");
  EXPECT_FALSE(ParseBetween("command:").ok());
  EXPECT_FALSE(ParseBetween("").ok());
}

TEST(CheckpointQuestion, RanksFillHostsInBlocks) {
  const auto question = CheckpointQuestionOf(
      JobOf({"-m", "llama3-8b", "-np", "8", "-cf", "x", "-s", "a:6", "b:6",
             "-cm", "64", "--pool", "1GiB", "--keep", "3"}));

  ASSERT_TRUE(question.ok()) << question.status().ToString();
  EXPECT_THAT(question.value().ranks_of_host, ElementsAre(6, 2));
  EXPECT_EQ(question.value().memory_gib_per_host, 64);
  EXPECT_EQ(question.value().pool_bytes, 1U << 30);
  EXPECT_EQ(question.value().keep, 3U);
}

}  // namespace
}  // namespace stoker::cli::internal
