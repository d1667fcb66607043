#include "cli/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/cancel.h"
#include "core/text.h"
#include "reporting/json.h"
#include "tests/support/temp_dir.h"

namespace stoker::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStderr;
using ::testing::internal::GetCapturedStdout;
using Words = std::vector<std::string>;

std::string Slots(const Words& hosts, std::int64_t ranks) {
  const auto slots = AssignSlots(hosts, ranks);
  return slots.ok() ? slots.value()
                    : "error: " + std::string(slots.status().message());
}

TEST(AssignSlots, DividesAndTheFirstHostsGetOneMore) {
  EXPECT_EQ(Slots({"a", "b"}, 5), "a:3,b:2");
  EXPECT_EQ(Slots({"a", "b", "c"}, 8), "a:3,b:3,c:2");
  EXPECT_EQ(Slots({"127.0.0.1"}, 4), "127.0.0.1:4");
}

TEST(AssignSlots, HostsWithoutARankAreLeftOut) {
  EXPECT_EQ(Slots({"a", "b", "c"}, 2), "a:1,b:1");
}

TEST(AssignSlots, GivenSlotsAreUsedAsTheyAre) {
  EXPECT_EQ(Slots({"a:1", "b:8"}, 5), "a:1,b:8");
}

TEST(AssignSlots, GivenSlotsMustSuffice) {
  EXPECT_THAT(Slots({"a:1", "b:3"}, 5), HasSubstr("4 slots for 5 ranks"));
}

TEST(AssignSlots, AllHostsOrNoneHaveSlots) {
  EXPECT_THAT(Slots({"a:1", "b"}, 2), HasSubstr("all need it"));
}

TEST(AssignSlots, SlotsAreNumbersFromOneOn) {
  for (const std::string host : {"a:0", "a:x", "a:", ":3", "a:-1"}) {
    EXPECT_THAT(Slots({host}, 1), HasSubstr("'" + host + "'"));
  }
  EXPECT_THAT(Slots({}, 1), HasSubstr("no host"));
}

TEST(AssignSlots, FewerSlotsThanRanksNeedOversubscribe) {
  EXPECT_THAT(Slots({"a:1", "b:1"}, 5), HasSubstr("--oversubscribe"));
  EXPECT_EQ(AssignSlots({"a:1", "b:1"}, 5, true).value(), "a:1,b:1");
}

TEST(RanksOfHosts, FillHostsInBlocks) {
  EXPECT_THAT(RanksOfHosts({"a", "b", "c"}, 8).value(), ElementsAre(3, 3, 2));
  EXPECT_THAT(RanksOfHosts({"a:6", "b:6"}, 8).value(), ElementsAre(6, 2));
  // Hosts without a rank have no part.
  EXPECT_THAT(RanksOfHosts({"a:8", "b:8"}, 8).value(), ElementsAre(8));
  EXPECT_THAT(RanksOfHosts({"a", "b"}, 1).value(), ElementsAre(1));
  // Five ranks for two slots: three more, in turn.
  EXPECT_THAT(RanksOfHosts({"a:1", "b:1"}, 5, true).value(), ElementsAre(3, 2));
  EXPECT_FALSE(RanksOfHosts({"a:1", "b:1"}, 5).ok());
}

TEST(AssignSlots, UnevenSlotsStay) {
  EXPECT_EQ(Slots({"a:5", "b:4"}, 9), "a:5,b:4");
}

TEST(CheckHosts, EachHostStandsThereOnce) {
  for (const Words& hosts : {Words{"a", "b", "a"}, Words{"a:1", "a:2"}}) {
    const core::Status status = CheckHosts(hosts);
    EXPECT_EQ(status.code(), core::Code::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("'a' stands there twice; remedy"));
  }
  EXPECT_TRUE(CheckHosts({"a", "b", "10.0.0.1"}).ok());
}

TEST(CheckHosts, NamesAreNotEmptyNorOptions) {
  for (const std::string host : {"", "-x", "a b", "::1", "fe80::1:2"}) {
    const core::Status status = CheckHosts({"n1", host});
    EXPECT_EQ(status.code(), core::Code::kInvalidArgument) << host;
    EXPECT_THAT(std::string(status.message()), HasSubstr("'" + host + "'"));
  }
}

TEST(CheckHosts, EveryMistakeIsNamed) {
  const core::Status status = CheckHosts({"a", "", "a", "b:x", "c:2"});

  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("''"), HasSubstr("'a' stands"),
                    HasSubstr("'b:x'"), HasSubstr("all need it")));
}

TEST(SplitHosts, WordsMayHoldSeveralHosts) {
  EXPECT_THAT(SplitHosts({"a,b:2", "c", "d, e"}),
              ElementsAre("a", "b:2", "c", "d", "e"));
}

TEST(SplitHosts, EmptyNamesAreKeptToBeRefused) {
  EXPECT_THAT(SplitHosts({"a,,b", "c,"}), ElementsAre("a", "", "b", "c", ""));
}

TEST(ExportedNames, AreOursAndThoseOfS3) {
  const std::array<const char*, 8> environment{
      "STOKER_B=2",   "PATH=/bin",     "STOKER_A=", "XSTOKER_C=1",
      "AWS_REGION=x", "S3_ENDPOINT=y", "STOKER_D",  nullptr};

  EXPECT_THAT(ExportedNames(environment.data()),
              ElementsAre("AWS_REGION", "S3_ENDPOINT", "STOKER_A", "STOKER_B"));
}

TEST(SplitWords, SplitsAsAShellDoes) {
  EXPECT_THAT(SplitWords("--bind-to none").value(),
              ElementsAre("--bind-to", "none"));
  EXPECT_THAT(SplitWords("  a 'b c' \"d 'e'\"f \\\"g h\\ i ''").value(),
              ElementsAre("a", "b c", "d 'e'f", "\"g", "h i", ""));
  EXPECT_TRUE(SplitWords(" \t").value().empty());
  EXPECT_FALSE(SplitWords("a 'b").ok());
}

TEST(QuoteWords, IsReadBackBySplitWords) {
  const Words words{"mpirun", "-host",  "a:3,b:2", "--x=a b", "it's",
                    "",       "<time>", "$HOME",   "\"q\"",   "a\\b"};

  EXPECT_EQ(SplitWords(QuoteWords(words)).value(), words);
  EXPECT_EQ(QuoteWords({"a:3,b:2", "b c"}), "a:3,b:2 'b c'");
}

TEST(MpiCommand, HasTheReferencesOrder) {
  const LaunchPlan plan{.mpi_bin = "mpiexec",
                        .ranks = 5,
                        .host_slots = "a:3,b:2",
                        .oversubscribe = true,
                        .allow_run_as_root = true,
                        .mpi_params = {"--bind-to", "none", "-q"},
                        .exported = {"X"},
                        .program = {"stoker", "training", "run"}};

  EXPECT_THAT(
      MpiCommand(plan),
      ElementsAre("mpiexec", "-n", "5", "-host", "a:3,b:2", "--oversubscribe",
                  "--allow-run-as-root", "--bind-to", "none", "-q", "-x", "X",
                  "stoker", "training", "run"));
}

TEST(MpiCommand, BindsNothingUnlessAskedTo) {
  LaunchPlan plan;
  plan.ranks = 2;
  plan.host_slots = "a:2";
  plan.program = {"stoker"};

  EXPECT_THAT(MpiCommand(plan), ElementsAre("mpirun", "-n", "2", "-host", "a:2",
                                            "--bind-to", "none", "stoker"));
  plan.mpi_params = {"--map-by", "node"};
  EXPECT_THAT(MpiCommand(plan), ElementsAre("mpirun", "-n", "2", "-host", "a:2",
                                            "--map-by", "node", "stoker"));
}

std::string TextOf(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Runs shell commands as the child.
class RunChildTest : public ::testing::Test {
 protected:
  ChildResult Run(const std::string& script) {
    CaptureStdout();
    CaptureStderr();
    auto result = RunChild({"/bin/sh", "-c", script},
                           {.stdout_file = out_file(),
                            .stderr_file = err_file(),
                            .format = format_},
                           cancel_);
    out_ = GetCapturedStdout();
    err_ = GetCapturedStderr();
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    return result.ok() ? result.value() : ChildResult{};
  }
  std::string out_file() const { return (dir_.path() / "out").string(); }
  std::string err_file() const { return (dir_.path() / "err").string(); }

  stoker::testing::TempDir dir_;
  core::CancelFlag cancel_;
  run::LogFormat format_ = run::LogFormat::kText;
  std::string out_;
  std::string err_;
};

TEST_F(RunChildTest, OutputGoesThroughAndIntoTheFiles) {
  const ChildResult result = Run("echo one; echo two >&2; printf three");

  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.first_error, "");
  EXPECT_EQ(out_, "one\nthree");
  EXPECT_EQ(err_, "two\n");
  EXPECT_EQ(TextOf(out_file()), "one\nthree\n");
  EXPECT_EQ(TextOf(err_file()), "two\n");
}

TEST_F(RunChildTest, ProgressReachesTheTerminalButNoFile) {
  Run("printf '\\rstep 1\\033[K\\rstep 2\\033[K\\r\\033[Kepoch done\\n'");

  EXPECT_THAT(out_, HasSubstr("step 1"));
  EXPECT_EQ(TextOf(out_file()), "epoch done\n");
}

TEST_F(RunChildTest, LineEndsOfATerminalAreMadePlain) {
  Run("printf 'a\\r\\nb\\r\\n'");

  EXPECT_EQ(TextOf(out_file()), "a\nb\n");
}

TEST_F(RunChildTest, FirstErrorIsRemembered) {
  const ChildResult result =
      Run("echo 'x' >&2; echo '[0] stoker: error: the cause' >&2; echo "
          "'stoker: error: rank 1 is gone' >&2; exit 3");

  EXPECT_EQ(result.first_error, "the cause");
  EXPECT_EQ(result.exit_code, 3);
}

TEST_F(RunChildTest, RanksToldToStopAreNotTheCause) {
  const ChildResult rank =
      Run("echo 'stoker: error: barrier: the run was asked to stop' >&2; echo "
          "'stoker: error: rank 2: read x: gone' >&2; exit 6");
  const ChildResult lost_rank =
      Run("echo 'stoker: error: barrier: the run was asked to stop' >&2; echo "
          "'mpirun noticed that process rank 5 with PID 7 on node n2 exited on "
          "signal 9 (Killed).' >&2; exit 6");
  const ChildResult lost_host =
      Run("echo '  Remote daemon: [[1,0],1] on node n3' >&2; echo 'stoker: "
          "error: x: asked to stop' >&2; exit 6");
  const ChildResult stopped = Run("echo 'stoker: error: asked to stop' >&2");

  EXPECT_EQ(rank.first_error, "rank 2: read x: gone");
  EXPECT_THAT(lost_rank.first_error, HasSubstr("rank 5"));
  EXPECT_THAT(lost_rank.first_error, HasSubstr("n2"));
  EXPECT_EQ(lost_host.first_error, "mpirun lost host n3");
  EXPECT_TRUE(lost_host.is_cause);
  EXPECT_EQ(stopped.first_error, "asked to stop");
  EXPECT_FALSE(stopped.is_cause);
}

TEST_F(RunChildTest, AsJsonLinesOfTheRanksGoThroughAndOthersAreWrapped) {
  format_ = run::LogFormat::kJson;
  Run("printf '{\"event\":\"epoch_end\",\"epoch\":1}\\r\\n\\n[1,2]\\nmpi "
      "\"x\"'; "
      "echo 'mpirun: oops' >&2");

  const std::vector<std::string_view> lines = core::Split(out_, '\n');
  ASSERT_EQ(lines.size(), 4U) << out_;  // the last is empty
  EXPECT_EQ(lines[0], R"({"event":"epoch_end","epoch":1})");
  for (const auto& [line, message] :
       {std::pair{lines[1], "[1,2]"}, std::pair{lines[2], "mpi \"x\""}}) {
    const auto parsed = reporting::ParseJson(line);
    ASSERT_TRUE(parsed.ok()) << line;
    EXPECT_EQ(reporting::DumpJson(*parsed.value().Find("event"), -1),
              "\"launcher\"");
    EXPECT_EQ(std::get<std::string>(parsed.value().Find("message")->value()),
              message);
  }
  EXPECT_THAT(err_, HasSubstr(R"("level":"WARNING")"));
  EXPECT_EQ(TextOf(out_file()), out_);
  EXPECT_EQ(TextOf(err_file()), err_);
}

TEST_F(RunChildTest, AsJsonTheFirstErrorIsRemembered) {
  format_ = run::LogFormat::kJson;
  const ChildResult result =
      Run(R"(echo '{"level":"WARNING","message":"no"}' >&2; )"
          R"(echo '{"level":"ERROR","message":"the cause"}' >&2; )"
          R"(echo '{"level":"ERROR","message":"later"}' >&2; exit 1)");

  EXPECT_EQ(result.first_error, "the cause");
  EXPECT_EQ(result.exit_code, 1);
}

TEST_F(RunChildTest, OnlyStatusesOfOursAreKept) {
  EXPECT_EQ(Run("exit 5").exit_code, 5);
  EXPECT_EQ(Run("exit 7").exit_code, 7);
  EXPECT_EQ(Run("exit 130").exit_code, 130);
  EXPECT_EQ(Run("exit 8").exit_code, 6);
  EXPECT_EQ(Run("exit 213").exit_code, 6);
  // mpirun's own failure, without a word of ours.
  EXPECT_EQ(Run("exit 1").exit_code, 6);
  EXPECT_EQ(Run("echo 'stoker: error: rules' >&2; exit 1").exit_code, 1);
}

TEST_F(RunChildTest, KilledChildIsAFailure) {
  const ChildResult result = Run("kill -9 $$");

  EXPECT_EQ(result.exit_code, 6);
  EXPECT_EQ(result.status, "was killed by signal 9");
}

TEST_F(RunChildTest, CancelEndsTheChild) {
  cancel_.Set();

  // Would run for minutes.
  const ChildResult result = Run("exec sleep 600");

  EXPECT_EQ(result.exit_code, 130);
  EXPECT_EQ(result.status, "was killed by signal 15");
}

TEST_F(RunChildTest, ChildGetsNoInput) {
  EXPECT_EQ(Run("if read line; then exit 4; fi").exit_code, 0);
}

TEST_F(RunChildTest, MissingProgramNamesTheRemedy) {
  const auto result = RunChild({"/nowhere/mpirun"}, {}, cancel_);

  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), core::Code::kNotFound);
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("'/nowhere/mpirun'"));
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("MPI_RUN_BIN"));
}

}  // namespace
}  // namespace stoker::cli
