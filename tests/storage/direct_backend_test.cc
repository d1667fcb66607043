// direct: memory the kernel knows, and writes past the page cache.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/aligned_buffer.h"
#include "storage/internal/file_paths.h"
#include "storage/internal/uring_ring.h"
#include "tests/storage/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::storage {
namespace {

namespace fs = std::filesystem;
using testing::AsBytes;
using ::testing::HasSubstr;
using testing::Letters;
using testing::NewQueue;
using testing::Open;
using testing::RunOne;
using ::testing::StartsWith;

constexpr std::size_t kDirectPart = 4096;
constexpr std::size_t kDirectMiB = 1U << 20;

std::string TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Where the temporary folder takes O_DIRECT; with a parameter, so that the
// suite is empty elsewhere.
std::vector<bool> WhereDirectIsAllowed() {
  return testing::DirectIsAllowed() ? std::vector<bool>{true}
                                    : std::vector<bool>{};
}
std::vector<bool> WhereDirectUringIsAllowed() {
  return internal::ProbeUring().ok() ? WhereDirectIsAllowed()
                                     : std::vector<bool>{};
}

class DirectTest : public ::testing::TestWithParam<bool> {
 protected:
  void Put(std::string_view name, std::string_view content) {
    std::ofstream(dir_.path() / name) << content;
  }
  std::string ReadBack(std::string_view name) const {
    std::ifstream in(dir_.path() / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  testing::TempDir dir_;
  core::SystemClock clock_;
  std::unique_ptr<Backend> backend_ = Open("direct://" + dir_.str());
};

// --- Registered memory ------------------------------------------------------

using DirectMemory = DirectTest;

TEST_P(DirectMemory, RegisteredOrNotReadsTheSame) {
  const std::string content = Letters(3 * kDirectMiB + 100);
  Put("a", content);
  const auto queue = NewQueue(*backend_, clock_);
  const auto pool = core::AlignedBuffer::Make(4 * kDirectMiB, true);
  const auto other = core::AlignedBuffer::Make(4 * kDirectMiB, true);
  EXPECT_EQ(queue->engine(), "uring");
  queue->RegisterMemory(pool.value().bytes());
  EXPECT_EQ(queue->engine(), "uring, registered buffers");
  const ObjectId a = backend_->Resolve("a");
  for (const std::span<std::byte> buffer :
       {pool.value().bytes(), pool.value().bytes().subspan(kDirectMiB),
        other.value().bytes()}) {
    // All of the file, by blocks of 1 MiB, some of them in the pool.
    const ReadDone done = RunOne(*queue, {.object = a, .buffer = buffer});
    const std::size_t expected = std::min(content.size(), buffer.size());
    EXPECT_TRUE(done.status.ok()) << done.status.ToString();
    ASSERT_EQ(done.bytes, expected);
    EXPECT_EQ(TextOf(buffer.first(expected)), content.substr(0, expected));
  }
  backend_->Release(a);
}

TEST_P(DirectMemory, WhatTheKernelRefusesIsReadWithoutAndSaid) {
  const std::string content = Letters(kDirectMiB);
  Put("a", content);
  const auto queue = NewQueue(*backend_, clock_);
  // Pages that nobody may touch.
  void* const closed = ::mmap(nullptr, kDirectMiB, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(closed, MAP_FAILED);
  queue->RegisterMemory({static_cast<std::byte*>(closed), kDirectMiB});
  ::munmap(closed, kDirectMiB);
  EXPECT_THAT(std::string(queue->engine()),
              StartsWith("uring, buffers not registered: 1.00 MiB: "));
  const auto pool = core::AlignedBuffer::Make(kDirectMiB, true);
  const ObjectId a = backend_->Resolve("a");
  const ReadDone done =
      RunOne(*queue, {.object = a, .buffer = pool.value().bytes()});
  EXPECT_EQ(done.bytes, kDirectMiB);
  EXPECT_EQ(TextOf(pool.value().bytes()), content);
  backend_->Release(a);
}

// Runs `act` in a thread without the right to lock memory beyond the limit,
// with a limit of `bytes`.
template <class Act>
void WithLockedLimit(std::uint64_t bytes, Act act) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &before), 0);
  rlimit lower = before;
  lower.rlim_cur = bytes;
  ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &lower), 0);
  std::thread([&act] {
    // capset(2) is the thread's own, and lowering needs no right.
    __user_cap_header_struct head{.version = _LINUX_CAPABILITY_VERSION_3,
                                  .pid = 0};
    std::array<__user_cap_data_struct, 2> sets{};
    ASSERT_EQ(::syscall(SYS_capget, &head, sets.data()), 0);
    sets[0].effective &= ~(1U << CAP_IPC_LOCK);
    ASSERT_EQ(::syscall(SYS_capset, &head, sets.data()), 0);
    act();
  }).join();
  ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

TEST_P(DirectMemory, TheLimitOfLockedMemoryIsNamed) {
  const auto pool = core::AlignedBuffer::Make(4 * kDirectMiB, true);
  std::string engine;
  WithLockedLimit(kDirectMiB, [&] {
    const auto queue = NewQueue(*backend_, clock_);
    queue->RegisterMemory(pool.value().bytes());
    engine = queue->engine();
  });
  EXPECT_EQ(
      engine,
      "uring, buffers not registered: 4.00 MiB would be locked, the limit "
      "is 1.00 MiB, raise it with ulimit -l");
}

TEST_P(DirectMemory, WrappersPassItOn) {
  const auto pool = core::AlignedBuffer::Make(kDirectMiB, true);
  for (const char* wrapper : {"model:", "fault:"}) {
    const auto wrapped =
        Open(fmt::format("{},direct://{}", wrapper, dir_.str()));
    const auto queue = NewQueue(*wrapped, clock_);
    queue->RegisterMemory(pool.value().bytes());
    EXPECT_EQ(queue->engine(), "uring, registered buffers") << wrapper;
  }
}

TEST_P(DirectMemory, ThroughThePageCacheNothingIsRegistered) {
  const auto pool = core::AlignedBuffer::Make(kDirectMiB, true);
  const auto file = Open("file://" + dir_.str() + "?engine=uring");
  const auto queue = NewQueue(*file, clock_);
  queue->RegisterMemory(pool.value().bytes());
  EXPECT_EQ(queue->engine(), "uring");
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DirectMemory);
INSTANTIATE_TEST_SUITE_P(Allowed, DirectMemory,
                         ::testing::ValuesIn(WhereDirectUringIsAllowed()));

// --- Writes -----------------------------------------------------------------

class DirectWrites : public DirectTest {
 protected:
  std::unique_ptr<WriteStream> Create(std::string_view name,
                                      const WriteOptions& options) {
    auto stream = backend_->Create(name, options, clock_);
    EXPECT_TRUE(stream.ok()) << stream.status().ToString();
    return std::move(stream).value();
  }
  bool LivesInMemory() const {
    return internal::FileSystemOf(dir_.str()).starts_with("tmpfs");
  }
};

TEST_P(DirectWrites, WholeBlocksDoNotEnterThePageCache) {
  if (LivesInMemory()) {
    return;  // is nothing but a page cache
  }
  const std::string content = Letters(kDirectMiB + 100);
  ASSERT_TRUE(WriteObject(*backend_, "a", content, clock_).ok());
  // The page with the last 100 bytes.
  EXPECT_LE(backend_->CachedBytes("a").value().value_or(0),
            static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  EXPECT_EQ(ReadBack("a"), content);
}

TEST_P(DirectWrites, EverySizeIsWrittenAsItIs) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, kDirectPart - 1, kDirectPart,
        kDirectPart + 1, 3 * kDirectPart + 17, std::size_t{64U << 10},
        (std::size_t{64U << 10}) + 1, kDirectMiB}) {
    for (const bool durable : {false, true}) {
      for (const bool in_place : {false, true}) {
        const auto stream =
            Create("a", {.durable = durable, .in_place = in_place});
        ASSERT_TRUE(stream->Write(AsBytes(Letters(size))).ok());
        ASSERT_TRUE(stream->Commit().ok());
        EXPECT_TRUE(ReadBack("a") == Letters(size)) << size;
      }
    }
  }
}

TEST_P(DirectWrites, TheFirstPartIsPatchedIn) {
  std::string content = Letters(3 * kDirectPart + 5);
  const auto stream = Create("a", {.part_size = kDirectPart});
  ASSERT_TRUE(stream->Write(AsBytes(content)).ok());
  ASSERT_TRUE(stream->Patch(10, AsBytes("HEADER")).ok());
  ASSERT_TRUE(stream->Commit().ok());
  content.replace(10, 6, "HEADER");
  EXPECT_EQ(ReadBack("a"), content);
}

TEST_P(DirectWrites, PartsInFlightMakeTheSameFile) {
  const std::string content = Letters(100 * kDirectPart + 17);
  for (const char* threads : {"1", "3"}) {
    backend_ =
        Open(fmt::format("direct://{}?write_threads={}", dir_.str(), threads));
    for (const bool patch : {true, false}) {
      const auto stream = Create("a", {.part_size = kDirectPart,
                                       .durable = true,
                                       .in_flight = 4,
                                       .patch = patch});
      ASSERT_TRUE(stream->Write(AsBytes(content)).ok());
      ASSERT_TRUE(stream->Commit().ok());
      EXPECT_TRUE(ReadBack("a") == content);
    }
  }
}

TEST_P(DirectWrites, BehindACutPartsMayStartAnywhere) {
  const std::string content = Letters(20 * kDirectPart);
  for (const std::size_t in_flight : {0U, 3U}) {
    const auto stream = Create(
        "a",
        {.part_size = 2 * kDirectPart, .in_flight = in_flight, .patch = false});
    // Past the cache up to 3 parts and 7 bytes; then through it; from 8 parts
    // on past it again.
    std::size_t at = 0;
    for (const std::size_t cut : {3 * kDirectPart + 7, 3 * kDirectPart + 8,
                                  8 * kDirectPart, 15 * kDirectPart + 1}) {
      ASSERT_TRUE(stream->Write(AsBytes(content.substr(at, cut - at))).ok());
      ASSERT_TRUE(stream->Cut().ok());
      at = cut;
    }
    ASSERT_TRUE(stream->Write(AsBytes(content.substr(at))).ok());
    ASSERT_TRUE(stream->Commit().ok());
    EXPECT_TRUE(ReadBack("a") == content) << in_flight;
  }
}

TEST_P(DirectWrites, DroppedWithoutCommitNothingIsLeft) {
  {
    const auto stream = Create("a", {.part_size = kDirectPart, .in_flight = 2});
    ASSERT_TRUE(stream->Write(AsBytes(Letters(10 * kDirectPart))).ok());
  }
  EXPECT_TRUE(fs::is_empty(dir_.path()));
}

TEST_P(DirectWrites, OnlyDirectWritesPastThePageCache) {
  const auto file = Open("file://" + dir_.str());
  ASSERT_TRUE(WriteObject(*file, "a", Letters(kDirectMiB), clock_).ok());
  EXPECT_EQ(file->CachedBytes("a").value(), kDirectMiB);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DirectWrites);
INSTANTIATE_TEST_SUITE_P(Allowed, DirectWrites,
                         ::testing::ValuesIn(WhereDirectIsAllowed()));

}  // namespace
}  // namespace stoker::storage
