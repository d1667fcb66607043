#include "cache/directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <vector>

#include "tests/cache/directory_support.h"
#include "tests/support/temp_dir.h"

namespace stoker::cache {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::EightSlots;
using ::testing::HasSubstr;
using testing::kDirectorySlots;
using testing::kLargeSlots;
using testing::ReadTable;
using testing::RecordOf;
using testing::Table;
using testing::TempDir;
using testing::Value;

std::string ShownText(const core::Status& status) {
  return std::string(status.message());
}

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

std::uint64_t ReservedIn(const std::string& folder) {
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    struct stat info{};
    EXPECT_EQ(::stat(entry.path().c_str(), &info), 0);
    bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
  }
  return bytes;
}

// A folder that holds a cache of EightSlots.
class Formatted {
 public:
  Formatted() {
    const core::Status status = Directory::Format(path(), EightSlots());
    STOKER_CHECK(status.ok());
  }
  std::string path() const { return dir_.str() + "/cache"; }

 private:
  TempDir dir_;
};

TEST(Directory, OpensAsItWasFormatted) {
  const Formatted formatted;
  const auto directory = Value(Directory::Open(formatted.path()));
  EXPECT_EQ(directory->path(), formatted.path());
  EXPECT_EQ(directory->quota_bytes(), EightSlots().quota_bytes);
  EXPECT_EQ(directory->geometry().classes[0].slots, kLargeSlots);
  EXPECT_EQ(directory->geometry().slots(), kDirectorySlots);
  EXPECT_EQ(directory->slot_files(),
            std::vector{formatted.path() + "/slots.0"});
  EXPECT_EQ(directory->slot_file_bytes(), 64ULL << 30);
  EXPECT_EQ(directory->id().ToString().size(), 32U);
  EXPECT_EQ(ReadTable(*directory), Table{});
}

TEST(Directory, MayBeNamedWithASlashBehind) {
  const TempDir dir;
  ASSERT_TRUE(Directory::Format(dir.str() + "/cache//", EightSlots()).ok());
  EXPECT_EQ(Value(Directory::Open(dir.str() + "/cache/"))->path(),
            dir.str() + "/cache");
  EXPECT_TRUE(Directory::Remove(dir.str() + "/cache/").ok());
  EXPECT_TRUE(NamesIn(dir.str()).empty());
}

TEST(Directory, TakesItsSpaceAtOnceAndNoMoreThanTheQuota) {
  const Formatted formatted;
  // 4 * 65536 + 4 * 16384 bytes of slots, 8 * 64 bytes of records in a page of
  // 4096, and two super blocks.
  EXPECT_EQ(fs::file_size(formatted.path() + "/slots.0"), 327680U);
  EXPECT_EQ(fs::file_size(formatted.path() + "/records"), 4096U);
  EXPECT_EQ(fs::file_size(formatted.path() + "/super.a"), 4096U);
  EXPECT_EQ(fs::file_size(formatted.path() + "/super.b"), 4096U);
  EXPECT_EQ(NamesIn(formatted.path()).size(), 5U);  // and the lock
  EXPECT_GE(ReservedIn(formatted.path()), 327680U + 3 * 4096);
  EXPECT_LE(ReservedIn(formatted.path()), EightSlots().quota_bytes);
}

TEST(Directory, KeepsTheQuotaWhicheverGranulesAreWritten) {
  const TempDir dir;
  const std::string path = dir.str() + "/cache";
  // 65536 + 512 * (16384 + 256): 512 slots of four pages.
  const FormatOptions options{
      .quota_bytes = 8585216, .slot_bytes = 16U << 10, .small_slot_bytes = 0};
  ASSERT_TRUE(Directory::Format(path, options).ok());
  const int fd = ::open((path + "/slots.0").c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  const std::vector<char> page(4096, 'x');
  // Every other page is an extent of its own, as bad as it gets.
  for (off_t at = 0; at < 64 * 16384; at += 8192) {
    EXPECT_EQ(::pwrite(fd, page.data(), page.size(), at), 4096);
  }
  EXPECT_EQ(::fsync(fd), 0);
  ::close(fd);
  EXPECT_LE(ReservedIn(path), options.quota_bytes);
}

TEST(Directory, WithZeroHasWrittenEverySlot) {
  const TempDir dir;
  FormatOptions options = EightSlots();
  options.zero = true;
  ASSERT_TRUE(Directory::Format(dir.str() + "/cache", options).ok());
  std::ifstream in(dir.str() + "/cache/slots.0", std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(content, std::string(327680, '\0'));
}

TEST(Directory, IsNotReplacedUnlessForced) {
  const Formatted formatted;
  const CacheId before = Value(Directory::Open(formatted.path()))->id();
  FormatOptions options = EightSlots();
  const core::Status refused = Directory::Format(formatted.path(), options);
  EXPECT_EQ(refused.code(), core::Code::kInvalidArgument);
  EXPECT_THAT(
      ShownText(refused),
      AllOf(HasSubstr("format cache " + formatted.path()), HasSubstr("--force"),
            HasSubstr("stoker cache remove " + formatted.path())));
  EXPECT_EQ(Value(Directory::Open(formatted.path()))->id(), before);

  options.force = true;
  EXPECT_TRUE(Directory::Format(formatted.path(), options).ok());
  EXPECT_FALSE(Value(Directory::Open(formatted.path()))->id() == before);
}

TEST(Directory, IsNotMadeAmongOtherFiles) {
  for (const std::string name : {"notes.txt", "records", "lock", "slots.0"}) {
    const TempDir dir;
    std::ofstream(dir.path() / name) << "mine";
    FormatOptions options = EightSlots();
    options.force = true;
    const core::Status refused = Directory::Format(dir.str(), options);
    EXPECT_EQ(refused.code(), core::Code::kInvalidArgument);
    EXPECT_THAT(ShownText(refused),
                HasSubstr("other files are there: " + name));
    EXPECT_EQ(NamesIn(dir.str()), std::vector{name});
    EXPECT_EQ(Directory::Remove(dir.str()).code(), core::Code::kNotFound);
    EXPECT_EQ(NamesIn(dir.str()), std::vector{name});
  }
}

TEST(Directory, IsMadeAtTheTopOfADevice) {
  const TempDir dir;
  fs::create_directory(dir.path() / "lost+found");
  EXPECT_TRUE(Directory::Format(dir.str(), EightSlots()).ok());
  EXPECT_TRUE(Directory::Remove(dir.str()).ok());
  EXPECT_EQ(NamesIn(dir.str()), std::vector<std::string>{"lost+found"});
}

TEST(Directory, IsNotMadeBelowAFolderThatIsMissing) {
  const TempDir dir;
  const core::Status refused =
      Directory::Format(dir.str() + "/a/b", EightSlots());
  EXPECT_EQ(refused.code(), core::Code::kNotFound);
  EXPECT_THAT(ShownText(refused), HasSubstr("the folder above does not exist"));
}

TEST(Directory, IsNotMadeWhereAFileIs) {
  const TempDir dir;
  std::ofstream(dir.path() / "file") << "mine";
  const core::Status refused =
      Directory::Format(dir.str() + "/file", EightSlots());
  EXPECT_EQ(refused.code(), core::Code::kInvalidArgument);
  EXPECT_THAT(ShownText(refused), HasSubstr("a file has that name"));
}

TEST(Directory, IsNotMadeOfSizesThatCannotBe) {
  const TempDir dir;
  const core::Status refused =
      Directory::Format(dir.str() + "/cache", {.quota_bytes = 4096});
  EXPECT_EQ(refused.code(), core::Code::kInvalidArgument);
  EXPECT_THAT(ShownText(refused), HasSubstr("format cache " + dir.str()));
  EXPECT_TRUE(NamesIn(dir.str()).empty());
}

TEST(Directory, RemovedTakesTheFolderItMade) {
  const TempDir dir;
  const std::string path = dir.str() + "/cache";
  ASSERT_TRUE(Directory::Format(path, EightSlots()).ok());
  EXPECT_TRUE(Directory::Remove(path).ok());
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(Directory::Remove(path).code(), core::Code::kNotFound);
}

TEST(Directory, RemovedLeavesAFolderItFoundAndFilesOfOthers) {
  const TempDir found;
  ASSERT_TRUE(Directory::Format(found.str(), EightSlots()).ok());
  EXPECT_TRUE(Directory::Remove(found.str()).ok());
  EXPECT_TRUE(NamesIn(found.str()).empty());

  const Formatted formatted;
  std::ofstream(formatted.path() + "/notes.txt") << "mine";
  EXPECT_TRUE(Directory::Remove(formatted.path()).ok());
  EXPECT_EQ(NamesIn(formatted.path()), std::vector<std::string>{"notes.txt"});
}

TEST(Directory, ThatIsOpenIsNeitherReplacedNorRemoved) {
  const Formatted formatted;
  auto directory = Value(Directory::Open(formatted.path()));
  FormatOptions options = EightSlots();
  options.force = true;
  for (const core::Status& refused :
       {Directory::Format(formatted.path(), options),
        Directory::Remove(formatted.path())}) {
    EXPECT_EQ(refused.code(), core::Code::kUnavailable);
    EXPECT_THAT(ShownText(refused), HasSubstr("somebody has it open"));
  }
  directory.reset();
  EXPECT_TRUE(Directory::Format(formatted.path(), options).ok());
}

TEST(Directory, ThatIsNotThereSaysHowToMakeIt) {
  const TempDir dir;
  const auto missing = Directory::Open(dir.str() + "/cache");
  EXPECT_EQ(missing.status().code(), core::Code::kNotFound);
  EXPECT_THAT(
      ShownText(missing.status()),
      AllOf(HasSubstr("open cache " + dir.str() + "/cache"),
            HasSubstr("there is no such folder"),
            HasSubstr("stoker cache format " + dir.str() + "/cache --size")));
  const auto empty = Directory::Open(dir.str());
  EXPECT_EQ(empty.status().code(), core::Code::kNotFound);
  EXPECT_THAT(ShownText(empty.status()),
              HasSubstr("there is none in the folder"));
}

TEST(Directory, WithAFileThatIsShorterIsCorrupt) {
  const Formatted formatted;
  fs::resize_file(formatted.path() + "/slots.0", 1000);
  const auto opened = Directory::Open(formatted.path());
  EXPECT_EQ(opened.status().code(), core::Code::kCorruption);
  EXPECT_THAT(ShownText(opened.status()),
              HasSubstr("slots.0 has 1000 bytes instead of 327680"));
  fs::remove(formatted.path() + "/slots.0");
  const auto without = Directory::Open(formatted.path());
  EXPECT_EQ(without.status().code(), core::Code::kCorruption);
  EXPECT_THAT(ShownText(without.status()), HasSubstr("slots.0 is missing"));
  // It can be taken away, or replaced, all the same.
  EXPECT_TRUE(Directory::Remove(formatted.path()).ok());
}

TEST(Directory, KeepsRecordsFromOneOpeningToTheNext) {
  const Formatted formatted;
  {
    const auto directory = Value(Directory::Open(formatted.path()));
    for (const std::uint32_t slot : {0U, 3U, 7U}) {
      EXPECT_TRUE(directory->WriteRecord(slot, RecordOf(slot)).ok());
    }
    EXPECT_TRUE(directory->WriteRecord(3, RecordOf(33)).ok());
    EXPECT_TRUE(directory->WriteRecord(7, {}).ok());
    EXPECT_TRUE(directory->FlushRecords().ok());
  }
  const auto directory = Value(Directory::Open(formatted.path()));
  const Table expected{.records = {{0, RecordOf(0)}, {3, RecordOf(33)}}};
  EXPECT_EQ(ReadTable(*directory), expected);
}

TEST(Directory, RefusesRecordsThatCannotBe) {
  const Formatted formatted;
  const auto directory = Value(Directory::Open(formatted.path()));
  SlotRecord record = RecordOf(1);
  EXPECT_EQ(directory->WriteRecord(kDirectorySlots, record).code(),
            core::Code::kInvalidArgument);
  record.length = (16U << 10) + 1;  // too long for a small slot
  EXPECT_TRUE(directory->WriteRecord(kLargeSlots - 1, record).ok());
  EXPECT_EQ(directory->WriteRecord(kLargeSlots, record).code(),
            core::Code::kInvalidArgument);
  record.length = 0;
  for (const SlotState state :
       {SlotState::kFilling, SlotState::kEvicting, SlotState::kQuarantined}) {
    record.state = state;
    EXPECT_EQ(directory->WriteRecord(0, record).code(),
              core::Code::kInvalidArgument);
  }
}

TEST(Directory, NumbersItsUsesFromOneOn) {
  const Formatted formatted;
  EXPECT_EQ(Value(Value(Directory::Open(formatted.path()))->NextEpoch()), 1U);
  const auto one = Value(Directory::Open(formatted.path()));
  const auto two = Value(Directory::Open(formatted.path()));
  EXPECT_EQ(Value(one->NextEpoch()), 2U);
  EXPECT_EQ(Value(two->NextEpoch()), 3U);
  EXPECT_EQ(Value(one->NextEpoch()), 4U);
}

}  // namespace
}  // namespace stoker::cache
