#include "cli/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/exit_codes.h"
#include "reporting/json.h"
#include "tests/support/temp_dir.h"

namespace stoker::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Said {
  int exit_code = 0;
  std::string out;
  std::string err;
};

Said Say(const std::vector<std::string>& words) {
  ::setenv("STOKER_WORKLOADS", STOKER_SOURCE_DIR "/workloads", 1);
  ::setenv("STOKER_HISTORY", "", 1);
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Said said;
  said.exit_code = RunCommand("stoker", words);
  said.out = ::testing::internal::GetCapturedStdout();
  said.err = ::testing::internal::GetCapturedStderr();
  return said;
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
