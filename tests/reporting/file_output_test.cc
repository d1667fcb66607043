#include "reporting/internal/file_output.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "tests/reporting/synthetic_run.h"
#include "tests/support/temp_dir.h"

namespace stoker::reporting {
namespace {

TEST(NewFile, IsThereOnlyOnceCommitted) {
  const testing::TempDir folder;
  const std::string path = folder.str() + "/a";
  core::Result<NewFile> file = NewFile::Make(path);
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  ASSERT_TRUE(file.value().Write("whole").ok());
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_TRUE(file.value().Commit().ok());
  EXPECT_EQ(testing::Slurp(path), "whole");
}

TEST(NewFile, LeavesNothingWithoutCommit) {
  const testing::TempDir folder;
  {
    core::Result<NewFile> file = NewFile::Make(folder.str() + "/a");
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file.value().Write("half").ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(NewFile, TwoWritersOfOneFileDoNotMix) {
  const testing::TempDir folder;
  const std::string path = folder.str() + "/a";
  core::Result<NewFile> one = NewFile::Make(path);
  core::Result<NewFile> two = NewFile::Make(path);
  ASSERT_TRUE(one.ok() && two.ok());
  ASSERT_TRUE(one.value().Write("one").ok());
  ASSERT_TRUE(two.value().Write("two").ok());
  ASSERT_TRUE(one.value().Commit().ok());
  ASSERT_TRUE(two.value().Commit().ok());
  EXPECT_EQ(testing::Slurp(path), "two");
}

TEST(WriteFile, MissingFolderIsNamed) {
  const core::Status status = WriteFile("/nonexistent/a", "text");
  EXPECT_EQ(status.code(), core::Code::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr("/nonexistent/a"));
}

TEST(WriteAll, FullDeviceGivesItsErrno) {
  const int fd = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(WriteAll(fd, "text"), ENOSPC);
  ::close(fd);
}

TEST(ReadFile, MissingFileIsNamed) {
  const core::Result<std::string> text = ReadFile("/nonexistent/a");
  EXPECT_EQ(text.status().code(), core::Code::kNotFound);
}

TEST(ObjectFile, LooksAsIfDumpedAtOnce) {
  const testing::TempDir folder;
  const std::string path = folder.str() + "/a.json";
  Json inner = Json::MakeObject();
  inner.Add("x", Json::Array{1, 2}).Add("y", "line\nbreak");
  core::Result<ObjectFile> file = ObjectFile::Make(path);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file.value().Add("1", inner).ok());
  ASSERT_TRUE(file.value().Add("host", "a").ok());
  ASSERT_TRUE(file.value().Commit().ok());
  Json whole = Json::MakeObject();
  whole.Add("1", inner).Add("host", "a");
  EXPECT_EQ(testing::Slurp(path), DumpJson(whole, 4) + '\n');
}

TEST(ObjectFile, WithoutFieldsIsAnEmptyObject) {
  const testing::TempDir folder;
  const std::string path = folder.str() + "/a.json";
  core::Result<ObjectFile> file = ObjectFile::Make(path);
  ASSERT_TRUE(file.ok() && file.value().Commit().ok());
  EXPECT_EQ(testing::Slurp(path), "{}\n");
}

}  // namespace
}  // namespace stoker::reporting
