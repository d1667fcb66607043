#include "run/console.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "tests/support/temp_dir.h"

namespace stoker::run {
namespace {

using ::testing::internal::CaptureStderr;
using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStderr;
using ::testing::internal::GetCapturedStdout;

std::string TextOf(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Console, PrintsUpToItsLevel) {
  Console console({.level = LogLevel::kInfo});

  CaptureStdout();
  CaptureStderr();
  console.Info("a line");
  console.Print(LogLevel::kVerbose, "too much");
  console.Warn("take care");

  EXPECT_EQ(GetCapturedStdout(), "a line\n");
  EXPECT_EQ(GetCapturedStderr(), "stoker: warning: take care\n");
}

TEST(Console, SilentRanksStillTellTheirErrors) {
  Console console({.speaks = false});

  CaptureStdout();
  CaptureStderr();
  console.Info("a line");
  console.Warn("take care");
  console.Error("it broke");

  EXPECT_EQ(GetCapturedStdout(), "");
  EXPECT_EQ(GetCapturedStderr(), "stoker: error: it broke\n");
}

Event Line(const std::string& text) {
  return {.name = "progress", .text = text};
}

TEST(Console, CopiesHoldLinesButNoProgress) {
  const stoker::testing::TempDir dir;
  const auto out = dir.path() / "out";
  const auto err = dir.path() / "err";
  CaptureStdout();
  CaptureStderr();
  {
    Console console({.progress_columns = 40});
    console.CopyTo(out.string(), err.string());
    console.Progress(Line("half way"));
    console.Info("done");
    console.Warn("take care");
  }
  static_cast<void>(GetCapturedStderr());

  EXPECT_EQ(GetCapturedStdout(), "\rhalf way\x1b[K\r\x1b[Kdone\n");
  EXPECT_EQ(TextOf(out), "done\n");
  EXPECT_EQ(TextOf(err), "stoker: warning: take care\n");
}

TEST(Console, ProgressIsCutToTheTerminal) {
  CaptureStdout();
  Console console({.progress_columns = 6});
  console.Progress(Line("0123456789"));

  EXPECT_EQ(GetCapturedStdout(), "\r01234\x1b[K");
}

TEST(Console, ANarrowTerminalGetsTheBriefForm) {
  const Event event{
      .name = "progress", .text = "the whole story", .brief = "in short"};
  CaptureStdout();
  Console(ConsoleOptions{.progress_columns = 15}).Progress(event);
  const std::string narrow = GetCapturedStdout();
  CaptureStdout();
  Console(ConsoleOptions{.progress_columns = 16}).Progress(event);
  const std::string wide = GetCapturedStdout();

  EXPECT_EQ(narrow, "\rin short\x1b[K\r\x1b[K");
  EXPECT_EQ(wide, "\rthe whole story\x1b[K\r\x1b[K");
}

TEST(Console, WithoutATerminalProgressIsALine) {
  Console console({});
  CaptureStdout();
  console.Progress(Line("half way"));

  EXPECT_EQ(GetCapturedStdout(), "half way\n");
}

// How often progress is due in the minute after `start`, asked each 10 ms.
int DueInAMinute(const ConsoleOptions& options) {
  Console console(options);
  int due = 0;
  // Not at the clock's zero.
  core::TimePoint now{std::chrono::hours(1)};
  for (int i = 0; i < 6000; ++i) {
    due += console.ProgressDue(now) ? 1 : 0;
    now += std::chrono::milliseconds(10);
  }
  return due;
}

TEST(Console, ProgressIsDueAsOftenAsTheReaderCanUseIt) {
  // Every 340 ms (the first ask after 333 ms): 60 / 0.34 = 176.5.
  EXPECT_EQ(DueInAMinute({.progress_columns = 80}), 177);
  EXPECT_EQ(DueInAMinute({.format = LogFormat::kJson}), 12);
  EXPECT_EQ(DueInAMinute({.format = LogFormat::kJson, .progress_columns = 80}),
            12);
  EXPECT_EQ(DueInAMinute({}), 1);  // at 30 s, the next at 60 s
}

TEST(Console, ProgressIsNeverDueForTheSilent) {
  EXPECT_EQ(DueInAMinute({.speaks = false, .progress_columns = 80}), 0);
  EXPECT_EQ(DueInAMinute({.level = LogLevel::kWarning}), 0);
  EXPECT_EQ(
      DueInAMinute({.level = LogLevel::kError, .format = LogFormat::kJson}), 0);
}

reporting::Json ParsedLine(const std::string& line) {
  EXPECT_TRUE(line.ends_with('\n')) << line;
  EXPECT_EQ(std::ranges::count(line, '\n'), 1) << line;
  auto parsed = reporting::ParseJson(line);
  EXPECT_TRUE(parsed.ok()) << line;
  return parsed.ok() ? parsed.value() : reporting::Json();
}

std::string Field(const reporting::Json& line, std::string_view key) {
  const reporting::Json* field = line.Find(key);
  return field == nullptr ? "(none)" : reporting::DumpJson(*field, -1);
}

TEST(LogLine, JsonHasTimeLevelEventAndTypedFields) {
  const Event event{.name = "epoch_end",
                    .text = "epoch 2 of 5 is over",
                    .fields = {{"epoch", 2},
                               {"au_percent", 99.5},
                               {"gib_per_s", reporting::Json()},
                               {"host", "a \"b\"\n"}}};
  const reporting::Json line =
      ParsedLine(LogLine(LogFormat::kJson, LogLevel::kInfo, event));
  // "2025-08-01T12:00:00.123456+02:00"
  EXPECT_EQ(Field(line, "time").size(), 34U);
  EXPECT_EQ(Field(line, "level"), "\"INFO\"");
  EXPECT_EQ(Field(line, "event"), "\"epoch_end\"");
  EXPECT_EQ(Field(line, "epoch"), "2");
  EXPECT_EQ(Field(line, "au_percent"), "99.5");
  EXPECT_EQ(Field(line, "gib_per_s"), "null");
  EXPECT_EQ(Field(line, "host"), R"("a \"b\"\n")");
  EXPECT_EQ(Field(line, "message"), "(none)");
}

TEST(Console, AsJsonEveryLineIsAnObject) {
  Console console({.format = LogFormat::kJson, .progress_columns = 80});
  CaptureStdout();
  CaptureStderr();
  console.Info("two\nlines");
  const std::string info = GetCapturedStdout();
  CaptureStdout();
  console.Progress({.name = "progress", .text = "x", .fields = {{"step", 3}}});
  const std::string progress = GetCapturedStdout();
  console.Warn("take care");
  const std::string warning = GetCapturedStderr();
  CaptureStderr();
  console.Error("it broke");
  const std::string error = GetCapturedStderr();

  EXPECT_EQ(Field(ParsedLine(info), "message"), R"("two\nlines")");
  EXPECT_EQ(Field(ParsedLine(progress), "step"), "3");
  EXPECT_EQ(Field(ParsedLine(warning), "level"), "\"WARNING\"");
  EXPECT_EQ(Field(ParsedLine(warning), "message"), "\"take care\"");
  EXPECT_EQ(Field(ParsedLine(error), "level"), "\"ERROR\"");
  EXPECT_EQ(Field(ParsedLine(error), "event"), "\"error\"");
}

}  // namespace
}  // namespace stoker::run
