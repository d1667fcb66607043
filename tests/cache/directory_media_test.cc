// A folder on a medium that damages, refuses or runs out.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "cache/internal/slot_record.h"
#include "cache/internal/super_block.h"
#include "core/byte_order.h"
#include "core/crc.h"
#include "tests/cache/directory_support.h"

namespace stoker::cache {
namespace {

using testing::EightSlots;
using testing::FormatAt;
using testing::FormattedDisk;
using ::testing::HasSubstr;
using testing::kDirectorySlots;
using testing::kPlace;
using testing::OpenAt;
using testing::PowerLossDisk;
using testing::ReadTable;
using testing::RecordOf;
using testing::Table;
using testing::TryOpen;
using testing::Value;

const std::string kSuperA = kPlace + "/super.a";
const std::string kSuperB = kPlace + "/super.b";
const std::string kRecords = kPlace + "/records";

// Of the bytes of a super block, between two that are damaged.
#ifdef STOKER_SANITIZED
constexpr std::size_t kStride = 7;
#else
constexpr std::size_t kStride = 1;
#endif

std::string Text(const core::Status& status) {
  return std::string(status.message());
}

void Flip(PowerLossDisk& disk, const std::string& path, std::size_t at,
          std::byte bits = std::byte{0x10}) {
  std::vector<std::byte> content = disk.Content(path);
  content.at(at) ^= bits;
  disk.SetContent(path, std::move(content));
}

// Bit by bit from the definition: reflected polynomial 0x82F63B78, all ones
// before and after.
std::uint32_t SlowCrc32c(std::span<const std::byte> data) {
  std::uint32_t crc = ~0U;
  for (const std::byte byte : data) {
    crc ^= static_cast<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1U) != 0 ? (crc >> 1) ^ 0x82F63B78U : crc >> 1;
    }
  }
  return ~crc;
}

TEST(SuperBlock, IsStoredAsTheDocumentSays) {
  internal::SuperBlock super{
      .sequence = 0x1122334455667788,
      .epoch = 0x99AABBCC,
      .quota_bytes = 1ULL << 40,
      .slot_file_bytes = 64ULL << 30,
      .geometry = {.classes = {{{.slot_bytes = 1U << 20, .slots = 70000},
                                {.slot_bytes = 1U << 18, .slots = 9}}}}};
  super.id.bytes[0] = 0xAB;
  super.id.bytes[15] = 0xCD;
  const auto bytes = internal::EncodeSuper(super);
  const std::span<const std::byte> view(bytes);
  EXPECT_EQ(core::AsText(view.first(8)), "STKCACHE");
  EXPECT_EQ(core::LoadLe<std::uint32_t>(view, 8), 2U);
  EXPECT_EQ(core::LoadLe<std::uint32_t>(view, 12), 0x99AABBCCU);
  EXPECT_EQ(view[16], std::byte{0xAB});
  EXPECT_EQ(view[31], std::byte{0xCD});
  EXPECT_EQ(core::LoadLe<std::uint64_t>(view, 32), 0x1122334455667788U);
  EXPECT_EQ(core::LoadLe<std::uint64_t>(view, 40), 1ULL << 40);
  EXPECT_EQ(core::LoadLe<std::uint64_t>(view, 48), 64ULL << 30);
  EXPECT_EQ(core::LoadLe<std::uint64_t>(view, 56), 1U << 20);
  EXPECT_EQ(core::LoadLe<std::uint32_t>(view, 64), 70000U);
  EXPECT_EQ(core::LoadLe<std::uint64_t>(view, 68), 1U << 18);
  EXPECT_EQ(core::LoadLe<std::uint32_t>(view, 76), 9U);
  EXPECT_TRUE(std::ranges::all_of(view.subspan(80, 4012), [](std::byte byte) {
    return byte == std::byte{};
  }));
  EXPECT_EQ(core::LoadLe<std::uint32_t>(view, 4092),
            SlowCrc32c(view.first(4092)));
  EXPECT_EQ(Value(internal::DecodeSuper(bytes)), super);
}

TEST(SlotRecord, IsStoredAsTheDocumentSays) {
  CacheId id;
  id.bytes.fill(0x5A);
  const SlotRecord record{
      .state = SlotState::kDirty,
      .key = {.high = 0x0102030405060708, .low = 0x1112131415161718},
      .generation = 77,
      .length = 4097,
      .crc = {0xA0, 0xA1, 0xA2, 0xA3}};
  const auto bytes =
      internal::EncodeRecord(0x01020304, record, internal::RecordSeed(id));
  const std::span<const std::byte> view(bytes);
  EXPECT_EQ(core::LoadLe<std::uint64_t>(view, 0), 0x0102030405060708U);
  EXPECT_EQ(core::LoadLe<std::uint64_t>(view, 8), 0x1112131415161718U);
  EXPECT_EQ(core::LoadLe<std::uint32_t>(view, 16), 77U);
  EXPECT_EQ(core::LoadLe<std::uint32_t>(view, 20), 4097U);
  for (std::uint32_t i = 0; i < kGranulesPerSlot; ++i) {
    EXPECT_EQ(core::LoadLe<std::uint32_t>(view, 24 + i * 4), 0xA0U + i);
  }
  EXPECT_EQ(core::LoadLe<std::uint32_t>(view, 40), 0x01020304U);
  EXPECT_EQ(core::LoadLe<std::uint32_t>(view, 44), 4U);  // SlotState::kDirty
  EXPECT_EQ(core::LoadLe<std::uint32_t>(view, 48), 0U);
  EXPECT_EQ(core::LoadLe<std::uint64_t>(view, 52), 0U);
  // Of the cache's id and what is before the checksum, one behind the other.
  std::array<std::byte, 16 + 60> summed{};
  std::ranges::fill(std::span(summed).first(16), std::byte{0x5A});
  std::ranges::copy(view.first(60), summed.begin() + 16);
  EXPECT_EQ(core::LoadLe<std::uint32_t>(view, 60), SlowCrc32c(summed));
}

TEST(DirectoryMedia, DamageToAnyByteOfOneSuperBlockIsHarmless) {
  const auto disk = FormattedDisk();
  const CacheId id = OpenAt(*disk)->id();
  for (const std::string& path : {kSuperA, kSuperB}) {
    const std::vector<std::byte> whole = disk->Content(path);
    for (std::size_t at = 0; at < whole.size(); at += kStride) {
      Flip(*disk, path, at, std::byte{1} << (at % 8));
      const auto opened = TryOpen(*disk);
      ASSERT_TRUE(opened.ok()) << at << opened.status().ToString();
      ASSERT_EQ(opened.value()->id(), id) << at;
      ASSERT_EQ(opened.value()->geometry().slots(), kDirectorySlots) << at;
      disk->SetContent(path, whole);
    }
  }
}

TEST(DirectoryMedia, DamageToBothSuperBlocksIsDetectedInAnyByte) {
  const auto disk = FormattedDisk();
  Flip(*disk, kSuperA, 100);
  const std::vector<std::byte> whole = disk->Content(kSuperB);
  for (std::size_t at = 0; at < whole.size(); at += kStride) {
    Flip(*disk, kSuperB, at, std::byte{1} << (at % 8));
    const auto opened = TryOpen(*disk);
    ASSERT_EQ(opened.status().code(), core::Code::kCorruption) << at;
    disk->SetContent(kSuperB, whole);
  }
  Flip(*disk, kSuperB, 0);
  const auto opened = TryOpen(*disk);
  EXPECT_THAT(Text(opened.status()),
              HasSubstr("both super blocks are damaged"));
  EXPECT_THAT(Text(opened.status()),
              HasSubstr("stoker cache format /cache --size SIZE --force"));
  // Which does as it says.
  FormatOptions options = EightSlots();
  options.force = true;
  EXPECT_TRUE(FormatAt(*disk, options).ok());
  EXPECT_TRUE(TryOpen(*disk).ok());
}

TEST(DirectoryMedia, SuperBlocksThatCannotBeReadCountAsDamaged) {
  const auto disk = FormattedDisk();
  disk->SetFault([](std::string_view operation, const std::string& path) {
    return operation == "read" && path == kSuperB ? EIO : 0;
  });
  EXPECT_TRUE(TryOpen(*disk).ok());
}

TEST(DirectoryMedia, ShortSuperBlocksAreDamaged) {
  const auto disk = FormattedDisk();
  disk->SetContent(kSuperA, std::vector<std::byte>(100));
  disk->SetContent(kSuperB, {});
  EXPECT_EQ(TryOpen(*disk).status().code(), core::Code::kCorruption);
}

TEST(DirectoryMedia, OtherVersionsAreRefused) {
  const auto disk = FormattedDisk();
  std::vector<std::byte> content = disk->Content(kSuperB);
  core::StoreLe<std::uint32_t>(content, 8, 1);
  core::StoreLe(std::span(content), 4092,
                core::Crc32c(std::span(content).first(4092)));
  disk->SetContent(kSuperB, content);
  const auto opened = TryOpen(*disk);
  EXPECT_EQ(opened.status().code(), core::Code::kUnsupported);
  EXPECT_THAT(Text(opened.status()), HasSubstr("not of version 2"));
}

TEST(DirectoryMedia, AWholeSuperBlockThatSaysWhatCannotBeIsDamaged) {
  const auto disk = FormattedDisk();
  for (const std::string& path : {kSuperA, kSuperB}) {
    std::vector<std::byte> content = disk->Content(path);
    core::StoreLe<std::uint64_t>(content, 56, 0);  // slots of no bytes
    core::StoreLe(std::span(content), 4092,
                  core::Crc32c(std::span(content).first(4092)));
    disk->SetContent(path, content);
  }
  EXPECT_EQ(TryOpen(*disk).status().code(), core::Code::kCorruption);
}

TEST(DirectoryMedia, AFlippedBitMakesARecordDamagedAndNoOther) {
  const auto disk = FormattedDisk();
  const auto directory = OpenAt(*disk);
  Table whole;
  for (const std::uint32_t slot : {1U, 2U, 3U}) {
    whole.records[slot] = RecordOf(slot);
    ASSERT_TRUE(directory->WriteRecord(slot, RecordOf(slot)).ok());
  }
  Table without_two = whole;
  without_two.records.erase(2);
  without_two.damaged = 1;
  const std::vector<std::byte> content = disk->Content(kRecords);
  for (std::size_t bit = 0; bit < 512; ++bit) {
    Flip(*disk, kRecords, 2 * 64 + bit / 8, std::byte{1} << (bit % 8));
    ASSERT_EQ(ReadTable(*directory), without_two) << bit;
    disk->SetContent(kRecords, content);
  }
  EXPECT_EQ(ReadTable(*directory), whole);
}

TEST(DirectoryMedia, ARecordIsDamagedWhereItDoesNotBelong) {
  const auto disk = FormattedDisk();
  const auto directory = OpenAt(*disk);
  ASSERT_TRUE(directory->WriteRecord(1, RecordOf(1)).ok());
  ASSERT_TRUE(directory->WriteRecord(2, RecordOf(2)).ok());
  std::vector<std::byte> content = disk->Content(kRecords);
  // Another cache's table with the same content.
  const auto other_disk = FormattedDisk();
  other_disk->SetContent(kRecords, content);
  EXPECT_EQ(ReadTable(*OpenAt(*other_disk)), Table{.damaged = 2});
  // Slots 1 and 2 changed places.
  std::swap_ranges(content.begin() + 64, content.begin() + 128,
                   content.begin() + 128);
  disk->SetContent(kRecords, content);
  EXPECT_EQ(ReadTable(*directory), Table{.damaged = 2});
}

TEST(DirectoryMedia, AZeroedSectorOfRecordsIsFree) {
  const auto disk = FormattedDisk();
  const auto directory = OpenAt(*disk);
  for (std::uint32_t slot = 0; slot < kDirectorySlots; ++slot) {
    ASSERT_TRUE(directory->WriteRecord(slot, RecordOf(slot)).ok());
  }
  disk->SetContent(kRecords, std::vector<std::byte>(4096));
  EXPECT_EQ(ReadTable(*directory), Table{});
}

TEST(DirectoryMedia, ATableThatCannotBeReadIsAnError) {
  const auto disk = FormattedDisk();
  const auto directory = OpenAt(*disk);
  const auto ignore = [](std::uint32_t, const SlotRecord&) {};
  disk->SetFault([](std::string_view operation, const std::string&) {
    return operation == "read" ? EIO : 0;
  });
  EXPECT_EQ(directory->ReadRecords(ignore).status().code(),
            core::Code::kIoError);
  disk->SetFault(nullptr);
  disk->SetContent(kRecords, std::vector<std::byte>(100));
  EXPECT_EQ(directory->ReadRecords(ignore).status().code(),
            core::Code::kCorruption);
}

TEST(DirectoryMedia, AFailedFlushIsNeverMadeGoodByTheNext) {
  const auto disk = FormattedDisk();
  auto directory = OpenAt(*disk);
  ASSERT_TRUE(directory->WriteRecord(1, RecordOf(1)).ok());
  disk->SetFault([](std::string_view operation, const std::string&) {
    return operation == "flush" ? EIO : 0;
  });
  EXPECT_EQ(directory->FlushRecords().os_error(), EIO);
  disk->SetFault(nullptr);
  EXPECT_EQ(directory->FlushRecords().code(), core::Code::kIoError);
  directory = OpenAt(*disk);
  EXPECT_TRUE(directory->FlushRecords().ok());
}

TEST(DirectoryMedia, FilesThatMayNotBeOpenedAreAMatterOfPermission) {
  const auto disk = FormattedDisk();
  for (const int os_error : {EACCES, EROFS}) {
    disk->SetFault(
        [os_error](std::string_view operation, const std::string& path) {
          return operation == "open" && path == kRecords ? os_error : 0;
        });
    const auto opened = TryOpen(*disk);
    EXPECT_EQ(opened.status().code(), core::Code::kPermission);
    EXPECT_THAT(Text(opened.status()), HasSubstr("run as the owner"));
  }
  PowerLossDisk empty;
  empty.SetFault([](std::string_view operation, const std::string&) {
    return operation == "make folder" ? EACCES : 0;
  });
  EXPECT_EQ(FormatAt(empty, EightSlots()).code(), core::Code::kPermission);
}

TEST(DirectoryMedia, WhereSpaceIsShortItSaysHowMuchAndLeavesNothing) {
  // Slots 327680, and a page each for the table, two super blocks and the lock:
  // 344064.
  PowerLossDisk disk(300000);
  const core::Status refused = FormatAt(disk, EightSlots());
  EXPECT_EQ(refused.code(), core::Code::kIoError);
  EXPECT_EQ(refused.os_error(), ENOSPC);
  EXPECT_THAT(Text(refused), HasSubstr("44064 bytes are missing"));
  EXPECT_EQ(disk.entries(), 0U);
}

TEST(DirectoryMedia, WhereSpaceIsShortTheCacheThereStays) {
  PowerLossDisk disk(400000);
  ASSERT_TRUE(FormatAt(disk, EightSlots()).ok());
  const CacheId id = OpenAt(disk)->id();
  FormatOptions options = EightSlots();
  options.force = true;
  options.quota_bytes *= 2;
  EXPECT_EQ(FormatAt(disk, options).os_error(), ENOSPC);
  EXPECT_EQ(OpenAt(disk)->id(), id);
  // Of the same size it fits, for its space is used again.
  options.quota_bytes /= 2;
  EXPECT_TRUE(FormatAt(disk, options).ok());
}

TEST(DirectoryMedia, AnyOneFailureLeavesNothingBehind) {
  for (const int os_error : {EIO, ENOSPC, EROFS}) {
    // Fails the operation of that number; until there are no more of them.
    for (int failing = 0;; ++failing) {
      PowerLossDisk disk;
      int operations = 0;
      disk.SetFault([&](std::string_view operation, const std::string&) {
        // Locks fail where there are none; then there is no cache either.
        const bool counts = operation != "lock";
        return counts && operations++ == failing ? os_error : 0;
      });
      const core::Status status = FormatAt(disk, EightSlots());
      if (operations <= failing) {
        EXPECT_TRUE(status.ok());
        EXPECT_GT(failing, 30);
        break;
      }
      ASSERT_TRUE(!status.ok()) << failing;
      ASSERT_EQ(disk.entries(), 0U) << failing << ' ' << status.ToString();
    }
  }
}

TEST(DirectoryMedia, AnEpochWhoseFlushFailedIsNotGiven) {
  const auto disk = FormattedDisk();
  const auto directory = OpenAt(*disk);
  EXPECT_EQ(Value(directory->NextEpoch()), 1U);
  disk->SetFault([](std::string_view operation, const std::string&) {
    return operation == "flush" ? EIO : 0;
  });
  EXPECT_EQ(directory->NextEpoch().status().os_error(), EIO);
  disk->SetFault(nullptr);
  EXPECT_GT(Value(directory->NextEpoch()), 1U);
}

TEST(DirectoryMedia, EpochsSkipWhatADamagedSuperBlockMayHaveGiven) {
  const auto disk = FormattedDisk();
  const auto directory = OpenAt(*disk);
  // Format wrote super.a, then super.b; so the first goes to super.a.
  EXPECT_EQ(Value(directory->NextEpoch()), 1U);
  Flip(*disk, kSuperA, 12);
  EXPECT_EQ(Value(directory->NextEpoch()), 2U);
  // Now both say 2, whichever is damaged next.
  Flip(*disk, kSuperB, 12);
  EXPECT_EQ(Value(directory->NextEpoch()), 4U);
  Flip(*disk, kSuperA, 12);
  EXPECT_EQ(Value(directory->NextEpoch()), 6U);
  Flip(*disk, kSuperA, 12);
  Flip(*disk, kSuperB, 12);
  EXPECT_EQ(directory->NextEpoch().status().code(), core::Code::kCorruption);
}

TEST(DirectoryMedia, ASuperBlockThatIsGoneIsMadeAgain) {
  const auto disk = FormattedDisk();
  ASSERT_TRUE(disk->Remove(kSuperB).ok());
  const auto directory = OpenAt(*disk);
  EXPECT_EQ(Value(directory->NextEpoch()), 2U);
  ASSERT_TRUE(disk->Exists(kSuperB));
  Flip(*disk, kSuperA, 12);
  EXPECT_TRUE(TryOpen(*disk).ok());
}

TEST(DirectoryMedia, EpochsEndBeforeTheyRepeat) {
  const auto disk = FormattedDisk();
  std::vector<std::byte> content = disk->Content(kSuperB);
  core::StoreLe<std::uint32_t>(content, 12, UINT32_MAX - 1);
  core::StoreLe(std::span(content), 4092,
                core::Crc32c(std::span(content).first(4092)));
  disk->SetContent(kSuperB, content);
  const auto directory = OpenAt(*disk);
  EXPECT_EQ(Value(directory->NextEpoch()), UINT32_MAX);
  EXPECT_EQ(directory->NextEpoch().status().code(), core::Code::kUnsupported);
}

TEST(DirectoryMedia, WaitsForAnEpochForTenSecondsAtMost) {
  const auto disk = FormattedDisk();
  const auto directory = OpenAt(*disk);
  {
    const auto hung = Value(disk->Open(kRecords, internal::DiskOpen::kRead));
    ASSERT_TRUE(Value(hung->TryLock(internal::DiskLock::kExclusive)));
    const core::TimePoint start = testing::JumpingClock().Now();
    const auto epoch = directory->NextEpoch();
    EXPECT_EQ(epoch.status().code(), core::Code::kTimedOut);
    EXPECT_THAT(Text(epoch.status()), HasSubstr("/cache/records for 10 s"));
    EXPECT_EQ(testing::JumpingClock().Now() - start, std::chrono::seconds(10));
  }
  EXPECT_TRUE(directory->NextEpoch().ok());
}

TEST(DirectoryMedia, IsNotOpenedByALockThatWasRemovedMeanwhile) {
  const auto disk = FormattedDisk();
  bool removed = false;
  disk->SetFault([&](std::string_view operation, const std::string& path) {
    if (operation == "lock" && !removed) {
      removed = true;
      EXPECT_TRUE(disk->Remove(path).ok());
    }
    return 0;
  });
  EXPECT_EQ(TryOpen(*disk).status().code(), core::Code::kNotFound);
  EXPECT_TRUE(removed);
}

TEST(DirectoryMedia, IsNotOpenedWhileItIsFormatted) {
  const auto disk = FormattedDisk();
  const auto lock =
      Value(disk->Open(kPlace + "/lock", internal::DiskOpen::kRead));
  ASSERT_TRUE(Value(lock->TryLock(internal::DiskLock::kExclusive)));
  EXPECT_EQ(TryOpen(*disk).status().code(), core::Code::kUnavailable);
}

}  // namespace
}  // namespace stoker::cache
