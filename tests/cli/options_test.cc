#include "cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace stoker::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Words = std::vector<std::string>;

Arguments Parse(CommandSet command, const Words& words) {
  auto arguments = ParseArguments(JobOptions(), command, words);
  EXPECT_TRUE(arguments.ok()) << arguments.status().ToString();
  return arguments.ok() ? arguments.value() : Arguments{};
}

std::string ParseError(CommandSet command, const Words& words) {
  const auto arguments = ParseArguments(JobOptions(), command, words);
  EXPECT_FALSE(arguments.ok());
  return std::string(arguments.status().message());
}

std::string CheckError(CommandSet command, const Words& words) {
  const core::Status status =
      CheckArguments(JobOptions(), command, Parse(command, words));
  EXPECT_FALSE(status.ok());
  return std::string(status.message());
}

TEST(ParseArguments, EachShortFormIsItsOption) {
  int count = 0;
  for (const Option& option : JobOptions()) {
    if (option.short_form.empty()) {
      continue;
    }
    Words words{std::string(option.short_form)};
    if (option.kind != ValueKind::kFlag) {
      words.emplace_back("7");
    }
    // The lowest command the option belongs to.
    const CommandSet command = option.commands & (~option.commands + 1);
    EXPECT_TRUE(Parse(command, words).Given(option.name)) << option.name;
    ++count;
  }
  // -s -m -g -na -ma -np -cm -nc -dd -p -rd -c -et -dp -aip, -cf -ncw -ncr, and
  // -m -np -cm once more for checkpoints.
  EXPECT_EQ(count, 21);
}

TEST(ParseArguments, ValuesMayFollowAnEqualsSign) {
  const Arguments arguments =
      Parse(kDatagen, {"-np=4", "--data-dir=/mnt/x=y", "-m=unet3d"});

  EXPECT_EQ(arguments.Integer("num-processes"), 4);
  EXPECT_EQ(arguments.Text("data-dir"), "/mnt/x=y");
  EXPECT_EQ(arguments.Text("model"), "unet3d");
}

TEST(ParseArguments, ListsTakeSeveralWordsAndRepeat) {
  const Arguments arguments =
      Parse(kRun, {"--hosts", "a", "b,c", "-p", "x.y=1", "x.z=2", "-na", "2",
                   "--params", "x.w=3"});

  EXPECT_THAT(arguments.List("hosts"), ElementsAre("a", "b,c"));
  EXPECT_THAT(arguments.List("params"), ElementsAre("x.y=1", "x.z=2", "x.w=3"));
  EXPECT_EQ(arguments.Integer("num-accelerators"), 2);
}

TEST(ParseArguments, ParamIsAnAliasOfParams) {
  const Arguments arguments =
      Parse(kRun, {"--param", "a.b=1", "a.c=2", "--param=a.d=3"});

  EXPECT_THAT(arguments.List("params"), ElementsAre("a.b=1", "a.c=2", "a.d=3"));
}

TEST(ParseArguments, RepeatedSingleValuesTheLastWins) {
  EXPECT_EQ(Parse(kRun, {"-na", "2", "-na", "3"}).Integer("num-accelerators"),
            3);
}

TEST(ParseArguments, OverridesOfAllFormsKeepTheirOrder) {
  const Arguments arguments =
      Parse(kRun, {"a.b=1", "++workload.a.b=2", "-na", "2", "~a.c", "+a.d=4",
                   "--oversubscribe", "a.b=5"});

  EXPECT_THAT(arguments.overrides(), ElementsAre("a.b=1", "++workload.a.b=2",
                                                 "~a.c", "+a.d=4", "a.b=5"));
  EXPECT_TRUE(arguments.Flag("oversubscribe"));
}

TEST(ParseArguments, LauncherWordsMayBeginWithDashes) {
  EXPECT_THAT(Parse(kRun, {"--mpi-params=--bind-to none", "--mpi-params=-q"})
                  .List("mpi-params"),
              ElementsAre("--bind-to none", "-q"));
}

TEST(ParseArguments, UnknownOptionsNameTheNearest) {
  EXPECT_THAT(ParseError(kRun, {"--num-acelerators", "2"}),
              HasSubstr("did you mean --num-accelerators?"));
  EXPECT_THAT(ParseError(kRun, {"--qqq"}), HasSubstr("--help"));
}

TEST(ParseArguments, AbbreviationsAreRefusedWithTheWholeName) {
  EXPECT_THAT(ParseError(kRun, {"--client-host", "2"}),
              HasSubstr("--client-host-memory-in-gb"));
}

TEST(ParseArguments, UnknownShortFormsAreNotOverrides) {
  EXPECT_THAT(ParseError(kRun, {"-na", "2", "-zz"}), HasSubstr("'-zz'"));
}

TEST(ParseArguments, OptionsOfOtherCommandsAreUnknown) {
  EXPECT_THAT(ParseError(kDatagen, {"--num-accelerators", "2"}),
              HasSubstr("num-accelerators"));
  EXPECT_THAT(ParseError(kDatagen, {"-na", "2"}), HasSubstr("-na"));
}

// As in the reference: a word with a blank in it is a value.
TEST(ParseArguments, OptionsForTheLauncherMayFollowABlank) {
  const Arguments arguments =
      Parse(kRun, {"--mpi-params", "-q -x A", "--mpi-params", "--bind-to none",
                   "--mpi-params=-v", "--oversubscribe", "++a.b=c"});

  EXPECT_THAT(arguments.List("mpi-params"),
              ElementsAre("-q -x A", "--bind-to none", "-v"));
  EXPECT_TRUE(arguments.Flag("oversubscribe"));
  EXPECT_THAT(arguments.overrides(), ElementsAre("++a.b=c"));
  EXPECT_THAT(ParseError(kRun, {"--data-dir", "-x y"}), HasSubstr("-x y"));
}

TEST(ParseArguments, RunsToWarmUpBelongToRun) {
  EXPECT_TRUE(Parse(kRun, {"--loops", "2", "--warm-up"}).Flag("warm-up"));
  EXPECT_THAT(ParseError(kDatagen, {"--warm-up"}), HasSubstr("--warm-up"));
}

TEST(ParseArguments, HistoryHasATableOfItsOwn) {
  const std::vector<std::string> words{"-n", "5", "--id", "3"};
  const auto arguments = ParseArguments(HistoryOptions(), kHistory, words);

  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(arguments.value().Integer("limit"), 5);
  EXPECT_EQ(arguments.value().Integer("id"), 3);
  EXPECT_THAT(ParseError(kRun, {"--limit", "5"}), HasSubstr("--limit"));
}

TEST(ParseArguments, MissingValuesAreAnError) {
  EXPECT_THAT(ParseError(kRun, {"--data-dir"}), HasSubstr("data-dir"));
}

TEST(Arguments, AbsentOptionsHaveTheirFallback) {
  const Arguments arguments = Parse(kRun, {});

  EXPECT_EQ(arguments.Text("results-dir"), "results");
  EXPECT_EQ(arguments.Integer("loops"), 1);
  EXPECT_THAT(arguments.List("hosts"), ElementsAre("127.0.0.1"));
  EXPECT_THAT(arguments.List("params"), IsEmpty());
  EXPECT_FALSE(arguments.Flag("closed"));
  EXPECT_FALSE(arguments.Given("results-dir"));
}

TEST(CheckArguments, EachCommandHasItsRequiredOptions) {
  EXPECT_THAT(CheckError(kRun, {}), HasSubstr("--num-accelerators"));
  EXPECT_THAT(CheckError(kDatagen, {}), HasSubstr("--num-processes"));
  EXPECT_THAT(CheckError(kDatasize, {}),
              AllOf(HasSubstr("--max-accelerators"),
                    HasSubstr("--client-host-memory-in-gb")));
}

TEST(CheckArguments, IntegersAreWholeNumbersInRange) {
  for (const std::string value : {"x", "0", "-1", "1.5"}) {
    EXPECT_THAT(CheckError(kRun, {"--num-accelerators=" + value}),
                HasSubstr("--num-accelerators: '" + value + "'"));
  }
  EXPECT_THAT(CheckError(kDatagen, {"-np", "1", "--distinct=-1"}),
              HasSubstr("--distinct"));
}

TEST(CheckArguments, ZeroIsAllowedWhereItMeansNone) {
  EXPECT_TRUE(CheckArguments(JobOptions(), kDatagen,
                             Parse(kDatagen, {"-np", "1", "--distinct", "0"}))
                  .ok());
}

TEST(CheckArguments, ChoicesAreAmongTheAllowed) {
  EXPECT_THAT(CheckError(kRun, {"-na", "1", "--exec-type", "slurm"}),
              HasSubstr("mpi|docker"));
  EXPECT_THAT(CheckError(kRun, {"-na", "1", "--compat", "v1.0"}),
              HasSubstr("v2.0|none"));
}

TEST(CheckArguments, AllMistakesAreToldAtOnce) {
  EXPECT_THAT(
      CheckError(kRun, {"-na", "x", "--loops", "y", "--open", "--closed"}),
      AllOf(HasSubstr("--num-accelerators"), HasSubstr("--loops"),
            HasSubstr("exclude each other")));
}

TEST(DescribeOptions, TellsEveryOptionOfACommandAndNoOther) {
  for (const CommandSet command :
       {kDatasize, kDatagen, kRun, kConfigview, kCheckpointDatasize,
        kCheckpointRun, kCheckpointView, kCheckpointVerify,
        kCheckpointDelete}) {
    const std::string text = DescribeOptions(JobOptions(), command);
    for (const Option& option : JobOptions()) {
      const bool listed = text.find("  --" + std::string(option.name) + "\n") !=
                              std::string::npos ||
                          text.find("  --" + std::string(option.name) + " ") !=
                              std::string::npos ||
                          text.find("  --" + std::string(option.name) + ",") !=
                              std::string::npos;
      const bool belongs =
          std::ranges::any_of(JobOptions(), [&](const Option& row) {
            return row.name == option.name && (row.commands & command) != 0;
          });
      EXPECT_EQ(listed, belongs) << option.name;
    }
  }
}

TEST(JobOptions, RowsAreConsistent) {
  for (const Option& option : JobOptions()) {
    EXPECT_EQ(option.required & ~option.commands, 0U) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
    EXPECT_EQ(option.value_name.empty(), option.kind == ValueKind::kFlag)
        << option.name;
  }
}

TEST(JobOptions, RowsOfANameDifferInTheirCommandsOnly) {
  for (const Option& one : JobOptions()) {
    for (const Option& other : JobOptions()) {
      if (&one == &other || one.name != other.name) {
        continue;
      }
      EXPECT_EQ(one.commands & other.commands, 0U) << one.name;
      EXPECT_EQ(one.fallback, other.fallback) << one.name;
      EXPECT_EQ(one.short_form, other.short_form) << one.name;
    }
  }
}

TEST(ParseArguments, CheckpointsHaveTheNamesOfTheReference) {
  const Arguments arguments = Parse(
      kCheckpointRun, {"-s",   "a:4",       "-cm",  "64",
                       "-m",   "llama3-8b", "-ncr", "2",
                       "-ncw", "3",         "-np",  "8",
                       "-cf",  "/mnt/ck",   "-p",   "checkpoint.fsync=true",
                       "-rd",  "r",         "-c",   "site.yaml"});

  EXPECT_EQ(arguments.Integer("client-host-memory-in-gb"), 64);
  EXPECT_EQ(arguments.Integer("num-checkpoints-read"), 2);
  EXPECT_EQ(arguments.Integer("num-checkpoints-write"), 3);
  EXPECT_EQ(arguments.Integer("num-processes"), 8);
  EXPECT_EQ(arguments.Text("checkpoint-folder"), "/mnt/ck");
}

TEST(ParseArguments, APlaceBelongsToNoOption) {
  const Arguments arguments =
      Parse(kCheckpointVerify, {"/mnt/ck", "--log-format", "json"});

  EXPECT_THAT(arguments.overrides(), ElementsAre("/mnt/ck"));
  EXPECT_EQ(arguments.Text("log-format"), "json");
}

TEST(Arguments, ValuesAreReadInTheirUnits) {
  const Arguments arguments =
      Parse(kCheckpointRun | kCheckpointDatasize,
            {"--pool", "1.5GiB", "--mtbf", "4h", "--gib-per-s", "2.5"});

  EXPECT_EQ(arguments.Bytes("pool"), 3ULL << 29);
  EXPECT_EQ(arguments.Seconds("mtbf"), 14400);
  EXPECT_EQ(arguments.Number("gib-per-s"), 2.5);
  EXPECT_EQ(Parse(kCheckpointRun, {}).Bytes("pool"), 256ULL << 20);
}

TEST(CheckArguments, CheckpointsNeedRanksAndAPlace) {
  EXPECT_THAT(
      CheckError(kCheckpointRun, {}),
      AllOf(HasSubstr("--num-processes"), HasSubstr("--checkpoint-folder")));
  EXPECT_THAT(CheckError(kCheckpointDatasize, {}),
              AllOf(HasSubstr("--num-processes"),
                    HasSubstr("--client-host-memory-in-gb")));
  EXPECT_TRUE(
      CheckArguments(JobOptions(), kCheckpointView, Parse(kCheckpointView, {}))
          .ok());
}

TEST(CheckArguments, CountsOfCheckpointsMayBeZeroAndNotLess) {
  const Words base{"-np", "8", "-cf", "x"};
  const auto with = [&](const std::string& word) {
    Words words = base;
    words.push_back(word);
    return words;
  };

  EXPECT_TRUE(CheckArguments(JobOptions(), kCheckpointRun,
                             Parse(kCheckpointRun, with("-ncr=0")))
                  .ok());
  EXPECT_THAT(CheckError(kCheckpointRun, with("-ncr=-1")),
              HasSubstr("--num-checkpoints-read: '-1' is not a whole number "
                        "from 0 on"));
}

TEST(CheckArguments, SizesTimesAndNumbersSayWhatTheyAre) {
  const Words words{
      "-np", "8", "-cf", "x", "--pool", "8M", "--mtbf", "4d", "--gib-per-s=-1",
      "-cm", "1"};
  EXPECT_THAT(CheckError(kCheckpointRun | kCheckpointDatasize, words),
              AllOf(HasSubstr("--pool: '8M' is not a size"),
                    HasSubstr("--mtbf: '4d' is not a time above 0"),
                    HasSubstr("--gib-per-s: '-1' is not a number above 0")));
}

}  // namespace
}  // namespace stoker::cli
