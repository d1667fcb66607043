// Several processes on one folder.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <functional>
#include <set>

#include "cache/directory.h"
#include "tests/cache/directory_support.h"
#include "tests/support/temp_dir.h"

namespace stoker::cache {
namespace {

using testing::EightSlots;
using testing::ReadTable;
using testing::RecordOf;
using testing::Table;
using testing::TempDir;
using testing::Value;

// A child of this process; killed at the end if it has not ended.
class DirectoryUser {
 public:
  // `body` runs in it with the end of a pipe to write to; what it returns is
  // its exit status.
  explicit DirectoryUser(const std::function<int(int out)>& body) {
    std::array<int, 2> ends{};
    STOKER_CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
    process_ = ::fork();
    STOKER_CHECK(process_ >= 0);
    if (process_ == 0) {
      ::close(ends[0]);
      ::_exit(body(ends[1]));
    }
    ::close(ends[1]);
    in_ = ends[0];
  }
  ~DirectoryUser() {
    if (process_ > 0) {
      Kill();
    }
    ::close(in_);
  }
  DirectoryUser(const DirectoryUser&) = delete;
  DirectoryUser& operator=(const DirectoryUser&) = delete;

  // The next number the child has sent; false: it sends no more.
  bool Receive(std::uint32_t& number) const {
    return ::read(in_, &number, sizeof(number)) == sizeof(number);
  }
  int Wait() {
    int status = 0;
    STOKER_CHECK(::waitpid(process_, &status, 0) == process_);
    process_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void Kill() {
    ::kill(process_, SIGKILL);
    Wait();
  }

 private:
  pid_t process_ = 0;
  int in_ = -1;
};

bool Send(int out, std::uint32_t number) {
  return ::write(out, &number, sizeof(number)) == sizeof(number);
}

TEST(DirectoryProcesses, NeverGetTheSameEpoch) {
  constexpr int kEach = 20;
  const TempDir dir;
  const std::string path = dir.str() + "/cache";
  ASSERT_TRUE(Directory::Format(path, EightSlots()).ok());
  const auto draw = [&path](int out) {
    const auto directory = Directory::Open(path);
    if (!directory.ok()) {
      return 1;
    }
    for (int i = 0; i < kEach; ++i) {
      const auto epoch = directory.value()->NextEpoch();
      if (!epoch.ok() || !Send(out, epoch.value())) {
        return 2;
      }
    }
    return 0;
  };
  DirectoryUser one(draw);
  DirectoryUser two(draw);
  DirectoryUser three(draw);
  std::set<std::uint32_t> epochs;
  for (DirectoryUser* child : {&one, &two, &three}) {
    for (std::uint32_t epoch = 0; child->Receive(epoch);) {
      EXPECT_TRUE(epochs.insert(epoch).second) << epoch << " twice";
    }
    EXPECT_EQ(child->Wait(), 0);
  }
  EXPECT_EQ(epochs.size(), 3U * kEach);
}

TEST(DirectoryProcesses, ReadTheRecordsThatOthersWrite) {
  const TempDir dir;
  const std::string path = dir.str() + "/cache";
  ASSERT_TRUE(Directory::Format(path, EightSlots()).ok());
  const auto here = Value(Directory::Open(path));
  DirectoryUser child([&path](int /*out*/) {
    const auto directory = Directory::Open(path);
    return directory.ok() && directory.value()->WriteRecord(5, RecordOf(5)).ok()
               ? 0
               : 1;
  });
  // Not flushed: that another process sees it needs no stable storage.
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_TRUE(here->WriteRecord(4, RecordOf(4)).ok());
  const Table expected{.records = {{4, RecordOf(4)}, {5, RecordOf(5)}}};
  EXPECT_EQ(ReadTable(*here), expected);
}

TEST(DirectoryProcesses, HoldTheFolderUntilTheyAreKilled) {
  const TempDir dir;
  const std::string path = dir.str() + "/cache";
  FormatOptions options = EightSlots();
  ASSERT_TRUE(Directory::Format(path, options).ok());
  DirectoryUser child([&path](int out) {
    const auto directory = Directory::Open(path);
    Send(out, directory.ok() ? 1 : 0);
    while (true) {
      ::pause();
    }
    return 0;
  });
  std::uint32_t is_open = 0;
  ASSERT_TRUE(child.Receive(is_open));
  ASSERT_EQ(is_open, 1U);
  options.force = true;
  EXPECT_EQ(Directory::Format(path, options).code(), core::Code::kUnavailable);
  EXPECT_EQ(Directory::Remove(path).code(), core::Code::kUnavailable);
  EXPECT_TRUE(Directory::Open(path).ok());
  child.Kill();
  EXPECT_TRUE(Directory::Format(path, options).ok());
  EXPECT_TRUE(Directory::Remove(path).ok());
}

TEST(DirectoryProcesses, LeaveNothingWhenTheLimitOnFilesStopsThem) {
  const TempDir dir;
  const std::string path = dir.str() + "/cache";
  DirectoryUser child([&path](int out) {
    // Slots take 327680 bytes; the signal would end the process.
    const rlimit limit{.rlim_cur = 100000, .rlim_max = 100000};
    std::signal(SIGXFSZ, SIG_IGN);
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) {
      return 1;
    }
    const core::Status status = Directory::Format(path, EightSlots());
    const bool explained =
        status.message().find("ulimit -f") != std::string_view::npos;
    return status.code() == core::Code::kIoError && explained &&
                   Send(out, static_cast<std::uint32_t>(status.os_error()))
               ? 0
               : 2;
  });
  std::uint32_t os_error = 0;
  EXPECT_TRUE(child.Receive(os_error));
  EXPECT_EQ(os_error, static_cast<std::uint32_t>(EFBIG));
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace stoker::cache
