// The ways past the page cache and through mappings.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "storage/file_backend.h"
#include "storage/internal/file_paths.h"
#include "storage/internal/uring_ring.h"
#include "tests/storage/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::DirectIsAllowed;
using ::testing::HasSubstr;
using testing::Letters;
using testing::NewQueue;
using testing::Open;
using testing::ReadInto;
using testing::RunOne;

// The flags of the descriptors of this process that show `path`.
std::vector<int> OpenFlagsOf(const fs::path& path) {
  std::vector<int> flags;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (fs::read_symlink(entry.path(), gone) == path) {
      flags.push_back(
          ::fcntl(std::stoi(entry.path().filename().string()), F_GETFL));
    }
  }
  return flags;
}

// Bytes of the mapping of `path` that are in this process's page table; -1
// where it is not mapped. From proc(5), smaps.
std::int64_t MappedBytes(const fs::path& path) {
  std::ifstream maps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with(" " + path.string())) {
      here = true;
    } else if (here && line.starts_with("Rss:")) {
      std::istringstream words(line.substr(4));
      std::int64_t kibibytes = 0;
      words >> kibibytes;
      return kibibytes * 1024;
    }
  }
  return -1;
}

class FileAccess : public ::testing::Test {
 protected:
  void Put(std::string_view name, std::string_view content) {
    std::ofstream(dir_.path() / name) << content;
  }

  testing::TempDir dir_;
  core::SystemClock clock_;
  std::unique_ptr<Backend> backend_ = Open("file://" + dir_.str());
  std::string text_;
};

class DirectReads : public FileAccess,
                    public ::testing::WithParamInterface<std::string> {
 protected:
  std::unique_ptr<Backend> direct_ =
      Open("direct://" + dir_.str() + "?engine=" + GetParam());
};

// Engines where the temporary folder takes O_DIRECT.
std::vector<std::string> DirectEngines() {
  std::vector<std::string> engines;
  if (DirectIsAllowed()) {
    engines.emplace_back("threads");
    if (internal::ProbeUring().ok()) {
      engines.emplace_back("uring");
    }
  }
  return engines;
}

TEST_P(DirectReads, AskForAlignmentAndOpenPastThePageCache) {
  Put("a", Letters(10'000));
  const auto queue = NewQueue(*direct_, clock_);
  EXPECT_EQ(queue->engine(), GetParam());
  EXPECT_TRUE(std::has_single_bit(queue->limits().offset_align));
  EXPECT_GE(queue->limits().preferred_unit, queue->limits().offset_align);
  const ObjectId a = direct_->Resolve("a");
  EXPECT_EQ(ReadInto(text_, *queue, a, 4096, 100).bytes, 100U);
  EXPECT_EQ(text_, Letters(10'000).substr(4096, 100));
  const std::vector<int> flags = OpenFlagsOf(dir_.path() / "a");
  ASSERT_EQ(flags.size(), 1U);
  EXPECT_NE(flags[0] & O_DIRECT, 0);
  direct_->Release(a);
}

TEST_P(DirectReads, ARoundedUpReadOfAWholeFileIsShortByTheRest) {
  const std::string content = Letters(10'000);
  Put("a", content);
  const auto queue = NewQueue(*direct_, clock_);
  const ObjectId a = direct_->Resolve("a");
  const auto memory = core::AlignedBuffer::Make(5 * 4096, true);
  const std::span<std::byte> pages = memory.value().bytes();
  const ReadDone done =
      RunOne(*queue, {.object = a, .buffer = pages.first(3 * 4096)});
  EXPECT_TRUE(done.status.ok()) << done.status.ToString();
  ASSERT_EQ(done.bytes, 10'000U);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(pages.data()), 10'000),
            content);
  // 10,000 - 8,192; then nothing.
  EXPECT_EQ(
      RunOne(*queue, {.object = a, .offset = 8192, .buffer = pages}).bytes,
      1808U);
  EXPECT_EQ(
      RunOne(*queue, {.object = a, .offset = 12'288, .buffer = pages}).bytes,
      0U);
  direct_->Release(a);
}

TEST_P(DirectReads, AWriteIsReadBack) {
  const std::string content = Letters(100'001);
  ASSERT_TRUE(WriteObject(*direct_, "train/a", content, clock_).ok());
  EXPECT_EQ(ReadObject(*direct_, "train/a", clock_).value(), content);
  EXPECT_EQ(ReadObject(*backend_, "train/a", clock_).value(), content);
}

TEST_P(DirectReads, AFileThatRefusesNamesItselfItsFileSystemAndTheRemedy) {
  Put("a", "text");
  const auto queue = NewQueue(*direct_, clock_);
  fs::create_symlink("/proc/version", dir_.path() / "proc");
  const ReadDone done = ReadInto(text_, *queue, direct_->Resolve("proc"), 0, 4);
  EXPECT_EQ(done.status.code(), core::Code::kUnsupported);
  EXPECT_THAT(
      std::string(done.status.message()),
      AllOf(HasSubstr("open " + dir_.str() + "/proc past the page"),
            HasSubstr("proc on /proc refuses O_DIRECT"), HasSubstr("file://")));
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DirectReads);
INSTANTIATE_TEST_SUITE_P(Engines, DirectReads,
                         ::testing::ValuesIn(DirectEngines()),
                         [](const auto& row) { return row.param; });

TEST_F(FileAccess, APlaceThatRefusesODirectMakesNoQueue) {
  const auto proc = Open("file:///proc/sys/kernel");
  const core::Status status =
      proc->NewReadQueue({.access = Access::kDirect}, clock_).status();
  EXPECT_EQ(status.code(), core::Code::kUnsupported);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("/proc/sys/kernel/"), HasSubstr("proc on /proc"),
                    HasSubstr("file://")));
}

TEST_F(FileAccess, AnEmptyPlaceAsksForPages) {
  const auto queue = NewQueue(*backend_, clock_, 4, Access::kDirect);
  EXPECT_EQ(queue->limits().offset_align, 4096U);
  EXPECT_EQ(queue->limits().buffer_align, 4096U);
}

TEST_F(FileAccess, AWrapperHandsTheAccessToWhatItWraps) {
  const auto model = Open("model:,file://" + dir_.str());
  const auto queue = NewQueue(*model, clock_, 4, Access::kDirect);
  EXPECT_EQ(queue->limits().offset_align, 4096U);
}

TEST_F(FileAccess, AMappedFileStaysMappedUntilItIsReleased) {
  Put("a", Letters(10'000));
  const auto queue = NewQueue(*backend_, clock_, 4, Access::kMapped);
  EXPECT_EQ(queue->engine(), "mapped");
  EXPECT_EQ(queue->limits().offset_align, 1U);
  const ObjectId a = backend_->Resolve("a");
  ReadInto(text_, *queue, a, 5000, 6000);
  EXPECT_EQ(text_, Letters(10'000).substr(5000));
  EXPECT_GE(MappedBytes(dir_.path() / "a"), 4096);
  backend_->Release(a);
  EXPECT_EQ(MappedBytes(dir_.path() / "a"), -1);
}

TEST_F(FileAccess, EveryPageOfAMappedReadIsTouchedAndNotTheWholeFile) {
  constexpr std::int64_t kRead = 256 << 10;
  Put("a", Letters(4 << 20));
  const auto queue = NewQueue(*backend_, clock_, 4, Access::kMapped);
  const ObjectId a = backend_->Resolve("a");
  const ReadOp size{.kind = ReadOp::Kind::kSize, .object = a};
  EXPECT_EQ(RunOne(*queue, size).bytes, 4U << 20);
  EXPECT_EQ(MappedBytes(dir_.path() / "a"), 0);
  ReadInto(text_, *queue, a, 1 << 20, kRead);
  EXPECT_GE(MappedBytes(dir_.path() / "a"), kRead);
  EXPECT_LT(MappedBytes(dir_.path() / "a"), 4 << 20);
  backend_->Release(a);
}

TEST_F(FileAccess, AMappedFileThatIsCutShortIsAnErrorAndNotTheEnd) {
  Put("a", Letters(20'000));
  const auto queue = NewQueue(*backend_, clock_, 4, Access::kMapped);
  const ObjectId a = backend_->Resolve("a");
  ReadInto(text_, *queue, a, 0, 100);
  fs::resize_file(dir_.path() / "a", 4096);
  EXPECT_TRUE(ReadInto(text_, *queue, a, 0, 100).status.ok());
  const ReadDone done = ReadInto(text_, *queue, a, 0, 20'000);
  EXPECT_EQ(done.status.code(), core::Code::kIoError);
  EXPECT_EQ(done.status.message(),
            "read the mapped " + dir_.str() +
                "/a at offset 4096: the file was cut from 20000 to 4096 bytes "
                "while in use; leave the dataset alone during a run");
  backend_->Release(a);
}

TEST_F(FileAccess, AnObjectIsReadInAllWaysAtOnce) {
  Put("a", Letters(10'000));
  const ObjectId a = backend_->Resolve("a");
  std::vector<Access> ways{Access::kDefault, Access::kMapped};
  if (DirectIsAllowed()) {
    ways.push_back(Access::kDirect);
  }
  for (const Access access : ways) {
    const auto queue = NewQueue(*backend_, clock_, 4, access);
    EXPECT_EQ(ReadInto(text_, *queue, a, 100, 9900).bytes, 9900U);
    EXPECT_EQ(text_, Letters(10'000).substr(100));
  }
  EXPECT_EQ(OpenFlagsOf(dir_.path() / "a").size(), ways.size());
  backend_->Release(a);
  EXPECT_TRUE(OpenFlagsOf(dir_.path() / "a").empty());
}

TEST(FilePaths, KnowsTheFileSystemOfAPath) {
  EXPECT_EQ(internal::FileSystemOf("/proc/version"), "proc on /proc");
  EXPECT_EQ(internal::FileSystemOf("/proc/no such file"), "proc on /proc");
}

}  // namespace
}  // namespace stoker::storage
