// Files whose parts are on their way while the next is filled.

#include "storage/internal/file_write_stream.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "tests/storage/support.h"
#include "tests/storage/tight_space.h"
#include "tests/support/temp_dir.h"

namespace stoker::storage {
namespace {

namespace fs = std::filesystem;
using std::chrono::microseconds;
using testing::AsBytes;
using ::testing::HasSubstr;
using testing::Letters;
using testing::Open;
using testing::ReadFile;
using testing::SmallFileSystem;

constexpr std::size_t kPart = 4096;

// The kernel takes a part in no virtual time.
class FileFlight : public ::testing::Test {
 protected:
  FileFlight() { clock_.Attach(); }
  ~FileFlight() override { clock_.Detach(); }

  std::unique_ptr<WriteStream> Create(std::string_view name,
                                      const WriteOptions& options) {
    auto stream = backend_->Create(name, options, clock_);
    EXPECT_TRUE(stream.ok()) << stream.status().ToString();
    return std::move(stream).value();
  }
  void Pass(int micros) { clock_.SleepUntil(At(clock_.Now(), micros)); }
  static core::TimePoint At(core::TimePoint from, int micros) {
    return from + microseconds(micros);
  }

  testing::TempDir dir_;
  core::VirtualClock clock_;
  std::unique_ptr<Backend> backend_ = Open(dir_.str());
};

TEST_F(FileFlight, ManyThreadsAndPartsMakeTheSameFile) {
  const std::string text = Letters(100 * kPart + 17);
  for (const char* threads : {"1", "3"}) {
    backend_ =
        Open(fmt::format("file://{}?write_threads={}", dir_.str(), threads));
    for (const bool patch : {true, false}) {
      const auto stream =
          Create("a", {.part_size = kPart, .in_flight = 4, .patch = patch});
      ASSERT_TRUE(stream->Write(AsBytes(text)).ok());
      ASSERT_TRUE(stream->Commit().ok());
      EXPECT_EQ(stream->counters().parts, 101U);
      EXPECT_TRUE(ReadFile(dir_.path() / "a") == text);
    }
  }
}

TEST_F(FileFlight, TheTimeWithoutAPartOnItsWayIsTheClientsIdleTime) {
  const auto stream =
      Create("a", {.part_size = kPart, .in_flight = 1, .patch = false});
  const core::TimePoint start = clock_.Now();
  // Parts are sent at 2, 5 and 9, the last one by the commit at 10.
  for (const int micros : {2, 3, 4}) {
    Pass(micros);
    ASSERT_TRUE(stream->Write(AsBytes(Letters(kPart))).ok());
  }
  ASSERT_TRUE(stream->Write(AsBytes("end")).ok());
  Pass(1);
  const WriteTimes times = stream->Commit().value();
  EXPECT_EQ(times.first, At(start, 2));
  EXPECT_EQ(times.last, At(start, 10));
  EXPECT_EQ(times.synced, times.last);
  EXPECT_EQ(stream->counters().idle, microseconds(10 - 2));
  EXPECT_EQ(stream->counters().waited, microseconds(0));
}

TEST_F(FileFlight, TheLastPartsEndIsItsOwnNotTheCommits) {
  const auto stream =
      Create("a", {.part_size = kPart, .in_flight = 1, .patch = false});
  ASSERT_TRUE(stream->Write(AsBytes(Letters(2 * kPart))).ok());
  const core::TimePoint sent = clock_.Now();
  Pass(50);
  const WriteTimes times = stream->Commit().value();
  EXPECT_EQ(times.last, sent);
  EXPECT_EQ(times.committed, At(sent, 50));
}

TEST_F(FileFlight, ASingleExpectedPartIsSentBeforeAppendReturns) {
  const auto stream = Create("a", {.expected_size = kPart,
                                   .part_size = kPart,
                                   .in_place = true,
                                   .in_flight = 4,
                                   .patch = false});
  ASSERT_TRUE(stream->Write(AsBytes(Letters(kPart))).ok());
  EXPECT_EQ(ReadFile(dir_.path() / "a"), Letters(kPart));
  EXPECT_TRUE(stream->Commit().ok());
}

TEST_F(FileFlight, DurableFilesAreWhole) {
  // Some of it is written back before the end.
  const std::string text = Letters(20U << 20);
  const auto stream = Create("new/folder/a", {.expected_size = text.size(),
                                              .part_size = 1U << 20,
                                              .durable = true,
                                              .in_flight = 2});
  ASSERT_TRUE(stream->Write(AsBytes(text)).ok());
  ASSERT_TRUE(stream->Patch(7, AsBytes(text.substr(7, 3))).ok());
  const WriteTimes times = stream->Commit().value();
  EXPECT_LE(times.last, times.synced);
  EXPECT_TRUE(ReadFile(dir_.path() / "new/folder/a") == text);
}

TEST_F(FileFlight, AnErrorOnTheWayIsTheNextCallsAndStays) {
  // In place, /dev/full takes the place of a file on a full disk.
  fs::create_symlink("/dev/full", dir_.path() / "full");
  const auto stream = Create(
      "full",
      {.part_size = kPart, .in_place = true, .in_flight = 1, .patch = false});
  ASSERT_TRUE(stream->Write(AsBytes(Letters(kPart))).ok());
  // Whichever call comes first after the kernel has spoken.
  core::Status status;
  while (status.ok()) {
    status = stream->Write(AsBytes(Letters(kPart)));
  }
  EXPECT_EQ(status.os_error(), ENOSPC);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("full at offset 0: No space left on device (0 of its "
                        "bytes were written, "));
  EXPECT_EQ(stream->Commit().status().message(), status.message());
}

TEST_F(FileFlight, AnErrorOfTheLastPartIsTheCommits) {
  fs::create_symlink("/dev/full", dir_.path() / "full");
  const auto stream = Create(
      "full",
      {.part_size = kPart, .in_place = true, .in_flight = 3, .patch = false});
  ASSERT_TRUE(stream->Write(AsBytes("text")).ok());
  EXPECT_EQ(stream->Commit().status().os_error(), ENOSPC);
}

TEST_F(FileFlight, ADropWithPartsOnTheirWayLeavesNothing) {
  for (int i = 0; i < 20; ++i) {
    const auto stream = Create(
        "folder/a", {.part_size = kPart, .in_flight = 8, .patch = i % 2 == 0});
    ASSERT_TRUE(stream->Write(AsBytes(Letters(9 * kPart))).ok());
  }
  EXPECT_TRUE(fs::is_empty(dir_.path() / "folder"));
}

TEST_F(FileFlight, AFullFileSystemIsFreeAgainOnceTheStreamIsDropped) {
  const SmallFileSystem small(dir_.path() / "small");
  if (!small.mounted()) {
    GTEST_FAIL()
        << "a file system of its own needs root to be mounted; run the "
           "tests as root";
  }
  const std::string text = Letters(4U << 20);
  for (const std::size_t in_flight : {0U, 2U}) {
    auto stream =
        Create("small/a", {.part_size = 256U << 10, .in_flight = in_flight});
    core::Status status = stream->Write(AsBytes(text));
    if (status.ok()) {
      status = stream->Commit().status();
    }
    EXPECT_EQ(status.os_error(), ENOSPC);
    EXPECT_THAT(std::string(status.message()), HasSubstr("free space there"));
    stream.reset();
    EXPECT_TRUE(fs::is_empty(dir_.path() / "small"));
  }
  EXPECT_TRUE(
      WriteObject(*backend_, "small/b", text.substr(0, 900'000), clock_).ok());
}

}  // namespace
}  // namespace stoker::storage
