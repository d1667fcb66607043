#include "storage/file_backend.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "storage/internal/file_paths.h"
#include "storage/internal/uring_ring.h"
#include "tests/storage/support.h"
#include "tests/storage/tight_space.h"
#include "tests/support/temp_dir.h"

namespace stoker::storage {
namespace {

namespace fs = std::filesystem;
using testing::AsBytes;
using ::testing::ElementsAre;
using testing::FileSizeLimit;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using testing::Letters;
using testing::ListAll;
using ::testing::MatchesRegex;
using testing::NewQueue;
using testing::Open;
using testing::ReadFile;
using testing::ReadInto;

// Names of all files below `folder`, hidden ones included.
std::set<std::string> FilesBelow(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) {
      names.insert(entry.path().lexically_relative(folder).string());
    }
  }
  return names;
}

// How many descriptors of this process show a file below `folder`.
int OpenDescriptors(const fs::path& folder) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = fs::read_symlink(entry.path(), gone).string();
    count += target.starts_with(folder.string() + "/") ? 1 : 0;
  }
  return count;
}

std::vector<std::string> Engines() {
  if (internal::ProbeUring().ok()) {
    return {"threads", "uring"};
  }
  return {"threads"};
}

// Both engines where there are two.
class FileReads : public ::testing::TestWithParam<std::string> {
 protected:
  testing::TempDir dir_;
  core::SystemClock clock_;
  std::unique_ptr<Backend> backend_ =
      Open("file://" + dir_.str() + "?engine=" + GetParam());
};

TEST_P(FileReads, SaysItsEngineAndItsUnit) {
  const auto queue = NewQueue(*backend_, clock_, 7);
  EXPECT_EQ(queue->engine(), GetParam());
  struct stat info{};
  ASSERT_EQ(::stat(dir_.str().c_str(), &info), 0);
  EXPECT_EQ(queue->limits().preferred_unit,
            static_cast<std::uint32_t>(info.st_blksize));
  EXPECT_EQ(queue->limits().capacity, 7U);
  EXPECT_TRUE(queue->limits().real_data);
}

TEST_P(FileReads, OpensAtTheFirstOpAndClosesAtRelease) {
  std::ofstream(dir_.path() / "a") << "0123456789";
  const auto queue = NewQueue(*backend_, clock_);
  const ObjectId a = backend_->Resolve("a");
  EXPECT_EQ(OpenDescriptors(dir_.path()), 0);
  std::string text;
  ReadInto(text, *queue, a, 0, 4);
  ReadInto(text, *queue, a, 4, 4);
  EXPECT_EQ(OpenDescriptors(dir_.path()), 1);
  backend_->Release(a);
  EXPECT_EQ(OpenDescriptors(dir_.path()), 0);
}

TEST_P(FileReads, OneOpenServesAllOpsSubmittedTogether) {
  std::ofstream(dir_.path() / "a") << Letters(40);
  const auto queue = NewQueue(*backend_, clock_, 8);
  const ObjectId a = backend_->Resolve("a");
  std::array<std::array<std::byte, 5>, 8> buffers{};
  std::array<ReadOp, 8> ops;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    ops[i] = {.object = a, .offset = 5 * i, .buffer = buffers[i], .tag = i};
  }
  ASSERT_EQ(queue->Submit(ops).value(), 8U);
  std::array<ReadDone, 8> done;
  ASSERT_EQ(queue->Reap(done, 8, core::kNever).value(), 8U);
  for (const ReadDone& one : done) {
    EXPECT_EQ(one.bytes, 5U);
  }
  const std::string text = Letters(40);
  EXPECT_EQ(std::memcmp(buffers.data(), text.data(), text.size()), 0);
  EXPECT_EQ(OpenDescriptors(dir_.path()), 1);
}

TEST_P(FileReads, AFailedOpenFailsEveryWaitingOpWithThePath) {
  const auto queue = NewQueue(*backend_, clock_);
  const ObjectId none = backend_->Resolve("train/none.npz");
  const std::array ops{
      ReadOp{.kind = ReadOp::Kind::kSize, .object = none, .tag = 1},
      ReadOp{.object = none, .tag = 2}};
  ASSERT_EQ(queue->Submit(ops).value(), 2U);
  std::array<ReadDone, 2> done;
  ASSERT_EQ(queue->Reap(done, 2, core::kNever).value(), 2U);
  for (const ReadDone& one : done) {
    EXPECT_EQ(one.status.code(), core::Code::kNotFound);
    EXPECT_EQ(one.status.message(), "open " + dir_.str() +
                                        "/train/none.npz: No such file or "
                                        "directory");
  }
}

TEST_P(FileReads, AFolderIsNoObject) {
  fs::create_directory(dir_.path() / "folder");
  const auto queue = NewQueue(*backend_, clock_);
  std::string text;
  const ReadDone done =
      ReadInto(text, *queue, backend_->Resolve("folder"), 0, 4);
  EXPECT_EQ(done.status.os_error(), EISDIR);
  EXPECT_EQ(OpenDescriptors(dir_.path()), 0);
}

TEST_P(FileReads, AnIdMayComeBackForAnotherObject) {
  std::ofstream(dir_.path() / "a") << "aaaa";
  std::ofstream(dir_.path() / "b") << "bbbb";
  const auto queue = NewQueue(*backend_, clock_);
  std::string text;
  const ObjectId a = backend_->Resolve("a");
  ReadInto(text, *queue, a, 0, 4);
  EXPECT_EQ(text, "aaaa");
  backend_->Release(a);
  const ObjectId b = backend_->Resolve("b");
  EXPECT_EQ(a, b);
  ReadInto(text, *queue, b, 0, 4);
  EXPECT_EQ(text, "bbbb");
}

TEST_P(FileReads, EndsWhileOpsAreInFlight) {
  std::ofstream(dir_.path() / "a") << Letters(100'000);
  const ObjectId a = backend_->Resolve("a");
  std::vector<std::byte> memory(16 * 100'000);
  std::vector<ReadOp> ops;
  for (std::size_t i = 0; i < 16; ++i) {
    ops.push_back({.object = a,
                   .buffer = std::span(memory).subspan(i * 100'000, 100'000)});
  }
  auto queue = NewQueue(*backend_, clock_, 16);
  ASSERT_EQ(queue->Submit(ops).value(), 16U);
  queue.reset();
  // The memory is ours again, and so is an open that was under way.
  std::ranges::fill(memory, std::byte{0});
  backend_->Release(a);
  EXPECT_EQ(OpenDescriptors(dir_.path()), 0);
}

INSTANTIATE_TEST_SUITE_P(Engines, FileReads, ::testing::ValuesIn(Engines()),
                         [](const auto& row) { return row.param; });

TEST(FileBackend, AutoTakesUringWhereItIsAllowed) {
  const testing::TempDir dir;
  core::SystemClock clock;
  const auto backend = Open(dir.str());
  const std::string engine(NewQueue(*backend, clock)->engine());
  // What refused it is said behind.
  EXPECT_TRUE(internal::ProbeUring().ok() ? engine == "uring"
                                          : engine.starts_with("threads (io_"))
      << engine;
}

TEST(FileBackend, RefusesADepthOfZero) {
  const testing::TempDir dir;
  core::SystemClock clock;
  const auto backend = Open(dir.str());
  EXPECT_EQ(backend->NewReadQueue({.depth = 0}, clock).status().code(),
            core::Code::kInvalidArgument);
}

class FileWrites : public ::testing::Test {
 protected:
  std::unique_ptr<WriteStream> Create(std::string_view name,
                                      const WriteOptions& options = {}) {
    auto stream = backend_->Create(name, options, clock_);
    EXPECT_TRUE(stream.ok()) << stream.status().ToString();
    return std::move(stream).value();
  }

  testing::TempDir dir_;
  core::SystemClock clock_;
  std::unique_ptr<Backend> backend_ = Open(dir_.str());
};

TEST_F(FileWrites, AnUnfinishedObjectHasAHiddenNameWithoutTheSuffix) {
  const auto stream = Create("train/img_0.npz");
  const std::set<std::string> files = FilesBelow(dir_.path());
  ASSERT_EQ(files.size(), 1U);
  EXPECT_THAT(
      *files.begin(),
      MatchesRegex("train/\\.img_0\\.npz\\.stoker-[0-9a-f]+-[0-9]+-[0-9]+"));
  EXPECT_THAT(ListAll(*backend_, "train/"), IsEmpty());
}

TEST_F(FileWrites, AnotherProcessesTemporaryFileIsLeftAlone) {
  const std::string theirs =
      fmt::format(".a.stoker-{}-{}-0", internal::TempWhere(), ::getpid());
  std::ofstream(dir_.path() / theirs) << "theirs";
  ASSERT_TRUE(WriteObject(*backend_, "a", "ours", clock_).ok());
  EXPECT_EQ(ReadFile(dir_.path() / theirs), "theirs");
  EXPECT_EQ(ReadFile(dir_.path() / "a"), "ours");
}

// The process number of a child that has ended.
pid_t EndedProcess() {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(0);
  }
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  return child;
}

TEST_F(FileWrites, WhatDeadWritersLeftIsSweptAndNothingElse) {
  const auto ours = Create("train/0/b");
  const auto leave = [&](std::string_view folder, std::string_view where,
                         pid_t process) {
    const fs::path path =
        dir_.path() / folder / fmt::format(".a.stoker-{}-{}-7", where, process);
    std::ofstream(path) << "left";
    return path;
  };
  const pid_t ended = EndedProcess();
  const fs::path dead = leave("train/0", internal::TempWhere(), ended);
  const fs::path elsewhere = leave("train", "0badcafe", ended);
  const fs::path quiet = leave("train/0", "0badcafe", ended);
  fs::last_write_time(quiet,
                      fs::file_time_type::clock::now() - std::chrono::hours(1));
  const fs::path above = leave(".", internal::TempWhere(), ended);
  std::ofstream(dir_.path() / "train/.mine.stoker-notes") << "x";

  const Unfinished seen =
      backend_->SweepUnfinished("train/", Sweep::kCount).value();
  EXPECT_EQ(seen.objects, 2U);
  EXPECT_EQ(seen.bytes, 8U);
  EXPECT_EQ(seen.busy, 2U);  // ours and the one elsewhere
  EXPECT_EQ(FilesBelow(dir_.path()).size(), 6U);

  const Unfinished swept =
      backend_->SweepUnfinished("train/", Sweep::kRemove).value();
  EXPECT_EQ(swept.objects, 2U);
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_FALSE(fs::exists(quiet));
  EXPECT_TRUE(fs::exists(elsewhere));
  EXPECT_TRUE(fs::exists(above));
  EXPECT_EQ(backend_->SweepUnfinished("b", Sweep::kRemove).value().objects, 0U);
  EXPECT_EQ(backend_->SweepUnfinished("a", Sweep::kRemove).value().objects, 1U);
  EXPECT_EQ(backend_->SweepUnfinished("none/", Sweep::kRemove).value().busy,
            0U);
  EXPECT_THAT(FilesBelow(dir_.path()), ::testing::SizeIs(3));
}

TEST_F(FileWrites, InPlaceShowsTheFinalNameAtOnceAndRemovesItWhenDropped) {
  std::ofstream(dir_.path() / "a") << "old";
  auto stream = Create("a", {.part_size = 4096, .in_place = true});
  EXPECT_EQ(fs::file_size(dir_.path() / "a"), 0U);
  stream.reset();
  EXPECT_THAT(FilesBelow(dir_.path()), IsEmpty());

  stream = Create("a", {.part_size = 4096, .in_place = true});
  ASSERT_TRUE(stream->Write(AsBytes(Letters(9000))).ok());
  ASSERT_TRUE(stream->Commit().ok());
  stream.reset();
  EXPECT_EQ(ReadFile(dir_.path() / "a"), Letters(9000));
}

TEST_F(FileWrites, DurableObjectsAreSyncedBeforeTheyAreVisible) {
  const auto stream = Create("new/folder/a", {.durable = true});
  ASSERT_TRUE(stream->Write(AsBytes("text")).ok());
  const WriteTimes times = stream->Commit().value();
  EXPECT_GE(times.synced, times.last);
  EXPECT_GE(times.committed, times.synced);
  EXPECT_EQ(ReadFile(dir_.path() / "new/folder/a"), "text");
}

TEST_F(FileWrites, AFileInPlaceOfAFolderIsAnError) {
  std::ofstream(dir_.path() / "train") << "a file";
  const auto stream = backend_->Create("train/a", {}, clock_);
  ASSERT_FALSE(stream.ok());
  EXPECT_EQ(stream.status().os_error(), ENOTDIR);
  EXPECT_THAT(std::string(stream.status().message()),
              HasSubstr(dir_.str() + "/train"));
}

TEST_F(FileWrites, ARefusedWriteNamesOffsetAmountAndRemedyAndLeavesNothing) {
  auto stream = Create("a", {.part_size = 8192});
  core::Status status;
  {
    // Part 0 is kept back, part 1 fits, part 2 does not.
    const FileSizeLimit limit(16384);
    status = stream->Write(AsBytes(Letters(24576)));
  }
  EXPECT_EQ(status.code(), core::Code::kIoError);
  EXPECT_EQ(status.os_error(), EFBIG);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("write " + dir_.str() +
                        "/a at offset 16384: File too large (8192 of its "
                        "bytes were written, "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("ulimit -f"));
  EXPECT_EQ(stream->Commit().status().os_error(), EFBIG);
  stream.reset();
  EXPECT_THAT(FilesBelow(dir_.path()), IsEmpty());
}

TEST_F(FileWrites, AFullDeviceKeepsItsErrorAndSaysWhatIsFree) {
  // In place, /dev/full takes the place of a file on a full disk.
  fs::create_symlink("/dev/full", dir_.path() / "full");
  const auto stream = Create("full", {.part_size = 4096, .in_place = true});
  const core::Status status = stream->Write(AsBytes(Letters(8192)));
  EXPECT_EQ(status.os_error(), ENOSPC);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("No space left on device (0 of its bytes were "
                        "written, "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("free space there"));
}

TEST_F(FileWrites, LinksAreHardLinks) {
  ASSERT_TRUE(WriteObject(*backend_, "a", "text", clock_).ok());
  ASSERT_TRUE(backend_->Link("a", "more/b").ok());
  EXPECT_EQ(fs::hard_link_count(dir_.path() / "a"), 2U);
  EXPECT_TRUE(fs::equivalent(dir_.path() / "a", dir_.path() / "more" / "b"));
}

TEST_F(FileWrites, LinkingTwiceLeavesNoTemporaryName) {
  ASSERT_TRUE(WriteObject(*backend_, "a", "text", clock_).ok());
  ASSERT_TRUE(backend_->Link("a", "b").ok());
  ASSERT_TRUE(backend_->Link("a", "b").ok());
  EXPECT_THAT(FilesBelow(dir_.path()), ElementsAre("a", "b"));
}

TEST_F(FileWrites, ASymbolicLinkToAFileIsAnObject) {
  ASSERT_TRUE(WriteObject(*backend_, "a", "text", clock_).ok());
  fs::create_symlink("a", dir_.path() / "link");
  fs::create_symlink("nothing", dir_.path() / "dangling");
  EXPECT_THAT(ListAll(*backend_, ""), ElementsAre(Key("a"), Key("link")));
}

TEST_F(FileWrites, AListOfACheckpointHasItsFilesAndNoOthers) {
  // As many as the largest of the models has.
  constexpr std::size_t kFiles = 2072;
  for (const char* folder : {"global_epoch1_step1", "global_epoch1_step10"}) {
    fs::create_directory(dir_.path() / folder);
  }
  std::ofstream(dir_.path() / "global_epoch1_step10" / "model_0.pt") << "x";
  for (std::size_t i = 0; i < kFiles; ++i) {
    std::ofstream(dir_.path() / "global_epoch1_step1" /
                  fmt::format("optimizer_{}.pt", i));
  }
  EXPECT_EQ(ListAll(*backend_, "global_epoch1_step1/").size(), kFiles);
  EXPECT_THAT(ListAll(*backend_, "global_epoch1_step10/"),
              ElementsAre(Key("global_epoch1_step10/model_0.pt")));
  EXPECT_EQ(ListAll(*backend_, "global_epoch1_step1").size(), kFiles + 1);
}

TEST_F(FileWrites, APrefixIsOfTheWholeName) {
  ASSERT_TRUE(WriteObject(*backend_, "train/a", "text", clock_).ok());
  ASSERT_TRUE(WriteObject(*backend_, "tr", "text", clock_).ok());
  ASSERT_TRUE(WriteObject(*backend_, "other/train", "text", clock_).ok());
  EXPECT_THAT(ListAll(*backend_, "tr"), ElementsAre(Key("tr"), Key("train/a")));
  EXPECT_THAT(ListAll(*backend_, "o"), ElementsAre(Key("other/train")));
}

TEST_F(FileWrites, FoldersAreMadeAndListable) {
  ASSERT_TRUE(backend_->EnsureFolder("valid/").ok());
  EXPECT_THAT(ListAll(*backend_, "valid/"), IsEmpty());
  EXPECT_TRUE(fs::is_directory(dir_.path() / "valid"));
}

TEST_F(FileWrites, SizesOfObjectsCanBeAsked) {
  ASSERT_TRUE(WriteObject(*backend_, "a/b", "text", clock_).ok());

  EXPECT_EQ(ObjectSize(*backend_, "a/b", clock_).value(), 4U);
  EXPECT_EQ(ObjectSize(*backend_, "a/c", clock_).status().code(),
            core::Code::kNotFound);
}

TEST_F(FileWrites, TheRootNeedNotExistYet) {
  const auto backend = Open("file://" + dir_.str() + "/not/yet");
  EXPECT_TRUE(backend->FreeBytes().ok());
  EXPECT_GT(backend->FreeObjects().value(), 0U);
  EXPECT_EQ(backend->capabilities().max_links,
            backend_->capabilities().max_links);
  ASSERT_TRUE(WriteObject(*backend, "a", "text", clock_).ok());
  EXPECT_EQ(ReadFile(dir_.path() / "not/yet/a"), "text");
}

TEST_F(FileWrites, TheRootMayBeWrittenInManyWays) {
  ASSERT_TRUE(WriteObject(*backend_, "train/a", "text", clock_).ok());
  for (const std::string& root :
       {dir_.str() + "/", dir_.str() + "//", dir_.str() + "/./train/.."}) {
    EXPECT_THAT(ListAll(*Open(root), ""), ElementsAre(Key("train/a"))) << root;
  }
}

TEST(FilePaths, FolderOfCutsTheLastPart) {
  EXPECT_EQ(internal::FolderOf("a/b/c"), "a/b");
  EXPECT_EQ(internal::FolderOf("a/b/"), "a/b");
  EXPECT_EQ(internal::FolderOf("c"), "");
  EXPECT_EQ(internal::FolderOf("/c"), "/");
}

TEST(FilePaths, TempNamesDifferAndAreRecognised) {
  internal::TempNames names;
  const std::string first = names.For("/mnt/x/a.npz");
  EXPECT_NE(first, names.For("/mnt/x/a.npz"));
  EXPECT_THAT(first,
              MatchesRegex("/mnt/x/\\.a\\.npz\\.stoker-[0-9a-f]{8}-[0-9]+-0"));
  const std::string own_name = first.substr(first.rfind('/') + 1);
  const auto owner = internal::ParseTempName(own_name);
  ASSERT_TRUE(owner.has_value());
  EXPECT_EQ(owner->file, "a.npz");
  EXPECT_EQ(owner->process, ::getpid());
  EXPECT_EQ(internal::HasEnded(*owner), false);
  for (const char* other : {".a.stoker-12-0", "a.stoker-01234567-12-0",
                            ".stoker-01234567-12-0", ".a.stoker-01234567-x-0",
                            ".a.stoker-01234567-0-0", ".stoker-steps-x"}) {
    EXPECT_FALSE(internal::ParseTempName(other).has_value()) << other;
  }
  EXPECT_TRUE(internal::IsTempName(".a.npz.stoker-12-0"));
  EXPECT_FALSE(internal::IsTempName("a.npz.stoker-12-0"));
  EXPECT_FALSE(internal::IsTempName(".hidden"));
}

TEST(FilePaths, NearestExistingGoesUp) {
  const testing::TempDir dir;
  EXPECT_EQ(internal::NearestExisting(dir.str() + "/a/b"), dir.str());
  EXPECT_EQ(internal::NearestExisting("/no such/folder"), "/");
  EXPECT_EQ(internal::NearestExisting("no such/folder"), ".");
}

}  // namespace
}  // namespace stoker::storage
