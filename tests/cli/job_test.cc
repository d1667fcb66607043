#include "cli/internal/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/exit_codes.h"
#include "tests/support/temp_dir.h"

namespace stoker::cli::internal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

class JobTest : public ::testing::Test {
 protected:
  JobTest() { ::setenv("STOKER_WORKLOADS", STOKER_SOURCE_DIR "/workloads", 1); }

  static Arguments Parse(CommandSet command, const Words& words) {
    auto arguments = ParseArguments(JobOptions(), command, words);
    EXPECT_TRUE(arguments.ok()) << arguments.status().ToString();
    return arguments.ok() ? arguments.value() : Arguments{};
  }
  static core::Result<Job> Made(CommandSet command, std::string_view name,
                                const Words& words) {
    return MakeJob("stoker", {"training", name, command}, words,
                   Parse(command, words));
  }
  std::string SiteFile(const std::string& text) const {
    const std::string path = (dir_.path() / "site.yaml").string();
    std::ofstream(path) << text;
    return path;
  }
  // The arguments after the site file `text` was merged in.
  Arguments Merged(const std::string& text, Words words) const {
    words.insert(words.end(), {"-c", SiteFile(text)});
    Arguments arguments = Parse(kRun, words);
    const core::Status status = MergeSiteFile(kRun, arguments);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return arguments;
  }
  std::string MergeError(const std::string& text) const {
    Arguments arguments = Parse(kRun, {"-c", SiteFile(text)});
    const core::Status status = MergeSiteFile(kRun, arguments);
    EXPECT_EQ(status.code(), core::Code::kInvalidArgument);
    return std::string(status.message());
  }

  stoker::testing::TempDir dir_;
};

TEST_F(JobTest, ModelAndAcceleratorNameTheWorkload) {
  const auto job = Made(
      kRun, "run", {"-m", "unet3d", "-g", "a100", "-na", "3", "-dd", "/mnt/x"});

  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job.value().workload_name, "unet3d_a100");
  EXPECT_EQ(job.value().model, "unet3d");
  EXPECT_EQ(job.value().accelerator, "a100");
  EXPECT_EQ(job.value().uri, "/mnt/x/unet3d");
  EXPECT_EQ(job.value().ranks(), 3);
  EXPECT_EQ(job.value().host_count(), 1);
}

TEST_F(JobTest, DatagenNeedsNoAccelerator) {
  const auto job = Made(kDatagen, "datagen", {"-m", "resnet50", "-np", "2"});

  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job.value().workload_name, "resnet50_datagen");
  EXPECT_EQ(job.value().accelerator, "");
  EXPECT_EQ(job.value().ranks(), 2);
}

TEST_F(JobTest, WorkloadFileBringsModelAndAccelerator) {
  const auto job =
      Made(kRun, "run",
           {"--workload", STOKER_SOURCE_DIR "/workloads/unet3d_b200.yaml",
            "-na", "1"});

  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job.value().model, "unet3d");
  EXPECT_EQ(job.value().accelerator, "b200");
}

TEST_F(JobTest, UnknownWorkloadsNameWhatThereIs) {
  const auto job =
      Made(kRun, "run", {"-m", "unet4d", "-g", "h100", "-na", "1"});

  ASSERT_FALSE(job.ok());
  EXPECT_EQ(ExitCodeOf(job.status()), kExitNotFound);
  EXPECT_THAT(std::string(job.status().message()),
              AllOf(HasSubstr("did you mean 'unet3d_h100'"),
                    HasSubstr("cosmoflow_a100")));
}

TEST_F(JobTest, ModelAndAcceleratorAreAskedFor) {
  const auto error = [](std::string_view verb, const Arguments& arguments) {
    return std::string(
        CheckWorkloadArguments("stoker", {"training", verb, kRun}, arguments)
            .message());
  };

  EXPECT_THAT(error("run", Parse(kRun, {})), HasSubstr("--model"));
  EXPECT_THAT(error("run", Parse(kRun, {"-m", "unet3d"})),
              HasSubstr("--accelerator-type"));
  EXPECT_EQ(error("datagen", Parse(kDatagen, {"-m", "unet3d"})), "");
  EXPECT_EQ(error("run", Parse(kRun, {"--workload", "x.yaml"})), "");
}

TEST_F(JobTest, ParamsAndOverridesSetKeys) {
  const auto job = Made(kRun, "run",
                        {"-m", "unet3d", "-g", "h100", "-na", "1", "-p",
                         "reader.batch_size=3", "++workload.train.epochs=9"});

  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job.value().config.workload.reader.batch_size, 3);
  EXPECT_EQ(job.value().config.workload.train.epochs, 9);
  EXPECT_THAT(job.value().config.overrides,
              ElementsAre("++workload.reader.batch_size=3",
                          "++workload.train.epochs=9"));
}

TEST_F(JobTest, UnknownKeysAreConfigurationErrors) {
  const auto job = Made(
      kRun, "run",
      {"-m", "unet3d", "-g", "h100", "-na", "1", "-p", "reader.batch_siz=3"});

  ASSERT_FALSE(job.ok());
  EXPECT_EQ(ExitCodeOf(job.status()), kExitConfiguration);
  EXPECT_THAT(std::string(job.status().message()),
              HasSubstr("did you mean 'reader.batch_size'"));
}

TEST_F(JobTest, CompatReachesTheConfiguration) {
  const auto job =
      Made(kRun, "run",
           {"-m", "unet3d", "-g", "h100", "-na", "1", "--compat", "v2.0"});

  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_TRUE(job.value().config.compat.v2_0);
}

TEST_F(JobTest, CommandLineIsWrittenSoThatItCanBeTypedAgain) {
  const Words words{
      "-m", "unet3d", "-g", "h100", "-na", "1", "--mpi-params=--bind-to none"};

  EXPECT_EQ(Made(kRun, "run", words).value().command_line(),
            "stoker training run -m unet3d -g h100 -na 1 "
            "'--mpi-params=--bind-to none'");
}

TEST_F(JobTest, HostsAreCountedUnlessTheirNumberIsGiven) {
  const Words words{"-m", "unet3d", "-g", "h100", "-na", "4", "-s", "a,b", "c"};
  Words with_number = words;
  with_number.insert(with_number.end(), {"-nc", "9"});

  EXPECT_EQ(Made(kRun, "run", words).value().host_count(), 3);
  EXPECT_EQ(Made(kRun, "run", with_number).value().host_count(), 9);
}

TEST_F(JobTest, LogLevelIsTheMostTalkativeAskedFor) {
  const Words base{"-m", "unet3d", "-g", "h100", "-na", "1"};
  const auto level = [&](const Words& more) {
    Words words = base;
    words.insert(words.end(), more.begin(), more.end());
    return Made(kRun, "run", words).value().log_level();
  };

  EXPECT_EQ(level({}), run::LogLevel::kInfo);
  EXPECT_EQ(level({"--stream-log-level", "ERROR"}), run::LogLevel::kError);
  EXPECT_EQ(level({"--verbose"}), run::LogLevel::kVerbose);
  EXPECT_EQ(level({"--verbose", "--debug"}), run::LogLevel::kDebug);
}

TEST_F(JobTest, SiteFileWinsOverTheCommandLine) {
  const Arguments arguments = Merged(
      "hosts: [a, b]\nresults_dir: /r\noversubscribe: true\n"
      "num_accelerators: 4\n",
      {"-na", "2", "-rd", "mine"});

  EXPECT_THAT(arguments.List("hosts"), ElementsAre("a", "b"));
  EXPECT_EQ(arguments.Text("results-dir"), "/r");
  EXPECT_TRUE(arguments.Flag("oversubscribe"));
  EXPECT_EQ(arguments.Integer("num-accelerators"), 4);
}

TEST_F(JobTest, FalseFlagsAndNullsOfASiteFileAreAbsent) {
  const Arguments arguments =
      Merged("closed: false\ndata_dir: null\n", {"-na", "2"});

  EXPECT_FALSE(arguments.Flag("closed"));
  EXPECT_FALSE(arguments.Given("data-dir"));
}

TEST_F(JobTest, ParamsOfASiteFileComeBehindTheTyped) {
  const Arguments arguments =
      Merged("params:\n  reader.batch_size: 5\n", {"-p", "train.epochs=1"});

  EXPECT_THAT(arguments.List("params"),
              ElementsAre("train.epochs=1", HasSubstr("reader.batch_size=5")));
}

TEST_F(JobTest, StorageUriIsADefaultForDataDir) {
  const std::string text = "storage:\n  uri: file:///mnt/x\n";

  EXPECT_EQ(Merged(text, {}).Text("data-dir"), "file:///mnt/x");
  EXPECT_EQ(Merged(text, {"-dd", "y"}).Text("data-dir"), "y");
}

TEST_F(JobTest, StorageUriIsADefaultForTheCheckpointFolder) {
  Arguments arguments =
      Parse(kCheckpointRun,
            {"-c", SiteFile("storage:\n  uri: file:///mnt/x\nkeep: 2\n")});

  ASSERT_TRUE(MergeSiteFile(kCheckpointRun, arguments).ok());
  EXPECT_EQ(arguments.Text("checkpoint-folder"), "file:///mnt/x");
  EXPECT_EQ(arguments.Integer("keep"), 2);
  EXPECT_FALSE(arguments.Given("data-dir"));
}

// One site file for all: the first row of a name is another command's.
TEST_F(JobTest, NamesWithSeveralRowsAreMergedByTheirCommand) {
  Arguments arguments =
      Parse(kCheckpointRun, {"-c", SiteFile("num_processes: 3\n")});

  ASSERT_TRUE(MergeSiteFile(kCheckpointRun, arguments).ok());
  EXPECT_EQ(arguments.Integer("num-processes"), 3);
}

TEST_F(JobTest, KeysOfOtherCommandsAreSkipped) {
  EXPECT_FALSE(Merged("num_processes: 3\n", {}).Given("num-processes"));
}

TEST_F(JobTest, MistakesInASiteFileNameLineAndNearestKey) {
  const std::string error =
      MergeError("hosts: a\nresult_dir: x\nopen: maybe\n");

  EXPECT_THAT(error, AllOf(HasSubstr("site.yaml:2: unknown key 'result_dir', "
                                     "did you mean 'results_dir'"),
                           HasSubstr("site.yaml:3: open is true or false")));
}

TEST_F(JobTest, MissingSiteFileIsNotFound) {
  Arguments arguments = Parse(kRun, {"-c", "/nowhere/site.yaml"});

  EXPECT_EQ(MergeSiteFile(kRun, arguments).code(), core::Code::kNotFound);
}

}  // namespace
}  // namespace stoker::cli::internal
