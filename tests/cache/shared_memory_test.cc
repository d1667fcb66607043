// Memory errors in the index that the processes of a host share. At worst they
// cost a fetch.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cache/internal/shared_region.h"
#include "core/random.h"
#include "tests/cache/cache_faults_support.h"

namespace stoker::cache {
namespace {

constexpr std::size_t kMemoryPage = 4096;
constexpr std::size_t PagesOf(std::size_t bytes) {
  return (bytes + kMemoryPage - 1) / kMemoryPage * kMemoryPage;
}

// The memory of an index as whoever damages it has it: header, buckets, ghosts
// and entries, each from a page on (docs/design/0005).
class SharedWords {
 public:
  SharedWords(const CacheId& id, std::uint32_t slots)
      : slots_(slots),
        fd_(::shm_open(internal::SharedName(id.ToString()).c_str(), O_RDWR,
                       0)) {
    STOKER_CHECK(fd_ >= 0);
    struct stat about{};
    STOKER_CHECK(::fstat(fd_, &about) == 0);
    bytes_ = static_cast<std::size_t>(about.st_size);
    memory_ = static_cast<std::byte*>(
        ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
    STOKER_CHECK(memory_ != MAP_FAILED);
    entries_at_ = bytes_ - PagesOf(slots * sizeof(SlotEntry));
    buckets_at_ = entries_at_ - 2 * PagesOf(slots * sizeof(std::uint32_t));
  }
  ~SharedWords() {
    ::munmap(memory_, bytes_);
    ::close(fd_);
  }
  SharedWords(const SharedWords&) = delete;
  SharedWords& operator=(const SharedWords&) = delete;

  std::atomic<std::uint32_t>& bucket(std::uint32_t number) {
    return reinterpret_cast<std::atomic<std::uint32_t>*>(memory_ +
                                                         buckets_at_)[number];
  }
  SlotEntry& entry(std::uint32_t slot) {
    return reinterpret_cast<SlotEntry*>(memory_ + entries_at_)[slot];
  }
  void FlipBit(std::size_t byte, unsigned bit) {
    reinterpret_cast<std::atomic<unsigned char>*>(memory_)[byte].fetch_xor(
        static_cast<unsigned char>(1U << bit));
  }
  // A bit of a bucket or an entry.
  void FlipAnyBit(core::CounterRandom& random) {
    const std::size_t in_buckets = slots_ * sizeof(std::uint32_t);
    const std::size_t all = in_buckets + slots_ * sizeof(SlotEntry);
    const std::size_t at = random.Below(all);
    FlipBit(at < in_buckets ? buckets_at_ + at : entries_at_ + at - in_buckets,
            static_cast<unsigned>(random.Below(8)));
  }

 private:
  std::uint32_t slots_;
  int fd_;
  std::size_t bytes_ = 0;
  std::byte* memory_ = nullptr;
  std::size_t buckets_at_ = 0;
  std::size_t entries_at_ = 0;
};

// One object that all slots are needed for, and one that more are needed for
// than there are.
class SharedMemoryDamage : public CacheFaults,
                           public ::testing::WithParamInterface<Policy> {
 protected:
  static constexpr std::uint64_t kBlocks = 80;

  SharedMemoryDamage() {
    content_.resize(kBlocks * kFaultSlot);
    core::FillCounterStream(9, 0, std::as_writable_bytes(std::span(content_)));
    auto store = storage::OpenBackend(store_uri()).value();
    STOKER_CHECK(storage::WriteObject(*store, "object", content_, clock_).ok());
    slots_ = Directory::Open(cache_path()).value()->geometry().slots();
    STOKER_CHECK(slots_ < kBlocks);
  }
  Index& IndexOf(storage::Backend& backend) {
    return *TierOf(backend)->units()[0].index;
  }
  std::uint32_t slots_ = 0;
};

TEST_P(SharedMemoryDamage, AnyBitCostsAFetchAtWorst) {
  const auto backend = Open("", GetParam());
  ASSERT_TRUE(Read(*backend));
  SharedWords words(id_, slots_);
  core::CounterRandom random(core::StreamKey(21));
  for (int round = 0; round < 60; ++round) {
    for (int flip = 0; flip <= round; ++flip) {
      words.FlipAnyBit(random);
    }
    ASSERT_TRUE(Read(*backend)) << "round " << round;
    IndexOf(*backend).Sweep();
    const SlotCounts counts = IndexOf(*backend).Count();
    ASSERT_EQ(counts.all(), slots_);
  }
  const storage::CacheCounts counts = *backend->CacheActivity();
  EXPECT_EQ(counts.hit_bytes + counts.memory_bytes + counts.store_bytes,
            61 * content_.size());
  EXPECT_EQ(counts.device_errors, 0U);
}

TEST_P(SharedMemoryDamage, WhileProcessesReadNoneDiesOrIsWrong) {
  std::vector<std::unique_ptr<Child>> readers;
  for (int i = 0; i < 3; ++i) {
    readers.push_back(std::make_unique<Child>([this] {
      const auto backend = Open("", GetParam());
      totals_->ready.fetch_add(1);
      while (!totals_->go.load()) {
        if (!Read(*backend)) {
          return 1;
        }
      }
      return Read(*backend) ? 0 : 1;
    }));
  }
  while (totals_->ready.load() < 3) {
    clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(1));
  }
  SharedWords words(id_, slots_);
  core::CounterRandom random(core::StreamKey(22));
  for (int flip = 0; flip < 1500; ++flip) {
    words.FlipAnyBit(random);
    clock_.SleepUntil(clock_.Now() + std::chrono::microseconds(200));
  }
  totals_->go.store(true);
  for (const auto& reader : readers) {
    EXPECT_EQ(reader->Wait(), 0);
  }
}

TEST_P(SharedMemoryDamage, IsSeenOnlyWhereThereIsSome) {
  std::vector<std::unique_ptr<Child>> readers;
  for (int i = 0; i < 3; ++i) {
    readers.push_back(std::make_unique<Child>([this] {
      const auto backend = Open("", GetParam());
      bool right = true;
      for (int round = 0; round < 10; ++round) {
        right = Read(*backend) && right;
        IndexOf(*backend).Sweep();
      }
      return right && IndexOf(*backend).counters().damages == 0 ? 0 : 1;
    }));
  }
  for (const auto& reader : readers) {
    EXPECT_EQ(reader->Wait(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Cache, SharedMemoryDamage,
                         ::testing::Values(Policy::kNever, Policy::kLru,
                                           Policy::kSieve, Policy::kS3Fifo,
                                           Policy::kTwoRandom, Policy::kBelady),
                         [](const auto& policy) {
                           std::string name(PolicyName(policy.param));
                           std::erase(name, '-');
                           return name;
                         });

class ChainDamage : public SharedMemoryDamage {
 protected:
  // After the damage reads make the chains whole again: those that the blocks
  // asked for belong to, and, as the last of the slots behind a bad link is
  // used again, all. Then everything is found that there is room for.
  void CheckHealed(storage::Backend& backend) {
    for (int round = 0; round < 4; ++round) {
      EXPECT_TRUE(Read(backend));
    }
    while (IndexOf(backend).Count().valid < slots_) {  // the last are written
      clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(1));
    }
    EXPECT_GE(IndexOf(backend).counters().damages, 1U);
    std::uint32_t found = 0;
    IndexOf(backend).ForEachValid([&](std::uint32_t, const SlotRecord& record) {
      found += IndexOf(backend).Peek(record.key) == Look::kHit ? 1 : 0;
    });
    EXPECT_EQ(found, slots_);
  }
};

TEST_P(ChainDamage, BucketsThatNameNoSlotAreMadeAnew) {
  const auto backend = Open("", GetParam());
  ASSERT_TRUE(Read(*backend));
  SharedWords words(id_, slots_);
  for (std::uint32_t bucket = 0; bucket < slots_; ++bucket) {
    words.bucket(bucket).store(slots_ + bucket * 1'000'003);
  }
  CheckHealed(*backend);
}

TEST_P(ChainDamage, LinksToWhatIsNoSlotAreMadeAnew) {
  const auto backend = Open("", GetParam());
  ASSERT_TRUE(Read(*backend));
  SharedWords words(id_, slots_);
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    words.entry(slot).chain.store(kNoSlot - 1 - slot);
  }
  CheckHealed(*backend);
}

TEST_P(ChainDamage, ChainsThatGoInACircleAreMadeAnew) {
  const auto backend = Open("", GetParam());
  ASSERT_TRUE(Read(*backend));
  SharedWords words(id_, slots_);
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    words.entry(slot).chain.store(slot);
  }
  CheckHealed(*backend);
}

TEST_P(ChainDamage, ChainsThatRunIntoOthersAreMadeAnew) {
  const auto backend = Open("", GetParam());
  ASSERT_TRUE(Read(*backend));
  SharedWords words(id_, slots_);
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    words.entry(slot).chain.store((slot + 1) % slots_);
  }
  CheckHealed(*backend);
}

INSTANTIATE_TEST_SUITE_P(Cache, ChainDamage,
                         ::testing::Values(Policy::kNever, Policy::kLru),
                         [](const auto& policy) {
                           return std::string(PolicyName(policy.param));
                         });

// What says that the memory is this cache's, and of this boot, is asked of
// every process that comes.
TEST_F(CacheFaults, AFlippedBitInTheHeaderCostsTheIndexAndNoByte) {
  constexpr std::size_t kFormatAndId = sizeof(std::uint64_t) + sizeof(CacheId);
  const std::uint32_t slots =
      Directory::Open(cache_path()).value()->geometry().slots();
  ASSERT_TRUE(Read(*Open()));
  for (std::size_t byte = 0; byte < kFormatAndId + sizeof(Geometry);
       byte += 5) {
    {
      SharedWords words(id_, slots);
      words.FlipBit(byte, byte % 8);
    }
    const auto backend = Open();
    EXPECT_TRUE(Read(*backend)) << byte;
    // From the records: nothing had to be fetched again.
    EXPECT_EQ(backend->CacheActivity()->store_bytes, 0U) << byte;
  }
  CheckWhole();
}

}  // namespace
}  // namespace stoker::cache
