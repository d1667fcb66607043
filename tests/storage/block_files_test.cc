// Block devices on files: what can go wrong with them.

#include "storage/internal/block_files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/check.h"
#include "storage/internal/uring_ring.h"
#include "tests/storage/block_support.h"
#include "tests/storage/tight_space.h"

namespace stoker::storage {
namespace {

using ::testing::AllOf;
using testing::Blocks;
using ::testing::EndsWith;
using testing::FileKinds;
using ::testing::HasSubstr;
using testing::kBlock;
using testing::NewQueue;
using ::testing::Not;
using testing::ReadOf;
using testing::RunAll;
using testing::RunOne;
using ::testing::StartsWith;
using testing::WriteOf;

class BlockFilesTest : public ::testing::TestWithParam<testing::BlockKind> {
 protected:
  core::Result<std::unique_ptr<BlockDevice>> Open(
      const std::vector<std::string>& paths, std::uint64_t file_bytes) {
    return OpenBlockFiles(paths, file_bytes, GetParam().engine);
  }
  // Of one file of `blocks`, the whole device.
  void OpenOne(const std::string& path, std::size_t blocks) {
    auto opened = Open({path}, blocks * kBlock);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    device_ = std::move(opened).value();
    queue_ = NewQueue(*device_, clock_);
  }
  core::Code CodeOf(const std::vector<std::uint64_t>& sizes,
                    std::uint64_t file_bytes) {
    return Open(folder_.Make(sizes), file_bytes).status().code();
  }

  testing::BlockFolder folder_{GetParam().place};
  core::SystemClock clock_;
  std::unique_ptr<BlockDevice> device_;
  std::unique_ptr<BlockQueue> queue_;
};

TEST_P(BlockFilesTest, AMissingFileIsNotFound) {
  std::vector<std::string> paths =
      folder_.Make(std::vector<std::uint64_t>{kBlock});
  paths.push_back(folder_.str() + "/slots.9");
  const core::Status status = Open(paths, kBlock).status();
  EXPECT_EQ(status.code(), core::Code::kNotFound);
  EXPECT_EQ(status.message(),
            "open " + paths.back() + ": No such file or directory");
}

TEST_P(BlockFilesTest, SizesMustFit) {
  constexpr auto kBad = core::Code::kInvalidArgument;
  EXPECT_EQ(CodeOf({2 * kBlock, kBlock}, 2 * kBlock), core::Code::kOk);
  EXPECT_EQ(CodeOf({}, kBlock), kBad);
  EXPECT_EQ(CodeOf({kBlock}, 0), kBad);
  EXPECT_EQ(CodeOf({6000}, 6000), kBad);
  EXPECT_EQ(CodeOf({kBlock, kBlock}, 2 * kBlock), core::Code::kOk);
  EXPECT_EQ(CodeOf({2 * kBlock, 3 * kBlock}, 2 * kBlock), kBad);
  EXPECT_EQ(CodeOf({2 * kBlock, 6000}, 2 * kBlock), kBad);
  EXPECT_EQ(CodeOf({2 * kBlock, 0}, 2 * kBlock), kBad);
  const auto paths = folder_.Make(std::vector<std::uint64_t>{3 * kBlock});
  EXPECT_EQ(Open(paths, 2 * kBlock).status().message(),
            "open " + paths[0] +
                ": it has 12 KiB, where 8 KiB are expected, or less in whole "
                "blocks of 4 KiB");
}

// Gives up root, if we have it, for a while.
class Unprivileged {
 public:
  Unprivileged() {
    constexpr uid_t kNobody = 65534;
    if (before_ == 0) {
      STOKER_CHECK(::seteuid(kNobody) == 0);
    }
  }
  ~Unprivileged() {
    if (before_ == 0) {
      STOKER_CHECK(::seteuid(0) == 0);
    }
  }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;

 private:
  const uid_t before_ = ::geteuid();
};

TEST_P(BlockFilesTest, AFileThatMayNotBeWrittenIsRefused) {
  namespace fs = std::filesystem;
  const auto paths = folder_.Make(std::vector<std::uint64_t>{kBlock});
  fs::permissions(paths[0], fs::perms::owner_read);
  const Unprivileged unprivileged;
  const core::Status status = Open(paths, kBlock).status();
  EXPECT_EQ(status.code(), core::Code::kPermission);
  EXPECT_THAT(std::string(status.message()), HasSubstr(paths[0]));
}

TEST_P(BlockFilesTest, ARefusedWriteNamesItsPartsAndReadsGoOn) {
  // A file that opens for writing and takes none.
  const int fd = ::memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::ftruncate(fd, 4 * kBlock), 0);
  ASSERT_EQ(::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  OpenOne(path, 4);
  EXPECT_FALSE(device_->direct());
  const Blocks memory(2);
  const core::Status status = RunOne(*queue_, WriteOf(1, memory.all()));
  EXPECT_EQ(status.code(), core::Code::kPermission);
  EXPECT_EQ(status.message(),
            "write 8 KiB at 4 KiB of " + path + ": Operation not permitted");
  EXPECT_TRUE(RunOne(*queue_, ReadOf(1, memory.all())).ok());
  ::close(fd);
}

TEST_P(BlockFilesTest, AShortWriteIsGoneOnWithUntilItsReasonIsKnown) {
  const auto paths = folder_.Make(std::vector<std::uint64_t>{4 * kBlock});
  OpenOne(paths[0], 4);
  const Blocks memory(4);
  memory.Number(1);
  core::Status status;
  {
    // The kernel writes what is below the limit, and says so; then nothing.
    const testing::FileSizeLimit limit(2 * kBlock);
    status = RunOne(*queue_, WriteOf(0, memory.all()));
  }
  EXPECT_EQ(status.code(), core::Code::kIoError);
  EXPECT_EQ(status.os_error(), EFBIG);
  EXPECT_EQ(status.message(),
            "write 8 KiB at 8 KiB of " + paths[0] + ": File too large");
  EXPECT_TRUE(RunOne(*queue_, ReadOf(0, memory.all())).ok());
  EXPECT_EQ(Blocks::NumberOf(memory.at(0)), 1U);
  EXPECT_EQ(Blocks::NumberOf(memory.at(1)), 2U);
  EXPECT_TRUE(Blocks::IsZero(memory.at(2, 2)));
}

TEST_P(BlockFilesTest, AFullFileSystemFailsTheWritesThatFindNoRoom) {
  const testing::SmallFileSystem small(folder_.str() + "/small");
  if (!small.mounted()) {
    GTEST_FAIL() << "a file system of its own needs root to be mounted; run "
                    "the tests as root";
  }
  // 8 writes of 64 pages where 256 pages are: 4 of them fit at most.
  const std::string path = folder_.str() + "/small/slots.0";
  {
    const std::ofstream made(path);
  }
  std::filesystem::resize_file(path, 512 * kBlock);
  OpenOne(path, 512);
  const Blocks memory(64);
  memory.Number(1);
  std::vector<BlockOp> ops;
  for (std::size_t i = 0; i < 8; ++i) {
    ops.push_back(WriteOf(i * 64, memory.all(), i));
  }
  std::size_t failed = 0;
  for (const core::Status& status : RunAll(*queue_, ops)) {
    if (!status.ok()) {
      ++failed;
      EXPECT_EQ(status.code(), core::Code::kIoError);
      EXPECT_EQ(status.os_error(), ENOSPC);
      EXPECT_THAT(std::string(status.message()), StartsWith("write "));
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr(" of " + path + ": No space left on device"));
    }
  }
  EXPECT_GE(failed, 4U);
}

TEST_P(BlockFilesTest, AFileThatWasCutIsAnError) {
  const auto paths = folder_.Make(std::vector<std::uint64_t>{4 * kBlock});
  OpenOne(paths[0], 4);
  std::filesystem::resize_file(paths[0], 6000);
  const Blocks memory(2);
  EXPECT_TRUE(RunOne(*queue_, ReadOf(0, memory.at(0))).ok());
  for (const std::size_t block : {1U, 2U}) {
    const core::Status status = RunOne(*queue_, ReadOf(block, memory.at(0)));
    EXPECT_EQ(status.code(), core::Code::kIoError);
    EXPECT_THAT(
        std::string(status.message()),
        HasSubstr(paths[0] + ": the file was cut to 6000 B while in use"));
  }
}

TEST_P(BlockFilesTest, APieceGoesAsFarAsItsFileAndBeginsWhereTheLastStopped) {
  const auto paths =
      folder_.Make(std::vector<std::uint64_t>{4 * kBlock, 4 * kBlock});
  const auto opened = internal::BlockFiles::Open(paths, 4 * kBlock);
  ASSERT_TRUE(opened.ok());
  const internal::BlockFiles& files = *opened.value();
  const Blocks memory(4);
  // Blocks 2 and 3 of file 0, 0 and 1 of file 1.
  const BlockOp op = ReadOf(2, memory.all());
  internal::BlockPiece piece = files.PieceOf(op, 0);
  EXPECT_EQ(piece.file, 0U);
  EXPECT_EQ(piece.offset, 8192U);
  EXPECT_EQ(piece.buffer.size(), 8192U);

  std::uint64_t got = 0;
  EXPECT_FALSE(files.Advance(op, got, -EINTR).has_value());
  EXPECT_EQ(got, 0U);
  // Past the page cache only whole pages count.
  EXPECT_FALSE(files.Advance(op, got, 5000).has_value());
  EXPECT_EQ(got, files.direct() ? 4096U : 5000U);
  piece = files.PieceOf(op, got);
  EXPECT_EQ(piece.offset, 8192 + got);
  EXPECT_EQ(piece.buffer.size(), 8192 - got);
  EXPECT_EQ(piece.buffer.data(), memory.all().data() + got);

  const auto rest = static_cast<std::int64_t>(8192 - got);
  EXPECT_FALSE(files.Advance(op, got, rest).has_value());
  piece = files.PieceOf(op, got);
  EXPECT_EQ(piece.file, 1U);
  EXPECT_EQ(piece.offset, 0U);
  EXPECT_EQ(piece.buffer.size(), 8192U);
  const std::optional<core::Status> outcome = files.Advance(op, got, 8192);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_TRUE(outcome->ok());
}

TEST_P(BlockFilesTest, AKernelThatGivesUpWithoutAReasonIsAnError) {
  const auto paths = folder_.Make(std::vector<std::uint64_t>{4 * kBlock});
  const auto opened = internal::BlockFiles::Open(paths, 4 * kBlock);
  ASSERT_TRUE(opened.ok());
  const Blocks memory(1);
  std::uint64_t got = 0;
  const std::optional<core::Status> outcome =
      opened.value()->Advance(WriteOf(1, memory.all()), got, 0);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->code(), core::Code::kIoError);
  EXPECT_EQ(outcome->message(), "write 4 KiB at 4 KiB of " + paths[0] +
                                    ": the kernel gave up without saying why");
}

INSTANTIATE_TEST_SUITE_P(Kinds, BlockFilesTest,
                         ::testing::ValuesIn(FileKinds()),
                         [](const auto& kind) { return kind.param.name; });

// Runs `body` in a thread to which the kernel refuses io_uring, as containers
// often do.
template <class Body>
void WithoutUring(const Body& body) {
  std::array filter{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                           offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{.len = filter.size(), .filter = filter.data()};
  const std::jthread thread([&body, &program] {
    ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL), 0);
    ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    body();
  });
}

class BlockEngineTest : public ::testing::Test {
 protected:
  testing::BlockFolder folder_{testing::BlockKind::Place::kDisk};
  std::vector<std::string> paths_ =
      folder_.Make(std::vector<std::uint64_t>{kBlock});
  core::SystemClock clock_;
};

TEST_F(BlockEngineTest, AutoTakesIoUringWhereTheKernelAllowsIt) {
  const auto device = OpenBlockFiles(paths_, kBlock, BlockEngine::kAuto);
  ASSERT_TRUE(device.ok());
  EXPECT_THAT(std::string(NewQueue(*device.value(), clock_)->engine()),
              StartsWith(internal::ProbeUring().ok() ? "uring" : "threads ("));
}

TEST_F(BlockEngineTest, AutoTakesThreadsElsewhereAndSaysWhy) {
  WithoutUring([this] {
    const auto device = OpenBlockFiles(paths_, kBlock, BlockEngine::kAuto);
    ASSERT_TRUE(device.ok());
    const auto queue = NewQueue(*device.value(), clock_);
    EXPECT_THAT(std::string(queue->engine()),
                AllOf(StartsWith("threads (io_uring is refused by this "),
                      EndsWith(")"), Not(HasSubstr(";"))));
    const Blocks memory(1);
    EXPECT_TRUE(RunOne(*queue, WriteOf(0, memory.all())).ok());
  });
}

TEST_F(BlockEngineTest, UringIsAnErrorWhereTheKernelRefusesIt) {
  WithoutUring([this] {
    const auto device = OpenBlockFiles(paths_, kBlock, BlockEngine::kUring);
    EXPECT_EQ(device.status().code(), core::Code::kUnsupported);
  });
}

}  // namespace
}  // namespace stoker::storage
