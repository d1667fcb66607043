// What of a file was never written, on the file system of TempDir.

#include "storage/internal/stored_bytes.h"

#include <fcntl.h>
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

constexpr std::uint64_t kStoredMiB = 1U << 20;

class StoredBytes : public ::testing::Test {
 protected:
  std::string PathOf(std::string_view name) const {
    return dir_.str() + "/" + std::string(name);
  }
  void Put(std::string_view name, std::size_t bytes) {
    ASSERT_TRUE(WriteObject(*backend_, name, Letters(bytes), clock_).ok());
  }
  std::uint64_t Unwritten(std::string_view name) {
    const auto bytes = backend_->UnwrittenBytes(name);
    EXPECT_TRUE(bytes.ok()) << bytes.status().ToString();
    return bytes.ok() ? bytes.value().value_or(UINT64_MAX) : UINT64_MAX;
  }
  static std::uint64_t BySeek(const std::string& path) {
    const auto bytes = internal::UnwrittenBytesBySeek(path);
    EXPECT_TRUE(bytes.ok()) << bytes.status().ToString();
    return bytes.ok() ? bytes.value().value_or(UINT64_MAX) : UINT64_MAX;
  }

  testing::TempDir dir_;
  core::SystemClock clock_;
  std::unique_ptr<Backend> backend_ = Open(dir_.str());
};

// A file that a test writes as it likes, closed at the end.
class RawFile {
 public:
  explicit RawFile(const std::string& path)
      : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    STOKER_CHECK(fd_ >= 0);
  }
  ~RawFile() { ::close(fd_); }
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;
  void Reserve(std::uint64_t bytes) const {
    STOKER_CHECK(::fallocate(fd_, 0, 0, static_cast<off_t>(bytes)) == 0);
  }
  void Grow(std::uint64_t bytes) const {
    STOKER_CHECK(::ftruncate(fd_, static_cast<off_t>(bytes)) == 0);
  }
  void Write(std::uint64_t offset, std::size_t bytes) const {
    const std::string text = Letters(bytes);
    STOKER_CHECK(
        ::pwrite(fd_, text.data(), bytes, static_cast<off_t>(offset)) ==
        static_cast<ssize_t>(bytes));
  }
  void Read(std::size_t bytes) const {
    std::string text(bytes, '?');
    STOKER_CHECK(::pread(fd_, text.data(), bytes, 0) ==
                 static_cast<ssize_t>(bytes));
  }

 private:
  int fd_;
};

TEST_F(StoredBytes, OfAWrittenFileNothingIsMissing) {
  Put("a", 300'001);
  EXPECT_EQ(Unwritten("a"), 0U);
  EXPECT_EQ(BySeek(PathOf("a")), 0U);
  ASSERT_TRUE(backend_->Forget("a").ok());  // writes it back
  EXPECT_EQ(Unwritten("a"), 0U);
  EXPECT_EQ(BySeek(PathOf("a")), 0U);
}

TEST_F(StoredBytes, OfAnEmptyFileNothingIsMissing) {
  Put("empty", 0);
  EXPECT_EQ(Unwritten("empty"), 0U);
  EXPECT_EQ(BySeek(PathOf("empty")), 0U);
}

TEST_F(StoredBytes, AllOfASparseFileIsMissing) {
  RawFile(PathOf("a")).Grow(3 * kStoredMiB + 5);
  EXPECT_EQ(Unwritten("a"), 3 * kStoredMiB + 5);
  EXPECT_EQ(BySeek(PathOf("a")), 3 * kStoredMiB + 5);
}

TEST_F(StoredBytes, ReservedSpaceIsMissing) {
  const RawFile file(PathOf("a"));
  file.Reserve(2 * kStoredMiB);
  EXPECT_EQ(Unwritten("a"), 2 * kStoredMiB);
}

TEST_F(StoredBytes, ReservedSpaceIsMissingStillOnceItWasRead) {
  if (internal::FileSystemOf(dir_.str()).starts_with("tmpfs")) {
    return;  // has no map of extents, and a read page counts as written
  }
  const RawFile file(PathOf("a"));
  file.Reserve(2 * kStoredMiB);
  file.Read(2 * kStoredMiB);
  EXPECT_EQ(Unwritten("a"), 2 * kStoredMiB);
}

TEST_F(StoredBytes, WhatWasWrittenIntoReservedSpaceIsThere) {
  const RawFile file(PathOf("a"));
  file.Reserve(2 * kStoredMiB);
  file.Write(0, kStoredMiB);
  EXPECT_EQ(Unwritten("a"), kStoredMiB);
  file.Write(kStoredMiB, kStoredMiB);
  EXPECT_EQ(Unwritten("a"), 0U);
}

TEST_F(StoredBytes, HolesBeforeBetweenAndBehindAreCounted) {
  const RawFile file(PathOf("a"));
  file.Write(kStoredMiB, kStoredMiB);
  file.Write(4 * kStoredMiB, kStoredMiB);
  file.Grow(8 * kStoredMiB);
  // 1 before, 2 between, 3 behind.
  EXPECT_EQ(Unwritten("a"), 6 * kStoredMiB);
  EXPECT_EQ(BySeek(PathOf("a")), 6 * kStoredMiB);
}

TEST_F(StoredBytes, MoreExtentsThanOneAnswerHoldsAreAllSeen) {
  constexpr std::uint64_t kPiece = 64U << 10;
  const RawFile file(PathOf("a"));
  for (std::uint64_t i = 0; i < 300; ++i) {
    file.Write((2 * i + 1) * kPiece, kPiece);
  }
  EXPECT_EQ(Unwritten("a"), 300 * kPiece);
}

TEST_F(StoredBytes, AMissingObjectIsNotFound) {
  EXPECT_EQ(backend_->UnwrittenBytes("none").status().code(),
            core::Code::kNotFound);
  EXPECT_EQ(backend_->UnwrittenBytes("../none").status().code(),
            core::Code::kInvalidArgument);
}

TEST_F(StoredBytes, WrappersPassTheQuestionOnAndMemoryCannotTell) {
  RawFile(PathOf("a")).Grow(kStoredMiB);
  const auto wrapped = Open("fault:,model:,mmap://" + dir_.str());
  EXPECT_EQ(wrapped->UnwrittenBytes("a").value(), kStoredMiB);
  const auto memory = Open("mem:");
  ASSERT_TRUE(WriteObject(*memory, "a", "text", clock_).ok());
  EXPECT_FALSE(memory->UnwrittenBytes("a").value().has_value());
}

}  // namespace
}  // namespace stoker::storage
