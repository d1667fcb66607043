// Damage to the files of a cache, and what a power cut leaves of them: at worst
// a fetch, never a wrong byte.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/random.h"
#include "tests/cache/cache_faults_support.h"
#include "tests/cache/directory_support.h"

namespace stoker::cache {
namespace {

constexpr std::uint64_t kSectorBytes = 512;

// A file of the cache, as whoever damages it has it.
class OpenFile {
 public:
  explicit OpenFile(const std::string& path)
      : fd_(::open(path.c_str(), O_RDWR)) {
    STOKER_CHECK(fd_ >= 0);
  }
  ~OpenFile() {
    STOKER_CHECK(::fsync(fd_) == 0);
    ::close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  std::string Get(std::uint64_t at, std::uint64_t bytes) const {
    std::string got(bytes, '\0');
    STOKER_CHECK(::pread(fd_, got.data(), bytes, static_cast<off_t>(at)) ==
                 static_cast<ssize_t>(bytes));
    return got;
  }
  void Put(std::uint64_t at, const std::string& bytes) {
    STOKER_CHECK(
        ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at)) ==
        static_cast<ssize_t>(bytes.size()));
  }
  void FlipBit(std::uint64_t at, unsigned bit) {
    std::string byte = Get(at, 1);
    byte[0] = static_cast<char>(byte[0] ^ static_cast<char>(1U << bit));
    Put(at, byte);
  }

 private:
  int fd_;
};

class CacheMedia : public CacheFaults {
 protected:
  std::string slots_path() const { return cache_path() + "/slots.0"; }
  std::string records_path() const { return cache_path() + "/records"; }

  // All blocks of the object are in the cache; where on the device.
  std::vector<std::uint64_t> Fill() {
    CheckWhole();
    const auto backend = Open();
    std::vector<std::uint64_t> places;
    const Index& index = *TierOf(*backend)->units()[0].index;
    index.ForEachValid([&](std::uint32_t slot, const SlotRecord&) {
      places.push_back(index.geometry().OffsetOf(slot));
    });
    STOKER_CHECK(places.size() == kBlocks);
    return places;
  }
  // Reads; returns the checksum misses of it.
  std::uint64_t MissesOfRead() {
    const auto backend = Open();
    EXPECT_TRUE(Read(*backend));
    const storage::CacheCounts counts = *backend->CacheActivity();
    EXPECT_EQ(counts.hit_bytes + counts.memory_bytes + counts.store_bytes,
              kObject);
    return counts.checksum_misses;
  }
  static constexpr std::uint64_t kBlocks = 4;
};

TEST_F(CacheMedia, AZeroedSectorIsAMiss) {
  const std::vector<std::uint64_t> places = Fill();
  OpenFile(slots_path())
      .Put(places[1] + 7 * kSectorBytes, std::string(kSectorBytes, '\0'));
  EXPECT_EQ(MissesOfRead(), 1U);
  EXPECT_EQ(MissesOfRead(), 0U);  // fetched and kept again
}

TEST_F(CacheMedia, SwappedSlotsAreMisses) {
  const std::vector<std::uint64_t> places = Fill();
  {
    OpenFile slots(slots_path());
    const std::string one = slots.Get(places[0], kFaultSlot);
    slots.Put(places[0], slots.Get(places[1], kFaultSlot));
    slots.Put(places[1], one);
  }
  // Of each block at least the part that is read first; those that were asked
  // for beside it as well.
  const std::uint64_t misses = MissesOfRead();
  EXPECT_GE(misses, 2U);
  EXPECT_LE(misses, 2U * kGranulesPerSlot);
}

TEST_F(CacheMedia, SwappedRecordsAreDamagedAndTheirBlocksMisses) {
  Fill();
  std::vector<std::uint32_t> slots;
  {
    const auto backend = Open();
    TierOf(*backend)->units()[0].index->ForEachValid(
        [&](std::uint32_t slot, const SlotRecord&) { slots.push_back(slot); });
  }
  {
    OpenFile records(records_path());
    const std::string one = records.Get(slots[0] * 64ULL, 64);
    records.Put(slots[0] * 64ULL, records.Get(slots[1] * 64ULL, 64));
    records.Put(slots[1] * 64ULL, one);
  }
  Index::Forget(id_);
  const auto backend = Open();
  EXPECT_EQ(TierOf(*backend)->units()[0].index->Count().valid, kBlocks - 2);
  EXPECT_TRUE(Read(*backend));
}

TEST_F(CacheMedia, FlippedBitsInRecordsCostTheirBlocksAfterAReboot) {
  Fill();
  core::CounterRandom random(core::StreamKey(41));
  const std::uint64_t bytes = std::filesystem::file_size(records_path());
  for (int round = 0; round < 10; ++round) {
    {
      OpenFile records(records_path());
      for (int flip = 0; flip < 40; ++flip) {
        records.FlipBit(random.Below(bytes),
                        static_cast<unsigned>(random.Below(8)));
      }
    }
    Index::Forget(id_);
    EXPECT_EQ(MissesOfRead(), 0U);  // a damaged record is none
  }
}

// Data and records as they were before the fill, or after it, sector by sector:
// nothing orders them, so any mixture can be what is left.
TEST_F(CacheMedia, AnyMixtureOfSectorsThatAPowerCutLeavesIsRight) {
  const std::uint64_t bytes = std::filesystem::file_size(slots_path());
  const std::uint64_t table = std::filesystem::file_size(records_path());
  const auto contents = [&] {
    return std::pair{OpenFile(slots_path()).Get(0, bytes),
                     OpenFile(records_path()).Get(0, table)};
  };
  const auto before = contents();
  Fill();
  const auto after = contents();
  ASSERT_NE(before, after);
  core::CounterRandom random(core::StreamKey(42));
  const auto mixed = [&](const std::string& old_bytes,
                         const std::string& new_bytes, std::uint64_t lost) {
    std::string mixture = new_bytes;
    for (std::size_t at = 0; at < mixture.size(); at += kSectorBytes) {
      if (random.Below(16) < lost) {
        mixture.replace(at, kSectorBytes, old_bytes, at, kSectorBytes);
      }
    }
    return mixture;
  };
  std::uint64_t misses = 0;
  std::uint64_t hits = 0;
  for (std::uint64_t round = 0; round < 24; ++round) {
    Index::Forget(id_);
    OpenFile(slots_path()).Put(0, mixed(before.first, after.first, round / 3));
    OpenFile(records_path())
        .Put(0, mixed(before.second, after.second, round / 3));
    const auto backend = Open();
    ASSERT_TRUE(Read(*backend)) << round;
    misses += backend->CacheActivity()->checksum_misses;
    hits += backend->CacheActivity()->hit_bytes;
  }
  EXPECT_GT(misses, 0U);
  EXPECT_GT(hits, 0U);
}

TEST_F(CacheMedia, ASlotFileThatIsCutWhileItIsUsedLosesNoRead) {
  Fill();
  const auto backend = Open();
  std::filesystem::resize_file(slots_path(), 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(Read(*backend));
  }
  EXPECT_GT(backend->CacheActivity()->device_errors, 0U);
  EXPECT_EQ(backend->CacheActivity()->hit_bytes, 0U);
}

TEST_F(CacheMedia, ATableOfRecordsThatIsCutWhileItIsUsedLosesNoRead) {
  const auto backend = Open();
  std::filesystem::resize_file(records_path(), 0);
  EXPECT_TRUE(Read(*backend));
  EXPECT_TRUE(Read(*backend));
}

TEST_F(CacheMedia, OneDamagedSuperBlockIsHarmlessAndTwoAreTold) {
  Fill();
  OpenFile(cache_path() + "/super.a").FlipBit(100, 3);
  EXPECT_EQ(MissesOfRead(), 0U);
  OpenFile(cache_path() + "/super.a").FlipBit(100, 3);
  OpenFile(cache_path() + "/super.a").Put(0, std::string(kSectorBytes, '\0'));
  OpenFile(cache_path() + "/super.b").Put(0, std::string(kSectorBytes, '\0'));
  CacheOptions options;
  options.directories = {cache_path()};
  const auto refused = OpenTier(options, "", clock_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), core::Code::kCorruption);
  EXPECT_NE(refused.status().ToString().find("format"), std::string::npos)
      << refused.status().ToString();
}

// Three slots, and an object of four blocks read by more requests at once than
// there are slots.
TEST_F(CacheMedia, AnObjectLargerThanTheQuotaIsReadAndTheQuotaKept) {
  constexpr std::uint64_t kQuota = 4 * kFaultSlot;
  for (const Policy policy : {Policy::kNever, Policy::kLru, Policy::kSieve}) {
    const std::string path =
        dir_.str() + "/small-" + std::string(PolicyName(policy));
    ASSERT_TRUE(Directory::Format(path, {.quota_bytes = kQuota,
                                         .slot_bytes = kFaultSlot,
                                         .small_slot_bytes = 0})
                    .ok());
    CacheOptions options;
    options.directories = {path};
    options.buffer_bytes = 8 * kFaultSlot;
    options.policy = policy;
    auto tier = OpenTier(options, "", clock_).value();
    const std::uint32_t slots = tier->units()[0].index->geometry().slots();
    ASSERT_LT(slots, kBlocks);
    const CacheId id = tier->units()[0].directory->id();
    {
      const auto backend = MakeCacheBackend(
          std::move(tier), options, storage::OpenBackend(store_uri()).value());
      for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(Read(*backend));
      }
    }
    std::uint64_t used = 0;
    for (const auto& file : std::filesystem::directory_iterator(path)) {
      used += file.file_size();
    }
    EXPECT_LE(used, kQuota);
    Index::Forget(id);
  }
}

}  // namespace
}  // namespace stoker::cache
