#include "cli/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "cli/exit_codes.h"
#include "reporting/json.h"
#include "tests/cli/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Said;

Said Say(const std::vector<std::string>& words) {
  ::setenv("STOKER_WORKLOADS", STOKER_SOURCE_DIR "/workloads", 1);
  ::setenv("STOKER_HISTORY", "", 1);
  return testing::RunCaptured(words);
}

TEST(RunCommand, HelpAndVersionGoToStdout) {
  const Said help = Say({"--help"});
  EXPECT_EQ(help.exit_code, kExitSuccess);
  EXPECT_THAT(help.out, AllOf(HasSubstr("training run"), HasSubstr("list")));

  EXPECT_THAT(Say({"--version"}).out, HasSubstr("stoker "));
  for (const std::string verb : {"datasize", "datagen", "run", "configview"}) {
    const Said of_verb = Say({"training", verb, "--help"});
    EXPECT_EQ(of_verb.exit_code, kExitSuccess);
    EXPECT_THAT(of_verb.out, HasSubstr("stoker training " + verb));
  }
}

TEST(RunCommand, CheckpointingHasHelpOfItsOwn) {
  EXPECT_THAT(Say({"--help"}).out, HasSubstr("checkpointing run"));
  EXPECT_THAT(Say({"checkpointing", "--help"}).out,
              AllOf(HasSubstr("verify"), HasSubstr("delete")));
  for (const std::string verb : {"datasize", "run", "configview"}) {
    const Said of_verb = Say({"checkpointing", verb, "--help"});
    EXPECT_EQ(of_verb.exit_code, kExitSuccess);
    EXPECT_THAT(of_verb.out, AllOf(HasSubstr("stoker checkpointing " + verb),
                                   HasSubstr("--num-processes, -np N")));
  }
  for (const std::string verb : {"verify", "delete"}) {
    EXPECT_THAT(Say({"checkpointing", verb, "--help"}).out,
                AllOf(HasSubstr("stoker checkpointing " + verb + " DIR|URI"),
                      HasSubstr("--log-format")));
  }
}

TEST(RunCommand, TheCacheHasAFamilyOfVerbsThatTakeOnePlaceEach) {
  const std::vector<std::string> verbs = {
      "format", "status", "verify", "measure", "clear", "warm", "drain"};
  for (const std::string& verb : verbs) {
    EXPECT_THAT(Say({"--help"}).out, HasSubstr(verb));
    EXPECT_THAT(Say({"cache", "--help"}).out, HasSubstr(verb));
    EXPECT_EQ(Say({"cache", verb, "--help"}).exit_code, kExitSuccess);
    const Said none = Say({"cache", verb});
    EXPECT_EQ(none.exit_code, kExitArguments) << verb;
    EXPECT_THAT(none.err, Not(HasSubstr("checkpoint")));
  }
}

TEST(RunCommand, NothingAskedIsAnsweredOnStderr) {
  const Said said = Say({});

  EXPECT_EQ(said.exit_code, kExitGeneral);
  EXPECT_THAT(said.out, IsEmpty());
  EXPECT_THAT(said.err, HasSubstr("usage"));
}

TEST(RunCommand, ErrorsAreJsonLinesWhereAskedFor) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"--log-format", "json", "--no-such-option"},
        {"--log-format=json", "--num-accelerators", "x", "--model", "unet3d"},
        {"--log-format=json", "--num-accelerators", "1", "--model", "no-such",
         "-g", "h100"}}) {
    std::vector<std::string> all{"training", "run"};
    all.insert(all.end(), words.begin(), words.end());
    const Said said = Say(all);
    EXPECT_NE(said.exit_code, kExitSuccess);
    EXPECT_THAT(said.out, IsEmpty());
    const auto line = reporting::ParseJson(said.err);
    ASSERT_TRUE(line.ok()) << said.err;
    EXPECT_EQ(reporting::DumpJson(*line.value().Find("level"), -1),
              "\"ERROR\"");
    EXPECT_NE(line.value().Find("message"), nullptr);
  }
}

TEST(RunCommand, UnknownWordsAreBadArgumentsWithASuggestion) {
  for (const auto& [words, suggestion] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"trainin"}, "training"},
           {{"training", "datasiz"}, "datasize"},
           {{"checkpointin"}, "checkpointing"},
           {{"checkpointing", "verfy", "x"}, "verify"},
           {{"checkpointing", "run", "-m", "llama3-8c", "-np", "8", "-cf", "x"},
            "did you mean 'llama3_8b'"},
           {{"checkpointing", "run", "-m", "llama3-8b", "-np", "8"},
            "--checkpoint-folder is required"},
           {{"checkpointing", "verify"}, "stoker checkpointing verify DIR"},
           {{"checkpointing", "run", "-np", "8", "-cf", "x"}, "--model"},
           {{"list", "backend"}, "backends"},
           {{"training", "run", "--model-name"}, "--model"}}) {
    const Said said = Say(words);
    EXPECT_EQ(said.exit_code, kExitArguments);
    EXPECT_THAT(said.err,
                AllOf(HasSubstr("stoker: error: "), HasSubstr(suggestion)));
  }
}

TEST(RunCommand, MissingModelIsABadArgument) {
  EXPECT_EQ(Say({"training", "run", "-na", "1"}).exit_code, kExitArguments);
  EXPECT_EQ(Say({"training", "run", "-na", "1", "-m", "unet3d"}).exit_code,
            kExitArguments);
}

TEST(RunCommand, UnknownModelIsABadArgumentMissingFileIsNot) {
  const Said model =
      Say({"training", "run", "-na", "1", "-m", "unet4d", "-g", "h100"});
  const Said accelerator =
      Say({"training", "run", "-na", "1", "-m", "unet3d", "-g", "h10"});
  const Said file =
      Say({"training", "run", "-na", "1", "--workload", "/nowhere.yaml"});

  EXPECT_EQ(model.exit_code, kExitArguments);
  EXPECT_THAT(model.err, HasSubstr("did you mean 'unet3d_h100'"));
  EXPECT_EQ(accelerator.exit_code, kExitArguments);
  EXPECT_EQ(file.exit_code, kExitNotFound);
}

TEST(RunCommand, HostsAreCheckedByEveryVerbThatTakesThem) {
  for (const std::vector<std::string>& verb :
       {std::vector<std::string>{"run", "-na", "1", "-g", "h100"},
        std::vector<std::string>{"datagen", "-np", "1"},
        std::vector<std::string>{"datasize", "-ma", "1", "-cm", "1", "-g",
                                 "h100"}}) {
    std::vector<std::string> words{"training"};
    words.insert(words.end(), verb.begin(), verb.end());
    words.insert(words.end(), {"-m", "unet3d", "--hosts", "a,b", "a"});
    const Said said = Say(words);
    EXPECT_EQ(said.exit_code, kExitArguments);
    EXPECT_THAT(said.err, HasSubstr("'a' stands there twice"));
  }
}

TEST(RunCommand, ListsTellTheNames) {
  EXPECT_THAT(Say({"list", "workloads"}).out, HasSubstr("\n  unet3d_h100\n"));
  EXPECT_THAT(Say({"list", "backends"}).out, HasSubstr("null"));
  EXPECT_THAT(Say({"list", "formats"}).out, HasSubstr("tfrecord"));
}

TEST(RunCommand, ConfigviewNamesTheOriginOfEachValue) {
  const Said said = Say({"training", "configview", "-m", "unet3d", "-g", "h100",
                         "-p", "train.epochs=2"});

  EXPECT_EQ(said.exit_code, kExitSuccess);
  EXPECT_THAT(said.out,
              AllOf(HasSubstr("train.epochs: 2  # override"),
                    HasSubstr("reader.batch_size: 7  # " STOKER_SOURCE_DIR
                              "/workloads/unet3d_h100.yaml:"),
                    HasSubstr("workflow.evaluation: false  # default")));
}

TEST(RunCommand, DatasizeLeavesItsMetadata) {
  const stoker::testing::TempDir dir;
  const Said said = Say({"training", "datasize", "-m", "resnet50", "-g", "h100",
                         "-ma", "16", "-cm", "64", "-rd", dir.str()});

  EXPECT_EQ(said.exit_code, kExitSuccess) << said.err;
  EXPECT_THAT(said.out, HasSubstr("Minimum number of files: 2557"));
  const auto folder = dir.path() / "training/resnet50/datasize";
  ASSERT_TRUE(std::filesystem::is_directory(folder));
  const auto run = *std::filesystem::directory_iterator(folder);
  EXPECT_TRUE(std::filesystem::exists(
      run.path() /
      ("training_" + run.path().filename().string() + "_metadata.json")));
}

TEST(RunCommand, WhatIfPrintsTheCommandAndDoesNothing) {
  const stoker::testing::TempDir dir;
  const Said said = Say({"training",
                         "run",
                         "--hosts",
                         "a",
                         "b",
                         "--num-accelerators",
                         "5",
                         "--model",
                         "unet3d",
                         "--accelerator-type",
                         "h100",
                         "--data-dir",
                         "/mnt/ml/data",
                         "--param",
                         "dataset.num_files_train=42000",
                         "reader.read_threads=8",
                         "--mpi-params=--bind-to none",
                         "--what-if",
                         "--closed",
                         "-rd",
                         dir.str()});

  EXPECT_EQ(said.exit_code, kExitSuccess) << said.err;
  EXPECT_THAT(said.out,
              AllOf(HasSubstr("mpirun -n 5 -host a:3,b:2 --bind-to none "),
                    HasSubstr(" in /mnt/ml/data/unet3d")));
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(RunCommand, ClosedRefusesBeforeAnythingIsMade) {
  const stoker::testing::TempDir dir;
  const Said said =
      Say({"training", "run", "-m", "unet3d", "-g", "h100", "-na", "2",
           "--closed", "-p", "train.epochs=2", "-rd", dir.str()});

  EXPECT_EQ(said.exit_code, kExitGeneral);
  EXPECT_THAT(said.err, HasSubstr("train.epochs"));
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(RunCommand, BadSlotsAreRefusedBeforeAnythingIsMade) {
  const stoker::testing::TempDir dir;
  const Said said = Say({"training", "run", "-m", "unet3d", "-g", "h100", "-na",
                         "2", "-s", "a", "b:2", "-rd", dir.str()});

  EXPECT_EQ(said.exit_code, kExitArguments);
  EXPECT_THAT(said.err, HasSubstr("all need it"));
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(RunCommand, WhatNoRankCouldDoIsRefusedBeforeAnythingIsMade) {
  const stoker::testing::TempDir dir;
  const auto run = [&](const std::string& data, const std::string& param) {
    return Say({"training", "run", "-m", "unet3d", "-g", "h100", "-na", "2",
                "-dd", data, "-p", param, "-rd", dir.str()});
  };

  const Said store = run("fault:?op=nothing,/x", "train.epochs=1");
  const Said plan = run("/x", "dataset.num_files_train=3");

  EXPECT_EQ(store.exit_code, kExitConfiguration);
  EXPECT_THAT(store.err, HasSubstr("storage fault"));
  EXPECT_EQ(plan.exit_code, kExitConfiguration);
  EXPECT_THAT(plan.err, HasSubstr("dataset.num_files_train"));
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(RunCommand, CheckpointConfigviewShowsWhatTheToolAdds) {
  const Said said = Say({"checkpointing", "configview", "-m", "llama3-405b",
                         "-np", "8", "-cf", "/mnt/ck", "-ncr", "0"});

  EXPECT_EQ(said.exit_code, kExitSuccess) << said.err;
  EXPECT_THAT(
      said.out,
      AllOf(
          HasSubstr("checkpoint.num_checkpoints_read: 0  # override"),
          HasSubstr("checkpoint.num_checkpoints_write: 10  # " STOKER_SOURCE_DIR
                    "/workloads/llama3_405b.yaml:"),
          HasSubstr("checkpoint_folder: /mnt/ck/llama3-405b  # override"),
          HasSubstr("checkpoint.mode: subset  # override"),
          HasSubstr("model.parallelism.data: 2  # override")));
}

TEST(RunCommand, CheckpointDatasizeTellsAndLeavesItsMetadata) {
  const stoker::testing::TempDir dir;
  const Said said =
      Say({"checkpointing", "datasize", "-m", "llama3-8b", "-np", "8", "-cm",
           "256", "-cf", dir.str(), "-rd", dir.str()});

  EXPECT_EQ(said.exit_code, kExitSuccess) << said.err;
  EXPECT_THAT(said.out,
              AllOf(HasSubstr("112,425,623,552 bytes"), HasSubstr("Free: ")));
  const auto folder = dir.path() / "checkpointing/llama3-8b";
  ASSERT_TRUE(std::filesystem::is_directory(folder));
  const auto run = *std::filesystem::directory_iterator(folder);
  EXPECT_TRUE(std::filesystem::exists(
      run.path() /
      ("checkpointing_" + run.path().filename().string() + "_metadata.json")));
}

TEST(RunCommand, CheckpointPlansNeedNoRanks) {
  for (const auto& [model, ranks, bytes] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"llama3-8b", "8", "112425623552"},
           {"llama3-70b", "64", "978406572032"},
           {"llama3-405b", "512", "5682508791808"},
           {"llama3-1t", "1024", "16564174094592"}}) {
    const Said said = Say({"checkpointing", "run", "-m", model, "-np", ranks,
                           "-cf", "/mnt/ck", "--what-if", "--log-format=json"});

    EXPECT_EQ(said.exit_code, kExitSuccess) << said.err;
    EXPECT_THAT(said.out, AllOf(HasSubstr(R"("event":"plan")"),
                                HasSubstr(R"("checkpoint_bytes":)" + bytes),
                                HasSubstr(R"("clear_needed":null)"),
                                HasSubstr("checkpointing run -m " + model)));
  }
}

TEST(RunCommand, ClosedCheckpointsAreRefusedBeforeAnythingIsMade) {
  const stoker::testing::TempDir dir;
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{
        "checkpointing", "run",     "-m",  "llama3-8b", "-np",     "8",
        "-cf",           dir.str(), "-rd", dir.str(),   "--closed"};
    words.insert(words.end(), more.begin(), more.end());
    return Say(words);
  };

  // 8 * 14,053,202,944 B are 104.7 GiB; three times that is 314 GiB.
  const Said memory = run({"-cm", "512"});
  const Said count = run({"-cm", "256", "-ncw", "3", "-ncr", "3"});

  EXPECT_EQ(memory.exit_code, kExitGeneral);
  EXPECT_THAT(memory.err, HasSubstr("--between drop-caches"));
  EXPECT_EQ(count.exit_code, kExitGeneral);
  EXPECT_THAT(count.err, HasSubstr("num_checkpoints"));
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(RunCommand, TrainingWithNothingToTrainIsRefused) {
  const Said said = Say(
      {"training", "run", "-m", "llama3", "-g", "8b", "-na", "1", "-dd", "/x"});

  EXPECT_EQ(said.exit_code, kExitConfiguration);
  EXPECT_THAT(said.err, HasSubstr("stoker checkpointing run"));
}

TEST(RunCommand, CheckpointsThatNoRankCouldSaveAreRefused) {
  const stoker::testing::TempDir dir;
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"checkpointing", "run", "-m",  "llama3-tiny",
                                   "-cf",           "/x",  "-rd", dir.str()};
    words.insert(words.end(), more.begin(), more.end());
    return Say(words);
  };

  const Said ranks = run({"-np", "6"});
  const Said nothing = run({"-np", "4", "-ncw", "0", "-ncr", "0"});
  const Said keep = run({"-np", "4", "--keep", "1"});
  const Said between = run({"-np", "4", "-ncr", "0", "--between", "flush"});

  EXPECT_EQ(ranks.exit_code, kExitConfiguration);
  EXPECT_EQ(nothing.exit_code, kExitConfiguration);
  EXPECT_THAT(nothing.err, HasSubstr("nothing would be done"));
  EXPECT_EQ(keep.exit_code, kExitArguments);
  EXPECT_THAT(keep.err, HasSubstr("--num-checkpoints-read 1"));
  EXPECT_EQ(between.exit_code, kExitArguments);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(ExitCodeOf, FollowsTheKindOfError) {
  using core::Code;
  const auto code = [](Code kind) {
    return ExitCodeOf(core::Status(kind, "x"));
  };

  EXPECT_EQ(ExitCodeOf({}), 0);
  EXPECT_EQ(code(Code::kNotFound), 3);
  EXPECT_EQ(code(Code::kPermission), 4);
  EXPECT_EQ(code(Code::kInvalidArgument), 5);
  EXPECT_EQ(code(Code::kUnsupported), 5);
  EXPECT_EQ(code(Code::kIoError), 6);
  EXPECT_EQ(code(Code::kCorruption), 6);
  EXPECT_EQ(code(Code::kUnavailable), 6);
  EXPECT_EQ(code(Code::kTimedOut), 7);
  EXPECT_EQ(code(Code::kCancelled), 130);
}

}  // namespace
}  // namespace stoker::cli
