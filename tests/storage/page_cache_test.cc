// What the page cache holds of an object, on the file system of TempDir.

#include "storage/internal/page_cache.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "storage/internal/file_paths.h"
#include "tests/storage/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::storage {
namespace {

using testing::Letters;
using testing::Open;

constexpr std::size_t kSize = 300'001;  // no multiple of a page

class PageCache : public ::testing::Test {
 protected:
  void SetUp() override {
    const core::Status status =
        WriteObject(*backend_, "folder/a", Letters(kSize), clock_);
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  std::uint64_t Cached(std::string_view name) {
    const auto bytes = backend_->CachedBytes(name);
    EXPECT_TRUE(bytes.ok()) << bytes.status().ToString();
    return bytes.ok() ? bytes.value().value_or(UINT64_MAX) : UINT64_MAX;
  }
  // Files that are nothing but pages.
  bool LivesInMemory() const {
    return internal::FileSystemOf(dir_.str()).starts_with("tmpfs");
  }

  testing::TempDir dir_;
  core::SystemClock clock_;
  std::unique_ptr<Backend> backend_ = Open(dir_.str());
};

TEST_F(PageCache, HoldsWhatWasJustWritten) {
  EXPECT_EQ(Cached("folder/a"), kSize);
}

TEST_F(PageCache, HoldsNothingOfWhatWasForgottenUntilItIsRead) {
  ASSERT_TRUE(backend_->Forget("folder/a").ok());
  if (LivesInMemory()) {
    EXPECT_EQ(Cached("folder/a"), kSize);
    return;
  }
  EXPECT_EQ(Cached("folder/a"), 0U);
  EXPECT_EQ(ReadObject(*backend_, "folder/a", clock_).value(), Letters(kSize));
  EXPECT_EQ(Cached("folder/a"), kSize);
}

TEST_F(PageCache, CountsTheBytesOfAFilesFirstPages) {
  ASSERT_TRUE(backend_->Forget("folder/a").ok());
  if (LivesInMemory()) {
    GTEST_FAIL()
        << dir_.str()
        << " is in memory, so that nothing can be dropped from it; set "
           "TMPDIR to a folder on a disk";
  }
  const int fd = ::open((dir_.str() + "/folder/a").c_str(), O_RDONLY);
  ASSERT_GE(fd, 0);
  // No read-ahead, so that just the pages asked for are read.
  ASSERT_EQ(::posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
  char byte = 0;
  ASSERT_EQ(::pread(fd, &byte, 1, 0), 1);
  EXPECT_EQ(Cached("folder/a"),
            static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  ::close(fd);
}

TEST_F(PageCache, BothWaysOfAskingAgree) {
  const std::string path = dir_.str() + "/folder/a";
  EXPECT_EQ(internal::CachedBytesByMincore(path).value(),
            internal::CachedBytesOf(path).value());
  ASSERT_TRUE(backend_->Forget("folder/a").ok());
  EXPECT_EQ(internal::CachedBytesByMincore(path).value(),
            internal::CachedBytesOf(path).value());
}

TEST_F(PageCache, OfAnEmptyObjectThereIsNothing) {
  ASSERT_TRUE(WriteObject(*backend_, "empty", "", clock_).ok());
  EXPECT_EQ(Cached("empty"), 0U);
  EXPECT_EQ(internal::CachedBytesByMincore(dir_.str() + "/empty").value(), 0U);
  EXPECT_TRUE(backend_->Forget("empty").ok());
}

TEST_F(PageCache, AMissingObjectIsNotFound) {
  EXPECT_EQ(backend_->CachedBytes("none").status().code(),
            core::Code::kNotFound);
  EXPECT_EQ(backend_->Forget("none").code(), core::Code::kNotFound);
  EXPECT_EQ(backend_->Forget("../none").code(), core::Code::kInvalidArgument);
}

TEST_F(PageCache, WrappersPassTheQuestionOn) {
  const auto wrapped = Open("fault:,model:,file://" + dir_.str());
  EXPECT_EQ(wrapped->CachedBytes("folder/a").value(), kSize);
  ASSERT_TRUE(wrapped->Forget("folder/a").ok());
  EXPECT_EQ(Cached("folder/a"), LivesInMemory() ? kSize : 0U);
  EXPECT_EQ(wrapped->Forget("none").code(), core::Code::kNotFound);
}

TEST_F(PageCache, MemoryHasNone) {
  const auto memory = Open("mem:");
  ASSERT_TRUE(WriteObject(*memory, "a", "text", clock_).ok());
  EXPECT_FALSE(memory->CachedBytes("a").value().has_value());
  EXPECT_TRUE(memory->Forget("a").ok());
}

}  // namespace
}  // namespace stoker::storage
