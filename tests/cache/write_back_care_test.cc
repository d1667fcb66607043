// What a cache that writes back keeps through reboots, damage, other
// directories and other processes.

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "cache/verify.h"
#include "core/aligned_buffer.h"
#include "tests/cache/write_back_support.h"

namespace stoker::cache {
namespace {

using testing::Child;
using testing::kDirtySlot;

// The store takes nothing as long as a file is where its folder should be.
class WriteBackCare : public testing::WriteBackFaults {
 protected:
  WriteBackCare() { ShutStore(); }
  ~WriteBackCare() override {
    for (const CacheId& id : ids_) {
      Index::Forget(id);
    }
  }
  void ShutStore() {
    std::filesystem::remove_all(dir_.str() + "/store");
    std::ofstream(dir_.str() + "/store") << "in the way";
  }
  void OpenStore() { std::filesystem::remove_all(dir_.str() + "/store"); }
  void Reboot() {
    Index::Forget(id_);
    for (const CacheId& id : ids_) {
      Index::Forget(id);
    }
  }
  std::string MoreCache(const std::string& name,
                        std::uint64_t quota_bytes = 4U << 20U,
                        std::uint64_t slot_bytes = kDirtySlot) {
    const std::string path = dir_.str() + "/" + name;
    STOKER_CHECK(Directory::Format(path, {.quota_bytes = quota_bytes,
                                          .slot_bytes = slot_bytes,
                                          .small_slot_bytes = 0})
                     .ok());
    ids_.push_back(Directory::Open(path).value()->id());
    return path;
  }
  core::Result<std::unique_ptr<storage::Backend>> TryOpen(
      const std::vector<std::string>& directories,
      const std::string& start = "as-found") {
    std::string places;
    for (const std::string& directory : directories) {
      places += (places.empty() ? "" : ":") + directory;
    }
    return storage::OpenBackend("cache:" + places +
                                    "?write=back&buffers=1MiB&start=" + start +
                                    "," + store_uri(),
                                {.clock = &clock_, .more = CacheBackends()});
  }
  core::Status Put(storage::Backend& backend, const std::string& name,
                   const std::string& content, bool durable = true,
                   std::vector<std::string> after = {}) {
    return storage::WriteObject(
        backend, name, content, clock_,
        {.durable = durable, .after = std::move(after)});
  }
  core::Status DrainOf(storage::Backend& backend) {
    return backend.Drain({.patience = std::chrono::seconds(30)}, clock_)
        .status();
  }
  // Overwrites the 4096 bytes at `offset` of the slot files, behind the cache's
  // back.
  void Damage(std::uint64_t offset) {
    const auto directory = Directory::Open(cache_path()).value();
    const std::uint64_t file_bytes = directory->slot_file_bytes();
    std::fstream file(directory->slot_files()[offset / file_bytes],
                      std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(offset % file_bytes));
    file << std::string(4096, 'x');
  }
  static Index& FirstIndexOf(storage::Backend& backend) {
    return *TierOf(backend)->units()[0].index;
  }
  // Slots of the table of what was written.
  static std::vector<std::uint32_t> TableSlots(storage::Backend& backend) {
    std::vector<std::uint32_t> slots;
    FirstIndexOf(backend).ForEachDirty(
        [&](const DirtySlot& slot, const SlotRecord& record) {
          if (IsCommitKey(record.key)) {
            slots.push_back(slot.slot);
          }
        });
    return slots;
  }

  std::vector<CacheId> ids_;
};

TEST_F(WriteBackCare, WhatWasRemovedDoesNotComeBackWithAReboot) {
  {
    const auto backend = Open();
    for (std::uint64_t i = 0; i < 3; ++i) {
      ASSERT_TRUE(Put(*backend, "shard", Content(i, 100'000)).ok());
    }
    ASSERT_TRUE(backend->Remove("shard").ok());
  }
  Reboot();
  const auto backend = Open();
  EXPECT_EQ(ReadFrom(*backend, "shard"), "not found");
  EXPECT_EQ(FirstIndexOf(*backend).Count().dirty, 0U);
}

TEST_F(WriteBackCare, TheLastWritingStandsAfterDrainsColdStartsAndReboots) {
  OpenStore();
  const std::string first = Content(1, 100'000);
  const std::string second = Content(2, 100'000);
  {
    const auto backend = Open();
    ASSERT_TRUE(Put(*backend, "shard", first).ok());
    ASSERT_TRUE(DrainOf(*backend).ok());
    EXPECT_EQ(InStore("shard"), first);
  }
  Reboot();
  ShutStore();
  {
    const auto backend = TryOpen({cache_path()}, "cold").value();
    ASSERT_TRUE(Put(*backend, "shard", second).ok());
  }
  for (const std::string start : {"as-found", "cold"}) {
    Reboot();
    const auto backend = TryOpen({cache_path()}, start).value();
    EXPECT_EQ(ReadFrom(*backend, "shard"), second);
  }
  OpenStore();
  const auto backend = Open();
  ASSERT_TRUE(DrainOf(*backend).ok());
  EXPECT_EQ(InStore("shard"), second);
}

TEST_F(WriteBackCare, MoreObjectsThanAPageNotesSurviveAReboot) {
  std::vector<std::string> names;
  {
    const auto backend = Open();
    for (std::uint64_t i = 0; i < 20; ++i) {
      names.push_back("n" + std::to_string(i));
      ASSERT_TRUE(Put(*backend, names.back(), Content(i, 1000)).ok());
    }
    // 16 units to a page of 64 KiB, and each page twice.
    EXPECT_EQ(FirstIndexOf(*backend).Count().table, 4U);
  }
  Reboot();
  const auto backend = Open();
  for (std::uint64_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(ReadFrom(*backend, names[i]), Content(i, 1000));
  }
}

// More pages than a chain of the index may be long, if they were in one.
TEST_F(WriteBackCare, ManyPagesSurviveAReboot) {
  const std::string path = MoreCache("large", 8U << 20U, 16U << 10U);
  constexpr std::uint64_t kObjects = 280;  // four to a page
  const auto name = [](std::uint64_t i) { return "n" + std::to_string(i); };
  {
    const auto backend = TryOpen({path}, "as-found&dirty=0.9").value();
    for (std::uint64_t i = 0; i < kObjects; ++i) {
      ASSERT_TRUE(Put(*backend, name(i), Content(i, 100), i % 8 == 0).ok());
    }
  }
  for (int i = 0; i < 2; ++i) {
    const auto backend = TryOpen({path}, "as-found&dirty=0.9").value();
    EXPECT_EQ(FirstIndexOf(*backend).Count().table, 140U);
    for (std::uint64_t n = 0; n < kObjects; n += 7) {
      ASSERT_EQ(ReadFrom(*backend, name(n)), Content(n, 100)) << n;
    }
    Reboot();
  }
}

// Which may be in front of a fault, a debugger, or a user's SIGSTOP.
TEST_F(WriteBackCare, ReadersGoOnWhileAWriterIsStoppedWithTheLock) {
  progress_->held = true;
  Child stopped = Writer("D4", SIGSTOP);
  OpenStore();
  const auto store = storage::OpenBackend(store_uri()).value();
  ASSERT_TRUE(
      storage::WriteObject(*store, "data", Content(1, 90'000), clock_).ok());
  const auto backend = Open();
  ASSERT_TRUE(Put(*backend, "mine", Content(2, 90'000)).ok());
  ASSERT_TRUE(DrainOf(*backend).ok());
  progress_->held = false;
  stopped.WaitForStop();
  const core::TimePoint start = clock_.Now();
  EXPECT_EQ(ReadFrom(*backend, "data"), Content(1, 90'000));
  EXPECT_EQ(ReadFrom(*backend, "mine"), Content(2, 90'000));
  // Half of what a writer would wait.
  EXPECT_LT(clock_.Now() - start, std::chrono::seconds(15));
  stopped.Kill();
}

TEST_F(WriteBackCare, ANameThatTheStoreCannotTakeHoldsUpNoOther) {
  OpenStore();
  const auto backend = Open();
  ASSERT_TRUE(Put(*backend, "d", "a file").ok());
  ASSERT_TRUE(DrainOf(*backend).ok());
  ASSERT_TRUE(Put(*backend, "d/e", "where a folder had to be").ok());
  ASSERT_TRUE(Put(*backend, "z", Content(1, 1000)).ok());
  const core::TimePoint deadline = clock_.Now() + std::chrono::seconds(30);
  while (InStore("z") == "not found" && clock_.Now() < deadline) {
    clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(10));
  }
  EXPECT_EQ(InStore("z"), Content(1, 1000));
  const auto drained =
      backend->Drain({.patience = std::chrono::milliseconds(300)}, clock_);
  ASSERT_FALSE(drained.ok());
  EXPECT_NE(drained.status().message().find("d/e"), std::string::npos);
  ASSERT_TRUE(backend->Remove("d/e").ok());
  EXPECT_TRUE(DrainOf(*backend).ok());
}

TEST_F(WriteBackCare, NamesOfAnyBytesAndLongListsOfNamesAreKept) {
  const std::string odd = "step/\xFF\xFE name";
  std::vector<std::string> after(300, odd);
  for (std::size_t i = 0; i < after.size(); ++i) {
    after[i] = "a/rather/long/name/of/a/shard/" + std::to_string(i);
  }
  {
    const auto backend = Open();
    ASSERT_TRUE(Put(*backend, odd, Content(1, 5000)).ok());
    // More than a page of 4096 bytes.
    ASSERT_TRUE(Put(*backend, "manifest", "m", true, after).ok());
  }
  Reboot();
  OpenStore();
  const auto backend = Open();
  EXPECT_EQ(ReadFrom(*backend, odd), Content(1, 5000));
  EXPECT_EQ(backend->Drain({.patience = std::chrono::milliseconds(300)}, clock_)
                .status()
                .code(),
            core::Code::kTimedOut);
  EXPECT_EQ(InStore(odd), Content(1, 5000));
  EXPECT_EQ(InStore("manifest"), "not found");
  const auto store = storage::OpenBackend(store_uri()).value();
  for (const std::string& name : after) {
    ASSERT_TRUE(storage::WriteObject(*store, name, "s", clock_).ok());
  }
  ASSERT_TRUE(DrainOf(*backend).ok());
  EXPECT_EQ(InStore("manifest"), "m");
}

TEST_F(WriteBackCare, DamageToOneCopyOfTheTableLosesNothing) {
  std::vector<std::uint32_t> slots;
  for (const std::size_t copy : {0U, 1U}) {
    const std::string content = Content(copy, 100'000);
    {
      const auto backend = Open();
      ASSERT_TRUE(Put(*backend, "shard", content).ok());
      slots = TableSlots(*backend);
      ASSERT_EQ(slots.size(), 2U);
    }
    for (std::uint64_t page = 0; page < kDirtySlot; page += 4096) {
      Damage(slots[copy] * kDirtySlot + page);
    }
    Reboot();
    EXPECT_EQ(ReadFrom(*Open(), "shard"), content);
  }
  // And the record of a copy. What was written last is whole in both.
  ASSERT_TRUE(Put(*Open(), "shard", shard_).ok());
  // Eight records are in a sector.
  EXPECT_NE(slots[0] / 8, slots[1] / 8);
  Reboot();
  ASSERT_TRUE(
      Directory::Open(cache_path()).value()->WriteRecord(slots[0], {}).ok());
  EXPECT_EQ(ReadFrom(*Open(), "shard"), shard_);
}

TEST_F(WriteBackCare, WhatWasNotWaitedForIsWholeOrGoneAfterAPowerCut) {
  {
    const auto backend = Open();
    ASSERT_TRUE(Put(*backend, "lost", Content(1, 3 * kDirtySlot), false).ok());
    ASSERT_TRUE(Put(*backend, "kept", Content(2, 3 * kDirtySlot), false).ok());
    std::uint32_t damaged = kNoSlot;
    // The first block that was written is the first object's.
    FirstIndexOf(*backend).ForEachDirty(
        [&](const DirtySlot& slot, const SlotRecord& record) {
          if (!IsCommitKey(record.key) && damaged == kNoSlot) {
            damaged = slot.slot;
          }
        });
    Damage(damaged * kDirtySlot);
  }
  Reboot();
  {
    // A tool makes the index, and ends.
    CacheOptions options;
    options.directories = {cache_path()};
    ASSERT_TRUE(OpenTier(options, "", clock_).ok());
  }
  const auto backend = Open();
  const std::string lost = ReadFrom(*backend, "lost");
  const std::string kept = ReadFrom(*backend, "kept");
  EXPECT_TRUE(lost == "not found" || kept == "not found");
  EXPECT_TRUE(lost == Content(1, 3 * kDirtySlot) ||
              kept == Content(2, 3 * kDirtySlot));
  EXPECT_EQ(FirstIndexOf(*backend).Count().dirty, 3U);
}

TEST_F(WriteBackCare, OtherDirectoriesOrAnotherOrderAreRefusedUntilDrained) {
  const std::string second = MoreCache("second");
  const std::vector<std::string> both = {cache_path(), second};
  const std::vector<std::string> turned = {second, cache_path()};
  {
    const auto backend = TryOpen(both).value();
    ASSERT_TRUE(Put(*backend, "shard", Content(1, 20 * kDirtySlot)).ok());
  }
  for (const bool reboot : {false, true}) {
    if (reboot) {
      Reboot();
    }
    for (const auto& directories :
         {turned, std::vector{cache_path()}, std::vector{second}}) {
      const auto refused = TryOpen(directories);
      ASSERT_FALSE(refused.ok());
      EXPECT_EQ(refused.status().code(), core::Code::kInvalidArgument);
      EXPECT_NE(refused.status().message().find("drain"), std::string::npos);
    }
  }
  // Either directory alone knows that something waits.
  for (const std::string& directory : both) {
    CacheOptions options;
    options.directories = {directory};
    const auto tier = OpenTier(options, "", clock_).value();
    EXPECT_GT(WaitingForStore(*tier, clock_).value(), 0U) << directory;
  }
  OpenStore();
  {
    const auto backend = TryOpen(both).value();
    EXPECT_EQ(ReadFrom(*backend, "shard"), Content(1, 20 * kDirtySlot));
    ASSERT_TRUE(DrainOf(*backend).ok());
  }
  ShutStore();
  {
    const auto backend = TryOpen(turned).value();
    ASSERT_TRUE(Put(*backend, "shard", Content(2, 20 * kDirtySlot)).ok());
  }
  Reboot();
  EXPECT_FALSE(TryOpen(both).ok());
  const auto backend = TryOpen(turned).value();
  EXPECT_EQ(ReadFrom(*backend, "shard"), Content(2, 20 * kDirtySlot));
}

TEST_F(WriteBackCare, OneAloneIsNotTakenForTheFirstOfTwo) {
  const std::string second = MoreCache("second");
  {
    const auto backend = Open();
    ASSERT_TRUE(Put(*backend, "shard", shard_).ok());
  }
  EXPECT_FALSE(TryOpen({cache_path(), second}).ok());
  const auto backend = Open();
  EXPECT_EQ(ReadFrom(*backend, "shard"), shard_);
}

// Each process writes the name many times, with a content of its own.
TEST_F(WriteBackCare, OfWritersOfOneNameOneIsWhatTheCacheAndTheStoreHave) {
  OpenStore();
  constexpr std::uint64_t kWriters = 3;
  {
    std::vector<Child> writers;
    for (std::uint64_t w = 0; w < kWriters; ++w) {
      writers.emplace_back([this, w] {
        const auto backend = Open();
        for (std::uint64_t i = 0; i < 15; ++i) {
          if (!Put(*backend, "shard", Content(100 * w + i, 150'000), false)
                   .ok()) {
            return 1;
          }
        }
        return DrainOf(*backend).ok() ? 0 : 2;
      });
    }
    for (Child& writer : writers) {
      EXPECT_EQ(writer.Wait(), 0);
    }
  }
  const auto backend = Open();
  const std::string here = ReadFrom(*backend, "shard");
  bool known = false;
  for (std::uint64_t w = 0; w < kWriters; ++w) {
    known = known || here == Content(100 * w + 14, 150'000);
  }
  EXPECT_TRUE(known);
  EXPECT_EQ(InStore("shard"), here);
  EXPECT_EQ(FirstIndexOf(*backend).Count().dirty, 0U);
}

TEST_F(WriteBackCare, AWriterThatLivesLetsGoOfWhatADeadOneHad) {
  OpenStore();
  progress_->held = true;
  Child killed = Writer("D3", SIGKILL);
  const auto survivor = Open();
  ASSERT_TRUE(Put(*survivor, "mine", Content(1, 1000)).ok());
  progress_->held = false;
  ASSERT_EQ(killed.Wait(), 128 + SIGKILL);
  Index& index = FirstIndexOf(*survivor);
  const core::TimePoint deadline = clock_.Now() + std::chrono::seconds(60);
  while (index.Count().dirty > 0 && clock_.Now() < deadline) {
    clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(20));
  }
  EXPECT_EQ(index.Count().dirty, 0U);
  EXPECT_EQ(InStore("mine"), Content(1, 1000));
}

TEST_F(WriteBackCare, ADrainWaitsForWhatAnotherProcessUploads) {
  OpenStore();
  const Child stopped = Writer("D7", SIGSTOP);
  stopped.WaitForStop();
  // Stopped, it gives its seat up; what it then does changes nothing.
  {
    const auto backend = Open();
    ASSERT_TRUE(Put(*backend, "shard", Content(9, 70'000)).ok());
    ASSERT_TRUE(DrainOf(*backend).ok());
    EXPECT_EQ(InStore("shard"), Content(9, 70'000));
    stopped.Signal(SIGCONT);
    clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(300));
    ASSERT_TRUE(DrainOf(*backend).ok());
  }
  EXPECT_EQ(InStore("shard"), Content(9, 70'000));
}

}  // namespace
}  // namespace stoker::cache
