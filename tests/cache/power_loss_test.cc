// A folder after the power was lost, or all processes were killed, at any point
// and with any part of what was not flushed.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cache/internal/super_block.h"
#include "core/random.h"
#include "tests/cache/directory_support.h"

namespace stoker::cache {
namespace {

using testing::EightSlots;
using testing::FormatAt;
using testing::FormattedDisk;
using testing::kDirectorySlots;
using testing::kPlace;
using testing::kSectorBytes;
using testing::OpenAt;
using testing::PowerLossDisk;
using testing::ReadTable;
using testing::RecordOf;
using testing::Table;
using testing::TryOpen;
using testing::Value;

// Crash states of each test.
#ifdef STOKER_SANITIZED
constexpr std::uint64_t kStates = 300;
#else
constexpr std::uint64_t kStates = 2000;
#endif

FormatOptions Forced() {
  FormatOptions options = EightSlots();
  options.force = true;
  return options;
}

// Every eighth time the processes are killed and the power stays.
bool OnlyKills(std::uint64_t seed) { return seed % 8 == 0; }

std::unique_ptr<PowerLossDisk> AfterCrash(const PowerLossDisk& disk,
                                          std::uint64_t seed) {
  return OnlyKills(seed) ? disk.AfterKill() : disk.AfterPowerLoss(seed);
}

// What one can know of a cache without changing it; nothing if there is none.
struct State {
  bool exists = false;
  CacheId id{};
  Table table{};
  friend bool operator==(const State&, const State&) = default;
};

// Fails the test if the folder is neither a whole cache nor none.
State StateOf(PowerLossDisk& disk) {
  auto opened = TryOpen(disk);
  if (!opened.ok()) {
    EXPECT_EQ(opened.status().code(), core::Code::kNotFound)
        << opened.status().ToString();
    return {};
  }
  return {.exists = true,
          .id = opened.value()->id(),
          .table = ReadTable(*opened.value())};
}

// Looking changes nothing, nor does losing the power once more; but that what a
// killed process had not flushed may be lost with the power.
void ExpectRecoveredTwiceIsTheSame(PowerLossDisk& disk, const State& state,
                                   std::uint64_t seed) {
  EXPECT_EQ(StateOf(disk), state);
  EXPECT_EQ(StateOf(*disk.AfterKill()), state);
  if (!OnlyKills(seed)) {
    EXPECT_EQ(StateOf(*disk.AfterPowerLoss(seed + 1)), state);
  }
}

void ExpectFormatMakesAnEmptyCache(PowerLossDisk& disk, bool force) {
  const core::Status status = FormatAt(disk, force ? Forced() : EightSlots());
  EXPECT_TRUE(status.ok()) << status.ToString();
  const State state = StateOf(disk);
  EXPECT_TRUE(state.exists);
  EXPECT_EQ(state.table, Table{});
  EXPECT_EQ(StateOf(*disk.AfterPowerLoss(1)), state);
}

TEST(PowerLoss, DuringFormatLeavesNoCacheOrAWholeOne) {
  const std::uint64_t operations = FormattedDisk()->operations();
  std::uint64_t none = 0;
  for (std::uint64_t seed = 0; seed < kStates; ++seed) {
    SCOPED_TRACE(seed);
    PowerLossDisk disk;
    disk.LosePowerAfter(seed % (operations + 1));
    const bool finished = FormatAt(disk, EightSlots()).ok();
    const auto after = AfterCrash(disk, seed);
    const State state = StateOf(*after);
    EXPECT_TRUE(state.exists || !finished);
    EXPECT_EQ(state.table, Table{});
    none += state.exists ? 0 : 1;
    ExpectRecoveredTwiceIsTheSame(*after, state, seed);
    if (state.exists) {
      EXPECT_EQ(OpenAt(*after)->geometry(), Value(PlanGeometry(EightSlots())));
      EXPECT_GE(Value(OpenAt(*after)->NextEpoch()), 1U);
    }
    ExpectFormatMakesAnEmptyCache(*after, state.exists);
  }
  EXPECT_GT(none, kStates / 4);  // most operations come before the first block
  EXPECT_LT(none, kStates);
}

TEST(PowerLoss, DuringForcedFormatLeavesTheOldTheNewOrNone) {
  auto old_disk = FormattedDisk();
  constexpr std::uint32_t kGiven = 3;
  Table records;
  {
    const auto directory = OpenAt(*old_disk);
    for (std::uint32_t i = 1; i <= kGiven; ++i) {
      EXPECT_EQ(Value(directory->NextEpoch()), i);
      records.records[i] = RecordOf(i);
      EXPECT_TRUE(directory->WriteRecord(i, RecordOf(i)).ok());
    }
    EXPECT_TRUE(directory->FlushRecords().ok());
  }
  const CacheId old_id = OpenAt(*old_disk)->id();
  const std::uint64_t operations = FormattedDisk()->operations();
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < kStates; ++seed) {
    SCOPED_TRACE(seed);
    const auto disk = old_disk->AfterKill();
    // Removing the old cache takes fewer than ten.
    disk->LosePowerAfter(seed % (operations + 10));
    const bool finished = FormatAt(*disk, Forced()).ok();
    const auto after = AfterCrash(*disk, seed);
    const State state = StateOf(*after);
    EXPECT_TRUE(state.exists || !finished);
    if (!state.exists) {
      seen.insert("none");
    } else if (state.id == old_id) {
      seen.insert("old");
      EXPECT_FALSE(finished);
      EXPECT_EQ(state.table, records);
      EXPECT_GT(Value(OpenAt(*after)->NextEpoch()), kGiven);
    } else {
      seen.insert("new");
      EXPECT_EQ(state.table, Table{});
    }
    ExpectFormatMakesAnEmptyCache(*after, state.exists);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"new", "none", "old"}));
}

TEST(PowerLoss, DuringRemoveLeavesTheCacheOrNone) {
  const auto formatted = FormattedDisk();
  const CacheId id = OpenAt(*formatted)->id();
  std::uint64_t removed = 0;
  for (std::uint64_t seed = 0; seed < kStates; ++seed) {
    SCOPED_TRACE(seed);
    const auto disk = formatted->AfterKill();
    disk->LosePowerAfter(seed % 20);
    const bool finished = internal::RemoveOn(*disk, kPlace).ok();
    const auto after = AfterCrash(*disk, seed);
    const State state = StateOf(*after);
    EXPECT_FALSE(state.exists && finished);
    EXPECT_TRUE(!state.exists || state.id == id);
    EXPECT_TRUE(!finished || !after->Exists(kPlace));
    removed += state.exists ? 0 : 1;
    // Whatever is left is taken away by the next, or replaced.
    if (seed % 2 == 0) {
      ExpectFormatMakesAnEmptyCache(*after, state.exists);
    } else {
      const core::Status again = internal::RemoveOn(*after, kPlace);
      EXPECT_TRUE(again.ok() || again.code() == core::Code::kNotFound)
          << again.ToString();
      EXPECT_LE(after->entries(), 1U);  // the folder, at most
    }
  }
  EXPECT_GT(removed, kStates / 4);
  EXPECT_LT(removed, kStates);
}

// What each slot's record may be after a crash.
class PossibleRecords {
 public:
  void Wrote(std::uint32_t slot, const SlotRecord& record) {
    possible_[slot].push_back(record);
  }
  void Flushed() {
    for (auto& [slot, records] : possible_) {
      records = {records.back()};
    }
  }
  void ExpectHolds(const Table& table) const {
    EXPECT_EQ(table.damaged, 0U);
    for (const auto& [slot, records] : possible_) {
      const auto found = table.records.find(slot);
      const SlotRecord record =
          found == table.records.end() ? SlotRecord{} : found->second;
      EXPECT_NE(std::ranges::find(records, record), records.end()) << slot;
    }
    EXPECT_LE(table.records.size(), possible_.size());
  }
  // Nothing is in doubt but what `table` does not say.
  explicit PossibleRecords(const Table& table) {
    for (std::uint32_t slot = 0; slot < kDirectorySlots; ++slot) {
      const auto found = table.records.find(slot);
      possible_[slot] = {found == table.records.end() ? SlotRecord{}
                                                      : found->second};
    }
  }

 private:
  std::map<std::uint32_t, std::vector<SlotRecord>> possible_;
};

TEST(PowerLoss, LeavesEachRecordAsItWasFlushedOrWrittenSince) {
  core::CounterRandom random(11);
  auto disk = FormattedDisk();
  std::uint64_t number = 0;
  for (std::uint64_t seed = 0; seed < kStates; ++seed) {
    SCOPED_TRACE(seed);
    PossibleRecords possible(StateOf(*disk).table);
    {
      const auto directory = OpenAt(*disk);
      disk->LosePowerAfter(random.Below(12));
      while (disk->has_power()) {
        if (random.Below(6) == 0) {
          if (directory->FlushRecords().ok()) {
            possible.Flushed();
          }
          continue;
        }
        const auto slot =
            static_cast<std::uint32_t>(random.Below(kDirectorySlots));
        const SlotRecord record =
            random.Below(4) == 0 ? SlotRecord{} : RecordOf(++number);
        if (directory->WriteRecord(slot, record).ok()) {
          possible.Wrote(slot, record);
        }
      }
    }
    // Not a kill, after which records would be in doubt beyond this round.
    disk = disk->AfterPowerLoss(seed);
    const State state = StateOf(*disk);
    ASSERT_TRUE(state.exists);
    possible.ExpectHolds(state.table);
    EXPECT_EQ(StateOf(*disk->AfterPowerLoss(seed + 1)), state);
  }
}

TEST(PowerLoss, IsNoneWhenAProcessIsKilledAndItsRecordsStay) {
  const auto disk = FormattedDisk();
  Table written;
  {
    const auto directory = OpenAt(*disk);
    for (std::uint32_t slot = 0; slot < kDirectorySlots; ++slot) {
      written.records[slot] = RecordOf(slot);
      EXPECT_TRUE(directory->WriteRecord(slot, RecordOf(slot)).ok());
    }
  }
  EXPECT_EQ(StateOf(*disk->AfterKill()).table, written);
}

TEST(PowerLoss, NeverGivesAnEpochTwice) {
  core::CounterRandom random(12);
  auto disk = FormattedDisk();
  std::uint32_t last = 0;
  std::uint64_t given = 0;
  for (std::uint64_t seed = 0; seed < kStates; ++seed) {
    SCOPED_TRACE(seed);
    {
      const auto directory = OpenAt(*disk);
      disk->LosePowerAfter(random.Below(9));
      while (disk->has_power()) {
        const auto epoch = directory->NextEpoch();
        // A failure that costs no operation would go on for ever.
        ASSERT_EQ(epoch.ok(), disk->has_power()) << epoch.status().ToString();
        if (epoch.ok()) {
          ASSERT_GT(epoch.value(), last);
          last = epoch.value();
          ++given;
        }
      }
    }
    disk = AfterCrash(*disk, seed);
  }
  EXPECT_GT(given, kStates / 2);
}

// A super block.
void DamageOne(PowerLossDisk& disk, std::uint64_t random) {
  const std::string path = kPlace + (random % 2 == 0 ? "/super.a" : "/super.b");
  std::vector<std::byte> content = disk.Content(path);
  content.at(random / 2 % content.size()) ^= std::byte{0x40};
  disk.SetContent(path, std::move(content));
}

bool BothAreWhole(PowerLossDisk& disk) {
  const auto pair = Value(internal::ReadSuperPair(disk, kPlace));
  return std::ranges::all_of(pair.sides, [](const auto& side) {
    return side.state == internal::SuperPair::State::kWhole;
  });
}

TEST(PowerLoss, AndDamageNeverGiveAnEpochTwice) {
  core::CounterRandom random(13);
  auto disk = FormattedDisk();
  std::uint32_t last = 0;
  std::uint64_t damaged = 0;
  for (std::uint64_t seed = 0; seed < kStates; ++seed) {
    SCOPED_TRACE(seed);
    if (BothAreWhole(*disk) && random.Below(2) == 0) {
      DamageOne(*disk, random());
      ++damaged;
    }
    {
      const auto directory = OpenAt(*disk);
      disk->LosePowerAfter(random.Below(9));
      while (disk->has_power()) {
        const auto epoch = directory->NextEpoch();
        // A failure that costs no operation would go on for ever.
        ASSERT_EQ(epoch.ok(), disk->has_power()) << epoch.status().ToString();
        if (epoch.ok()) {
          ASSERT_GT(epoch.value(), last);
          last = epoch.value();
        }
      }
    }
    disk = AfterCrash(*disk, seed);
  }
  EXPECT_GT(damaged, kStates / 8);
}

TEST(PowerLoss, TakesNoNumberThatWasBuiltOnAKilledWritersBlock) {
  // The writer is killed after each of its operations; the next one builds on
  // what it left, gives a number, and then all that can be is lost.
  for (std::uint64_t operations = 0; operations < 6; ++operations) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      SCOPED_TRACE(fmt::format("{} {}", operations, seed));
      auto disk = FormattedDisk();
      EXPECT_EQ(Value(OpenAt(*disk)->NextEpoch()), 1U);
      disk->LosePowerAfter(operations);
      static_cast<void>(OpenAt(*disk)->NextEpoch());
      disk = disk->AfterKill();
      const std::uint32_t given = Value(OpenAt(*disk)->NextEpoch());
      disk = disk->AfterPowerLoss(seed);
      if (BothAreWhole(*disk)) {
        DamageOne(*disk, seed);
      }
      EXPECT_GT(Value(OpenAt(*disk)->NextEpoch()), given);
    }
  }
}

// The disk itself: that it loses what a real one may, and nothing else.

std::vector<std::byte> Filled(std::size_t bytes, int value) {
  return std::vector<std::byte>(bytes, static_cast<std::byte>(value));
}

TEST(PowerLossDisk, TearsWhatIsNotFlushedBetweenSectors) {
  PowerLossDisk disk;
  const auto file = Value(disk.Open("/file", internal::DiskOpen::kCreate));
  ASSERT_TRUE(file->WriteAt(0, Filled(2 * kSectorBytes, 1)).ok());
  ASSERT_TRUE(file->Flush().ok());
  ASSERT_TRUE(disk.FlushFolder("/").ok());
  ASSERT_TRUE(file->WriteAt(0, Filled(2 * kSectorBytes, 2)).ok());
  ASSERT_TRUE(file->WriteAt(0, Filled(kSectorBytes, 3)).ok());
  std::set<std::pair<int, int>> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto content = disk.AfterPowerLoss(seed)->Content("/file");
    ASSERT_EQ(content.size(), 2 * kSectorBytes);
    for (std::size_t at = 0; at < content.size(); ++at) {
      ASSERT_EQ(content[at], content[at / kSectorBytes * kSectorBytes]);
    }
    seen.emplace(static_cast<int>(content[0]),
                 static_cast<int>(content[kSectorBytes]));
  }
  const std::set<std::pair<int, int>> all = {{1, 1}, {1, 2}, {2, 1},
                                             {2, 2}, {3, 1}, {3, 2}};
  EXPECT_EQ(seen, all);
}

TEST(PowerLossDisk, KeepsNamesOnlyOfFoldersThatWereFlushed) {
  PowerLossDisk disk;
  ASSERT_TRUE(disk.Open("/kept", internal::DiskOpen::kCreate).ok());
  ASSERT_TRUE(disk.FlushFolder("/").ok());
  ASSERT_TRUE(disk.Rename("/kept", "/moved").ok());
  ASSERT_TRUE(disk.Open("/new", internal::DiskOpen::kCreate).ok());
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::string names;
    for (const std::string& name :
         Value(disk.AfterPowerLoss(seed)->List("/"))) {
      names += name + ' ';
    }
    seen.insert(names);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"kept ", "kept new ", "moved ",
                                         "moved new "}));
}

TEST(PowerLossDisk, KeepsWhatWasFlushedAndWhatAKillCannotTake) {
  PowerLossDisk disk;
  const auto file = Value(disk.Open("/file", internal::DiskOpen::kCreate));
  ASSERT_TRUE(file->Allocate(3000).ok());
  ASSERT_TRUE(file->Flush().ok());
  ASSERT_TRUE(disk.FlushFolder("/").ok());
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_EQ(disk.AfterPowerLoss(seed)->Content("/file"), Filled(3000, 0));
  }
  ASSERT_TRUE(file->WriteAt(100, Filled(50, 9)).ok());
  EXPECT_EQ(disk.AfterKill()->Content("/file"), disk.Content("/file"));
  ASSERT_TRUE(Value(file->TryLock(internal::DiskLock::kExclusive)));
  const auto second = Value(disk.Open("/file", internal::DiskOpen::kRead));
  EXPECT_FALSE(Value(second->TryLock(internal::DiskLock::kShared)));
  const auto after = disk.AfterKill();
  const auto third = Value(after->Open("/file", internal::DiskOpen::kRead));
  EXPECT_TRUE(Value(third->TryLock(internal::DiskLock::kShared)));
}

}  // namespace
}  // namespace stoker::cache
