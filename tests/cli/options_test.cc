#include "cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  auto arguments = ParseArguments(TrainingOptions(), command, words);
  EXPECT_TRUE(arguments.ok()) << arguments.status().ToString();
  return arguments.ok() ? arguments.value() : Arguments{};
}

std::string ParseError(CommandSet command, const Words& words) {
  const auto arguments = ParseArguments(TrainingOptions(), command, words);
  EXPECT_FALSE(arguments.ok());
  return std::string(arguments.status().message());
}

std::string CheckError(CommandSet command, const Words& words) {
  const core::Status status =
      CheckArguments(TrainingOptions(), command, Parse(command, words));
  EXPECT_FALSE(status.ok());
  return std::string(status.message());
}

TEST(ParseArguments, EachShortFormIsItsOption) {
  int count = 0;
  for (const Option& option : TrainingOptions()) {
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
  EXPECT_EQ(count, 15);  // -s -m -g -na -ma -np -cm -nc -dd -p -rd -c -et -dp
                         // -aip
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
  EXPECT_TRUE(CheckArguments(TrainingOptions(), kDatagen,
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
  for (const CommandSet command : {kDatasize, kDatagen, kRun, kConfigview}) {
    const std::string text = DescribeOptions(TrainingOptions(), command);
    for (const Option& option : TrainingOptions()) {
      const bool listed = text.find("  --" + std::string(option.name) + "\n") !=
                              std::string::npos ||
                          text.find("  --" + std::string(option.name) + " ") !=
                              std::string::npos ||
                          text.find("  --" + std::string(option.name) + ",") !=
                              std::string::npos;
      EXPECT_EQ(listed, (option.commands & command) != 0) << option.name;
    }
  }
}

TEST(TrainingOptions, RowsAreConsistent) {
  for (const Option& option : TrainingOptions()) {
    EXPECT_EQ(option.required & ~option.commands, 0U) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
    EXPECT_EQ(option.value_name.empty(), option.kind == ValueKind::kFlag)
        << option.name;
  }
}

}  // namespace
}  // namespace stoker::cli
