#include "run/console.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

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

TEST(Console, CopiesHoldLinesButNoProgress) {
  const stoker::testing::TempDir dir;
  const auto out = dir.path() / "out";
  const auto err = dir.path() / "err";
  CaptureStdout();
  CaptureStderr();
  {
    Console console({.progress_columns = 40});
    console.CopyTo(out.string(), err.string());
    console.Progress("half way");
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
  console.Progress("0123456789");

  EXPECT_EQ(GetCapturedStdout(), "\r01234\x1b[K");
}

TEST(Console, WithoutATerminalThereIsNoProgress) {
  Console console({});
  CaptureStdout();
  console.Progress("half way");

  EXPECT_EQ(GetCapturedStdout(), "");
  EXPECT_FALSE(console.shows_progress());
}

}  // namespace
}  // namespace stoker::run
