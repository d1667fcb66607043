// The options of the back ends over local files, and what comes of them.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "storage/internal/file_paths.h"
#include "storage/internal/uring_ring.h"
#include "tests/storage/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Letters;
using testing::NewQueue;
using testing::Open;
using testing::ReadInto;

constexpr std::size_t kPage = 4096;

std::string Refusal(const std::string& uri) {
  const core::Status status = OpenBackend(uri).status();
  EXPECT_EQ(status.code(), core::Code::kInvalidArgument) << uri;
  return std::string(status.message());
}

TEST(FileOptions, WhatIsNotAllowedIsNamedWithWhatIs) {
  EXPECT_THAT(Refusal("file:///x?depth=0"), HasSubstr("1 to 16384"));
  EXPECT_THAT(Refusal("direct:///x?block=1000"),
              AllOf(HasSubstr("block=1000"), HasSubstr("multiples of 4096")));
  EXPECT_THAT(Refusal("direct:///x?block=2GiB"), HasSubstr("up to 1 GiB"));
  EXPECT_THAT(Refusal("file:///x?fadvise=willneed"),
              HasSubstr("normal, sequential, random, noreuse and dontneed"));
  EXPECT_THAT(Refusal("mmap:///x?readahead=maybe"), HasSubstr("on and off"));
}

TEST(FileOptions, AdviceAtOddsIsRefused) {
  EXPECT_THAT(Refusal("file:///x?fadvise=sequential&readahead=off"),
              HasSubstr("leave one of the two out"));
  EXPECT_THAT(Refusal("file:///x?fadvise=random&readahead=on"),
              HasSubstr("leave one of the two out"));
  for (const char* options :
       {"fadvise=random&readahead=off", "fadvise=dontneed&readahead=off",
        "fadvise=noreuse&readahead=off", "fadvise=sequential&readahead=on"}) {
    EXPECT_TRUE(OpenBackend(fmt::format("file:///x?{}", options)).ok())
        << options;
  }
}

TEST(FileOptions, BackEndsHaveNoneThatDoNothing) {
  EXPECT_THAT(Refusal("direct:///x?fadvise=random"),
              HasSubstr("unknown option 'fadvise'"));
  EXPECT_THAT(Refusal("mmap:///x?engine=uring"),
              HasSubstr("unknown option 'engine'"));
  EXPECT_THAT(Refusal("mmap:///x?block=4096"),
              HasSubstr("unknown option 'block'"));
}

class FileOptionsTest : public ::testing::Test {
 protected:
  void Put(std::string_view name, std::string_view content) {
    std::ofstream(dir_.path() / name) << content;
  }
  void OpenAs(std::string_view scheme, std::string_view options) {
    backend_ = Open(fmt::format("{}://{}?{}", scheme, dir_.str(), options));
  }
  bool LivesInMemory() const {
    return internal::FileSystemOf(dir_.str()).starts_with("tmpfs");
  }
  std::uint64_t Cached(std::string_view name) {
    return backend_->CachedBytes(name).value().value_or(UINT64_MAX);
  }
  void ReadWhole(std::string_view name, std::size_t bytes) {
    const auto queue = NewQueue(*backend_, clock_);
    const ObjectId object = backend_->Resolve(name);
    EXPECT_EQ(ReadInto(text_, *queue, object, 0, bytes).bytes, bytes);
    backend_->Release(object);
  }

  testing::TempDir dir_;
  core::SystemClock clock_;
  std::unique_ptr<Backend> backend_;
  std::string text_;
};

TEST_F(FileOptionsTest, WithDontneedWhatWasReadIsDroppedAtRelease) {
  constexpr std::size_t kSize = 300'001;
  Put("a", Letters(kSize));
  for (const char* scheme : {"file", "mmap"}) {
    OpenAs(scheme, "fadvise=normal");
    ASSERT_TRUE(backend_->Forget("a").ok());
    ReadWhole("a", kSize);
    EXPECT_EQ(Cached("a"), kSize) << scheme;
    OpenAs(scheme, "fadvise=dontneed");
    ReadWhole("a", kSize);
    EXPECT_EQ(text_, Letters(kSize));
    EXPECT_EQ(Cached("a"), LivesInMemory() ? kSize : 0U) << scheme;
  }
}

TEST_F(FileOptionsTest, WithoutReadAheadOnlyWhatIsAskedForIsRead) {
  constexpr std::size_t kSize = 1U << 20;
  Put("a", Letters(kSize));
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  for (const char* scheme : {"file", "mmap"}) {
    for (const char* options : {"readahead=off", "fadvise=random"}) {
      OpenAs(scheme, options);
      ASSERT_TRUE(backend_->Forget("a").ok());
      ReadWhole("a", 100);
      EXPECT_EQ(Cached("a"), LivesInMemory() ? kSize : page)
          << scheme << " " << options;
    }
  }
}

TEST_F(FileOptionsTest, EveryAdviceReadsTheSame) {
  Put("a", Letters(100'000));
  for (const char* scheme : {"file", "mmap"}) {
    for (const char* advice :
         {"normal", "sequential", "random", "noreuse", "dontneed"}) {
      OpenAs(scheme, fmt::format("fadvise={}", advice));
      ReadWhole("a", 100'000);
      EXPECT_EQ(text_, Letters(100'000)) << scheme << " " << advice;
    }
  }
}

TEST_F(FileOptionsTest, MmapReadsThroughMappingsAndWritesAsFile) {
  OpenAs("mmap", "io_threads=2");
  EXPECT_EQ(backend_->uri(), "mmap://" + dir_.str());
  ASSERT_TRUE(WriteObject(*backend_, "train/a", Letters(50'000), clock_).ok());
  const auto queue = NewQueue(*backend_, clock_);
  EXPECT_EQ(queue->engine(), "mapped");
  EXPECT_EQ(queue->limits().offset_align, 1U);
  EXPECT_EQ(ReadObject(*backend_, "train/a", clock_).value(), Letters(50'000));
}

// --- depth and block --------------------------------------------------------

// A named pipe. io_uring opens it at once and its reads hang until something is
// written; an open by a thread hangs until there is a writer.
class Pipe {
 public:
  explicit Pipe(const fs::path& path) : path_(path) {
    STOKER_CHECK(::mkfifo(path.c_str(), 0600) == 0);
  }
  ~Pipe() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void BeWriter() {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    STOKER_CHECK(fd_ >= 0);
  }
  void Write(std::string_view text) const {
    STOKER_CHECK(::write(fd_, text.data(), text.size()) ==
                 static_cast<ssize_t>(text.size()));
  }

 private:
  fs::path path_;
  int fd_ = -1;
};

// Read calls of this process so far, from proc(5).
std::int64_t ReadCalls() {
  std::ifstream io("/proc/self/io");
  std::string name;
  std::int64_t count = 0;
  while (io >> name >> count && name != "syscr:") {
  }
  return count;
}

TEST_F(FileOptionsTest, DepthLimitsTheThreads) {
  OpenAs("file", "engine=threads&depth=1&io_threads=4");
  Pipe a(dir_.path() / "a");
  Pipe b(dir_.path() / "b");
  const auto queue = NewQueue(*backend_, clock_);
  const std::array ops{ReadOp{.kind = ReadOp::Kind::kSize,
                              .object = backend_->Resolve("a"),
                              .tag = 1},
                       ReadOp{.kind = ReadOp::Kind::kSize,
                              .object = backend_->Resolve("b"),
                              .tag = 2}};
  ASSERT_EQ(queue->Submit(ops).value(), 2U);
  std::array<ReadDone, 2> done;
  b.BeWriter();
  // Nobody opens b before a is open.
  EXPECT_EQ(queue->Reap(done, 1, clock_.Now()).value(), 0U);
  a.BeWriter();
  ASSERT_EQ(queue->Reap(done, 2, core::kNever).value(), 2U);
  EXPECT_EQ(done[0].tag, 1U);
  EXPECT_EQ(done[1].tag, 2U);
}

TEST_F(FileOptionsTest, AThreadReadsBlockByBlock) {
  Put("a", Letters(10 * kPage));
  const auto calls = [this](std::string_view options) {
    OpenAs("file", options);
    const std::int64_t before = ReadCalls();
    ReadWhole("a", 10 * kPage);
    return ReadCalls() - before;
  };
  // Ten blocks instead of one.
  EXPECT_EQ(calls("engine=threads&block=4KiB"), calls("engine=threads") + 9);
}

// Where io_uring is allowed; with a parameter, so that the suite is empty
// elsewhere.
class UringSplits : public FileOptionsTest,
                    public ::testing::WithParamInterface<bool> {};

TEST_P(UringSplits, DepthLimitsWhatIsInTheKernel) {
  OpenAs("file", "engine=uring&depth=1");
  Pipe a(dir_.path() / "a");
  Pipe b(dir_.path() / "b");
  a.BeWriter();
  b.BeWriter();
  const auto queue = NewQueue(*backend_, clock_);
  std::array<std::array<std::byte, 4>, 2> buffers{};
  const std::array ops{
      ReadOp{.object = backend_->Resolve("a"), .buffer = buffers[0], .tag = 1},
      ReadOp{.object = backend_->Resolve("b"), .buffer = buffers[1], .tag = 2}};
  // Both are taken: the loader's demand is its own.
  ASSERT_EQ(queue->Submit(ops).value(), 2U);
  std::array<ReadDone, 2> done;
  b.Write("bbbb");
  // What b has is not read before a is.
  EXPECT_EQ(queue->Reap(done, 1, clock_.Now()).value(), 0U);
  a.Write("aaaa");
  ASSERT_EQ(queue->Reap(done, 2, core::kNever).value(), 2U);
  EXPECT_EQ(done[0].tag, 1U);
  EXPECT_EQ(done[1].tag, 2U);
}

TEST_P(UringSplits, ABlockIsARequestOfItsOwn) {
  OpenAs("file", "engine=uring&block=4KiB");
  Pipe pipe(dir_.path() / "pipe");
  pipe.BeWriter();
  const auto queue = NewQueue(*backend_, clock_);
  std::vector<std::byte> buffer(2 * kPage);
  const ReadOp op{.object = backend_->Resolve("pipe"), .buffer = buffer};
  ASSERT_EQ(queue->Submit(std::span(&op, 1)).value(), 1U);
  // One request would be done with these.
  pipe.Write(Letters(kPage));
  std::array<ReadDone, 1> done;
  EXPECT_EQ(queue->Reap(done, 1, clock_.Now()).value(), 0U);
  pipe.Write(Letters(100));
  ASSERT_EQ(queue->Reap(done, 1, core::kNever).value(), 1U);
  EXPECT_TRUE(done[0].status.ok());
}

TEST_P(UringSplits, AnOpenDoesNotWaitForTheBlocksOfOtherFiles) {
  OpenAs("file", "engine=uring&depth=1&block=4KiB");
  Put("large", Letters(10 * kPage));
  Put("small", "text");
  const auto queue = NewQueue(*backend_, clock_);
  const ObjectId large = backend_->Resolve("large");
  ReadInto(text_, *queue, large, 0, 1);  // is open from here on
  std::vector<std::byte> buffer(10 * kPage);
  const std::array ops{ReadOp{.object = large, .buffer = buffer, .tag = 1},
                       ReadOp{.kind = ReadOp::Kind::kSize,
                              .object = backend_->Resolve("small"),
                              .tag = 2}};
  ASSERT_EQ(queue->Submit(ops).value(), 2U);
  std::array<ReadDone, 2> done;
  ASSERT_EQ(queue->Reap(done, 2, core::kNever).value(), 2U);
  EXPECT_EQ(done[0].tag, 2U);
  EXPECT_EQ(done[0].bytes, 4U);
  EXPECT_EQ(done[1].tag, 1U);
  EXPECT_EQ(done[1].bytes, 10 * kPage);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(UringSplits);
INSTANTIATE_TEST_SUITE_P(Allowed, UringSplits,
                         ::testing::ValuesIn(internal::ProbeUring().ok()
                                                 ? std::vector<bool>{true}
                                                 : std::vector<bool>{}));

std::vector<std::string> UsableEngines() {
  if (internal::ProbeUring().ok()) {
    return {"threads", "uring"};
  }
  return {"threads"};
}

class FileSplits : public FileOptionsTest,
                   public ::testing::WithParamInterface<std::string> {
 protected:
  void OpenSplit(std::string_view options) {
    OpenAs("file", fmt::format("engine={}&{}", GetParam(), options));
  }
};

TEST_P(FileSplits, BlocksAreJoinedWhateverTheirSizeAndNumber) {
  const std::string content = Letters(10 * kPage + 17);
  Put("a", content);
  for (const char* options :
       {"block=4KiB", "block=8KiB&depth=1", "block=12KiB&depth=2", "block=1MiB",
        "block=0", "depth=1"}) {
    OpenSplit(options);
    const auto queue = NewQueue(*backend_, clock_, 3);
    const ObjectId a = backend_->Resolve("a");
    for (const std::size_t offset : {0U, 1U, 4096U, 40'000U}) {
      for (const std::size_t wanted : {0U, 100U, 8192U, 100'000U}) {
        const std::string expected = content.substr(offset, wanted);
        const ReadDone done = ReadInto(text_, *queue, a, offset, wanted);
        EXPECT_TRUE(done.status.ok()) << done.status.ToString();
        EXPECT_EQ(done.bytes, expected.size());
        EXPECT_EQ(text_, expected) << options << " " << offset << " " << wanted;
      }
    }
    // Behind the end there is nothing.
    EXPECT_EQ(ReadInto(text_, *queue, a, 100'000, 20'000).bytes, 0U);
    backend_->Release(a);
  }
}

TEST_P(FileSplits, ManyOpsOfManyFilesShareTheLimit) {
  OpenSplit("block=4KiB&depth=3");
  constexpr std::size_t kFiles = 5;
  constexpr std::size_t kSize = 7 * kPage;
  const auto queue = NewQueue(*backend_, clock_, 2 * kFiles);
  std::vector<std::string> texts(2 * kFiles, std::string(kSize, '?'));
  std::vector<ReadOp> ops;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string name = std::to_string(i % kFiles);
    Put(name, Letters(kSize, i % kFiles));
    ops.push_back({.object = backend_->Resolve(name),
                   .buffer = std::as_writable_bytes(std::span(texts[i])),
                   .tag = i});
  }
  ASSERT_EQ(queue->Submit(ops).value(), ops.size());
  std::vector<ReadDone> done(ops.size());
  ASSERT_EQ(queue->Reap(done, ops.size(), core::kNever).value(), ops.size());
  for (const ReadDone& one : done) {
    EXPECT_EQ(one.bytes, kSize);
    EXPECT_EQ(texts[one.tag], Letters(kSize, one.tag % kFiles));
  }
}

TEST_P(FileSplits, AFailedOpenFailsASplitReadOnce) {
  OpenSplit("block=4KiB&depth=2");
  const auto queue = NewQueue(*backend_, clock_);
  const ReadDone done =
      ReadInto(text_, *queue, backend_->Resolve("none"), 0, 100'000);
  EXPECT_EQ(done.status.code(), core::Code::kNotFound);
  EXPECT_EQ(queue->in_flight(), 0U);
}

TEST_P(FileSplits, EndsWhileBlocksAreInFlight) {
  OpenSplit("block=4KiB&depth=8");
  Put("a", Letters(100'000));
  std::vector<std::byte> memory(100'000);
  for (int round = 0; round < 10; ++round) {
    auto queue = NewQueue(*backend_, clock_);
    const ObjectId a = backend_->Resolve("a");
    const ReadOp op{.object = a, .buffer = memory};
    ASSERT_EQ(queue->Submit(std::span(&op, 1)).value(), 1U);
    queue.reset();
    std::ranges::fill(memory, std::byte{0});  // is ours again
    backend_->Release(a);
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, FileSplits,
                         ::testing::ValuesIn(UsableEngines()),
                         [](const auto& row) { return row.param; });

}  // namespace
}  // namespace stoker::storage
