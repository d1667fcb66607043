#include "run/internal/between.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "run/internal/epoch_witness.h"
#include "tests/support/temp_dir.h"

namespace stoker::run::internal {
namespace {

using ::testing::HasSubstr;

TEST(DropCaches, WritesThreeToTheControlFile) {
  const stoker::testing::TempDir dir;
  const std::string control = dir.str() + "/drop_caches";
  std::ofstream(control) << "0\n";
  const core::CancelFlag cancel;
  const core::Status status = DropCaches(
      {.limit = std::chrono::minutes(10), .control = control}, cancel);
  ASSERT_TRUE(status.ok()) << status.ToString();
  std::ifstream file(control);
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "3");
}

TEST(DropCaches, WhereItMayNotBeDoneNothingIsBegunAndTheRemedyIsTold) {
  const DropCachesOptions options{.limit = std::chrono::seconds(1),
                                  .remedy = "ask the owner",
                                  .control = "/nonexistent/drop_caches"};
  const core::CancelFlag cancel;
  for (const core::Status& status :
       {CheckDropCaches(options), DropCaches(options, cancel)}) {
    EXPECT_EQ(status.code(), core::Code::kNotFound);
    EXPECT_THAT(status.message(), HasSubstr("/nonexistent/drop_caches"));
    EXPECT_THAT(status.message(), HasSubstr("remedy: ask the owner"));
  }
}

// A pipe that holds nothing more: whoever writes to it waits.
TEST(DropCaches, IsGivenUpAfterItsLimit) {
  const stoker::testing::TempDir dir;
  const std::string control = dir.str() + "/drop_caches";
  ASSERT_EQ(::mkfifo(control.c_str(), 0600), 0);
  const int pipe = ::open(control.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(pipe, 0);
  const std::string fill(4096, 'x');
  while (::write(pipe, fill.data(), fill.size()) > 0) {
  }
  const core::CancelFlag cancel;
  const core::Status status =
      DropCaches({.limit = std::chrono::milliseconds(20),
                  .remedy = {},
                  .control = control},
                 cancel);
  ::close(pipe);
  EXPECT_EQ(status.code(), core::Code::kTimedOut);
  EXPECT_THAT(status.message(), HasSubstr("not done within 20"));
}

TEST(LocalPathOf, IsThatOfTheInnermostStore) {
  EXPECT_EQ(LocalPathOf("file:///nowhere/a"), "/nowhere/a");
  EXPECT_EQ(LocalPathOf("direct:///nowhere/a?engine=threads"), "/nowhere/a");
  EXPECT_EQ(LocalPathOf("fault:?errors=1,file:///nowhere/a"), "/nowhere/a");
  EXPECT_EQ(LocalPathOf("mem:x"), "");
  EXPECT_EQ(LocalPathOf("null:"), "");
  EXPECT_EQ(LocalPathOf("s3://bucket/a"), "");
  const stoker::testing::TempDir dir;
  const auto real = std::filesystem::canonical(dir.path());
  std::filesystem::create_directory(real / "set");
  std::filesystem::create_directory_symlink(real / "set", real / "link");
  EXPECT_EQ(LocalPathOf("file://" + (real / "link").string()),
            (real / "set").string());
  EXPECT_EQ(LocalPathOf("file://here"),
            (std::filesystem::current_path() / "here").string());
}

}  // namespace
}  // namespace stoker::run::internal
