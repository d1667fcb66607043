// Bytes that come through a cache, on a device in memory.

#include "cache/cache_backend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "storage/mem_backend.h"
#include "storage/registry.h"
#include "tests/cache/support.h"
#include "tests/storage/support.h"

namespace stoker::cache {
namespace {

using storage::ReadDone;
using storage::ReadOp;
using testing::MemoryTier;
using testing::Options;

constexpr std::uint64_t kSlot = 64U << 10U;

// A device whose bytes and failures a test decides on.
class TouchyDevice final : public storage::BlockDevice {
 public:
  explicit TouchyDevice(std::uint64_t bytes)
      : inner_(storage::MakeMemoryDevice(bytes)) {}

  std::uint64_t size() const override { return inner_->size(); }
  bool direct() const override { return inner_->direct(); }
  core::Result<std::unique_ptr<storage::BlockQueue>> NewQueue(
      std::size_t depth, core::Clock& clock) override {
    STOKER_ASSIGN(std::unique_ptr<storage::BlockQueue> queue,
                  inner_->NewQueue(depth, clock));
    return std::unique_ptr<storage::BlockQueue>(
        std::make_unique<Queue>(std::move(queue), *this));
  }
  core::Status Flush() override { return inner_->Flush(); }

  void FlipBit(std::uint64_t offset, core::Clock& clock) {
    auto queue = inner_->NewQueue(1, clock).value();
    auto block = core::AlignedBuffer::Make(4096, true).value();
    storage::BlockOp op{.offset = offset / 4096 * 4096,
                        .buffer = block.bytes()};
    storage::BlockDone done;
    for (const auto kind :
         {storage::BlockOp::Kind::kRead, storage::BlockOp::Kind::kWrite}) {
      op.kind = kind;
      STOKER_CHECK(queue->Submit(std::span(&op, 1)).ok());
      STOKER_CHECK(queue->Reap(std::span(&done, 1), 1, core::kNever).ok());
      block.bytes()[offset % 4096] ^= std::byte{4};
    }
  }

  std::atomic<bool> fail_reads = false;
  std::atomic<bool> fail_writes = false;
  std::atomic<std::uint64_t> fails_from = 0;  // offset of the first such byte

 private:
  class Queue final : public storage::BlockQueue {
   public:
    Queue(std::unique_ptr<storage::BlockQueue> inner, TouchyDevice& device)
        : inner_(std::move(inner)), device_(device) {}
    std::size_t capacity() const override { return inner_->capacity(); }
    std::size_t in_flight() const override { return inner_->in_flight(); }
    core::Result<std::size_t> Submit(
        std::span<const storage::BlockOp> ops) override {
      for (const storage::BlockOp& op : ops) {
        const bool write = op.kind == storage::BlockOp::Kind::kWrite;
        if (op.offset >= device_.fails_from.load() &&
            (write ? device_.fail_writes.load() : device_.fail_reads.load())) {
          failing_.push_back(op.tag);
        }
      }
      return inner_->Submit(ops);
    }
    core::Result<std::size_t> Reap(std::span<storage::BlockDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) override {
      STOKER_ASSIGN(const std::size_t count,
                    inner_->Reap(done, at_least, deadline));
      for (storage::BlockDone& one : done.first(count)) {
        const auto found = std::ranges::find(failing_, one.tag);
        if (found != failing_.end()) {
          failing_.erase(found);
          one.status = {core::Code::kIoError, "the device is broken", EIO};
        }
      }
      return count;
    }
    void Wake() override { inner_->Wake(); }

   private:
    std::unique_ptr<storage::BlockQueue> inner_;
    TouchyDevice& device_;
    std::vector<std::uint64_t> failing_;
  };

  std::unique_ptr<storage::BlockDevice> inner_;
};

class CacheBackendTest : public ::testing::Test {
 protected:
  void Open(std::uint32_t slots, CacheOptions options = {},
            Policy policy = Policy::kNever) {
    queue_.reset();
    auto device = std::make_unique<TouchyDevice>(slots * kSlot);
    device_ = device.get();
    options.directories = {"memory"};
    options.buffer_bytes = 8 * kSlot;
    backend_ = MakeCacheBackend(
        MemoryTier(Options(slots, policy, kSlot), clock_, std::move(device)),
        options, storage::OpenBackend("mem:").value());
  }
  // Two directories of so many slots, one after the other on the device.
  void OpenTwo(std::uint32_t slots) {
    queue_.reset();
    auto device = std::make_unique<TouchyDevice>(2 * slots * kSlot);
    device_ = device.get();
    backend_ = testing::TwoUnitCache(slots, kSlot, clock_, std::move(device));
  }
  void Put(std::string_view name, std::uint64_t bytes, std::uint64_t version) {
    ASSERT_TRUE(storage::WriteObject(*backend_, name,
                                     Content(name, bytes, version), clock_)
                    .ok());
  }
  // Unique for each object, version and offset.
  static std::string Content(std::string_view name, std::uint64_t bytes,
                             std::uint64_t version) {
    std::string content(bytes, '\0');
    core::FillCounterStream(
        core::StreamKey(version, std::hash<std::string_view>()(name)), 0,
        std::as_writable_bytes(std::span(content)));
    return content;
  }
  // Reads a range and compares it with what the object holds.
  ReadDone Read(std::string_view name, std::uint64_t offset,
                std::uint64_t bytes, const std::string& content,
                std::uint64_t misalign = 0) {
    if (queue_ == nullptr) {
      queue_ =
          backend_->NewReadQueue({.depth = 8, .gives_up_buffers = true}, clock_)
              .value();
    }
    auto memory =
        core::AlignedBuffer::Make(bytes + misalign + 4096, false).value();
    const auto out = memory.bytes().subspan(misalign, bytes);
    const storage::ObjectId object = backend_->Resolve(name);
    const ReadOp op{.object = object, .offset = offset, .buffer = out};
    ReadDone done;
    STOKER_CHECK(queue_->Submit(std::span(&op, 1)).ok());
    STOKER_CHECK(queue_->Reap(std::span(&done, 1), 1, core::kNever).ok());
    backend_->Release(object);
    EXPECT_EQ(done.status.ToString(), "ok");
    const std::uint64_t there =
        std::min(bytes, content.size() - std::min(content.size(), offset));
    EXPECT_EQ(done.bytes, there);
    EXPECT_TRUE(std::equal(
        out.begin(), out.begin() + static_cast<std::ptrdiff_t>(there),
        std::as_bytes(std::span(content)).begin() +
            static_cast<std::ptrdiff_t>(std::min(content.size(), offset))))
        << name << " from " << offset << ", " << bytes << " bytes";
    return done;
  }
  // Until what was read has also been put into the cache.
  void WaitForFills(std::uint64_t blocks) {
    const core::TimePoint deadline = clock_.Now() + std::chrono::seconds(30);
    while (counters().fills.load() < blocks) {
      ASSERT_LT(clock_.Now(), deadline) << "only " << counters().fills.load();
      clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(1));
    }
  }
  // Where on the device the blocks in the cache begin.
  std::vector<std::uint64_t> Places() {
    std::vector<std::uint64_t> places;
    index().ForEachValid([&](std::uint32_t slot, const SlotRecord&) {
      places.push_back(index().geometry().OffsetOf(slot));
    });
    return places;
  }
  const CacheCounters& counters() { return *CountersOf(*backend_); }
  Index& index() { return *TierOf(*backend_)->units()[0].index; }

  core::SystemClock clock_;
  TouchyDevice* device_ = nullptr;
  std::unique_ptr<storage::Backend> backend_;
  std::unique_ptr<storage::ReadQueue> queue_;
};

TEST_F(CacheBackendTest, TheFirstReadComesFromTheStoreAndTheNextFromTheDevice) {
  Open(8);
  const std::uint64_t bytes = 3 * kSlot + 777;
  Put("a", bytes, 1);
  const std::string content = Content("a", bytes, 1);
  const ReadDone first = Read("a", 0, bytes, content);
  EXPECT_EQ(first.from_cache + first.from_memory, 0U);
  WaitForFills(4);
  const ReadDone second = Read("a", 0, bytes, content);
  EXPECT_EQ(second.from_cache, bytes);
  EXPECT_EQ(counters().fetched_bytes.load(), bytes);
  EXPECT_EQ(counters().filled_bytes.load(), bytes);
}

TEST_F(CacheBackendTest, AnyRangeIsRightAndTheTiersAddUpToTheByte) {
  for (const Policy policy : {Policy::kNever, Policy::kLru, Policy::kSieve,
                              Policy::kRandom, Policy::kS3Fifo}) {
    Open(6, {}, policy);
    std::vector<std::string> names;
    std::vector<std::string> contents;
    std::mt19937 random(7);
    for (int i = 0; i < 5; ++i) {
      names.push_back("object" + std::to_string(i));
      const std::uint64_t bytes = 1 + random() % (3 * kSlot);
      Put(names.back(), bytes, 1);
      contents.push_back(Content(names.back(), bytes, 1));
    }
    std::uint64_t delivered = 0;
    for (int i = 0; i < 300; ++i) {
      const std::size_t which = random() % names.size();
      const std::uint64_t size = contents[which].size();
      const std::uint64_t offset = random() % 3 == 0
                                       ? random() % 4 * (kSlot / 4)
                                       : random() % (size + 10);
      const std::uint64_t bytes =
          1 + random() % (random() % 2 == 0 ? kSlot / 8 : 3 * kSlot);
      const ReadDone done = Read(names[which], offset, bytes, contents[which],
                                 random() % 2 == 0 ? 0 : random() % 4096);
      delivered += done.bytes;
      EXPECT_LE(done.from_cache + done.from_memory, done.bytes);
    }
    EXPECT_EQ(
        counters().hit_bytes + counters().memory_bytes + counters().store_bytes,
        delivered)
        << PolicyName(policy);
    EXPECT_GT(counters().hit_bytes.load(), 0U) << PolicyName(policy);
    EXPECT_EQ(counters().checksum_misses.load(), 0U) << PolicyName(policy);
    queue_.reset();
    const SlotCounts counts = index().Count();
    EXPECT_EQ(counts.all(), 6U);
  }
}

TEST_F(CacheBackendTest, AFlippedBitIsAMissAndNeverAWrongByte) {
  Open(4);
  const std::uint64_t bytes = 2 * kSlot;
  Put("a", bytes, 1);
  const std::string content = Content("a", bytes, 1);
  Read("a", 0, bytes, content);
  WaitForFills(2);
  for (const std::uint64_t at : {std::uint64_t{5}, kSlot / 2, kSlot - 1}) {
    const std::uint64_t before = counters().checksum_misses.load();
    const std::uint64_t fills = counters().fills.load();
    device_->FlipBit(Places()[at % 2] + at, clock_);
    Read("a", 0, bytes, content);
    EXPECT_EQ(counters().checksum_misses.load(), before + 1);
    WaitForFills(fills + 1);  // fetched again and kept again
    EXPECT_EQ(Read("a", 0, bytes, content).from_cache, bytes);
    ASSERT_EQ(index().Count().valid, 2U);
  }
}

TEST_F(CacheBackendTest, WithoutChecksADamagedByteIsDelivered) {
  // What `verify=none` gives up, so that the test above can fail.
  CacheOptions unchecked;
  unchecked.verify = Verify::kNone;
  Open(2, unchecked);
  Put("a", kSlot, 1);
  const std::string content = Content("a", kSlot, 1);
  Read("a", 0, kSlot, content);
  WaitForFills(1);
  device_->FlipBit(9, clock_);
  std::string damaged = content;
  damaged[9] ^= 4;
  EXPECT_EQ(Read("a", 0, kSlot, damaged).from_cache, kSlot);
}

TEST_F(CacheBackendTest, AnObjectThatWasReplacedIsReadAsItIsNow) {
  Open(8);
  Put("a", 2 * kSlot, 1);
  Read("a", 0, 2 * kSlot, Content("a", 2 * kSlot, 1));
  WaitForFills(2);
  Put("a", kSlot + 5, 2);
  Read("a", 0, 2 * kSlot, Content("a", kSlot + 5, 2));
  ASSERT_TRUE(backend_->Remove("a").ok());
  EXPECT_FALSE(storage::ReadObject(*backend_, "a", clock_).ok());
}

TEST_F(CacheBackendTest,
       SmallReadsInARowFetchTheBlockOnceAndReadTheDeviceOnce) {
  Open(4);
  Put("a", kSlot, 1);
  const std::string content = Content("a", kSlot, 1);
  for (std::uint64_t at = 0; at < kSlot; at += 1000) {
    Read("a", at, 1000, content, 1);
  }
  EXPECT_EQ(counters().fetched_bytes.load(), kSlot);
  WaitForFills(1);
  queue_.reset();
  // Another block takes the fetcher's attention; then by granules of 16 KiB.
  const std::uint64_t before = counters().device_read_bytes.load();
  std::uint64_t from_cache = 0;
  std::uint64_t from_memory = 0;
  for (std::uint64_t at = 0; at < kSlot; at += 1000) {
    const ReadDone done = Read("a", at, 1000, content, 1);
    from_cache += done.from_cache;
    from_memory += done.from_memory;
  }
  EXPECT_LE(counters().device_read_bytes.load() - before, kSlot);
  EXPECT_LE(from_cache + from_memory, kSlot);
}

TEST_F(CacheBackendTest, AFullCacheThatNeverEvictsHitsWhatItHolds) {
  Open(3);
  for (int i = 0; i < 10; ++i) {
    Put("o" + std::to_string(i), kSlot, 1);
  }
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::uint64_t hits = 0;
    for (int i = 0; i < 10; ++i) {
      const std::string name = "o" + std::to_string(i);
      hits += Read(name, 0, kSlot, Content(name, kSlot, 1)).from_cache;
      if (epoch == 0 && i < 3) {
        WaitForFills(static_cast<std::uint64_t>(i) + 1);
      }
    }
    EXPECT_EQ(hits, epoch == 0 ? 0 : 3 * kSlot) << "epoch " << epoch;
  }
  EXPECT_EQ(counters().filled_bytes.load(), 3 * kSlot);
}

TEST_F(CacheBackendTest, ADeviceThatCannotReadLosesNoRead) {
  Open(4);
  Put("a", 4 * kSlot, 1);
  const std::string content = Content("a", 4 * kSlot, 1);
  Read("a", 0, 4 * kSlot, content);
  WaitForFills(4);
  device_->fail_reads = true;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Read("a", 0, 4 * kSlot, content).from_cache, 0U);
  }
  EXPECT_GE(counters().device_errors.load(), 3U);
  // It is left alone by now.
  const std::uint64_t errors = counters().device_errors.load();
  Read("a", 0, 4 * kSlot, content);
  EXPECT_EQ(counters().device_errors.load(), errors);
}

TEST_F(CacheBackendTest, ADeviceThatCannotReadLeavesTheOtherInUse) {
  constexpr std::uint32_t kEach = 64;
  constexpr std::uint64_t kBlocks = 40;
  OpenTwo(kEach);
  Put("a", kBlocks * kSlot, 1);
  const std::string content = Content("a", kBlocks * kSlot, 1);
  Read("a", 0, kBlocks * kSlot, content);
  WaitForFills(kBlocks);
  const std::uint64_t good = TierOf(*backend_)->units()[0].index->Count().valid;
  ASSERT_GT(good, 0U);
  ASSERT_LT(good, kBlocks);
  EXPECT_EQ(Read("a", 0, kBlocks * kSlot, content).from_cache, kBlocks * kSlot);
  device_->fails_from = kEach * kSlot;
  device_->fail_reads = true;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Read("a", 0, kBlocks * kSlot, content).from_cache, good * kSlot);
  }
  // The second is left alone by now, nothing is kept there either.
  const std::uint64_t errors = counters().device_errors.load();
  EXPECT_GE(errors, 3U);
  Put("b", kBlocks * kSlot, 1);
  const std::string other = Content("b", kBlocks * kSlot, 1);
  Read("b", 0, kBlocks * kSlot, other);
  Read("b", 0, kBlocks * kSlot, other);
  EXPECT_EQ(counters().device_errors.load(), errors);
  queue_.reset();
  EXPECT_GT(TierOf(*backend_)->units()[0].index->Count().valid, good);
  EXPECT_LE(TierOf(*backend_)->units()[1].index->Count().valid, kBlocks - good);
}

TEST_F(CacheBackendTest, ADeviceThatCannotWriteKeepsNothingAndLosesNoRead) {
  Open(4);
  device_->fail_writes = true;
  Put("a", 4 * kSlot, 1);
  const std::string content = Content("a", 4 * kSlot, 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Read("a", 0, 4 * kSlot, content).from_cache, 0U);
  }
  queue_.reset();
  EXPECT_EQ(index().Count().valid, 0U);
  EXPECT_EQ(index().Count().free, 4U);
}

// Three blocks a day; what is not kept is read from the store each time.
TEST_F(CacheBackendTest, NoMoreIsWrittenThanTheBudgetAllows) {
  IndexOptions index_options = Options(20, Policy::kNever, kSlot);
  index_options.write_bytes_per_day = 3 * kSlot;
  CacheOptions options;
  options.directories = {"memory"};
  options.buffer_bytes = 2 * kSlot;
  backend_ = MakeCacheBackend(MemoryTier(index_options, clock_), options,
                              storage::OpenBackend("mem:").value());
  for (int pass = 0; pass < 2; ++pass) {
    for (int i = 0; i < 10; ++i) {
      const std::string name = "object" + std::to_string(i);
      if (pass == 0) {
        Put(name, kSlot, 1);
      }
      Read(name, 0, kSlot, Content(name, kSlot, 1));
      if (i < 3) {
        WaitForFills(static_cast<std::uint64_t>(i) + 1);
      }
    }
  }
  EXPECT_EQ(index().Count().valid, 3U);
  EXPECT_EQ(counters().device_written_bytes.load(), 3 * kSlot);
  EXPECT_GE(counters().over_budget.load(), 7U);
}

TEST_F(CacheBackendTest, TheLastOfSeveralEpochsKeepsNothing) {
  struct Case {
    Fill fill;
    std::uint32_t epoch;
    std::uint32_t epochs;
    bool kept;
  };
  for (const Case& one :
       {Case{Fill::kOn, 1, 2, true}, Case{Fill::kOn, 2, 2, false},
        Case{Fill::kOn, 1, 1, true}, Case{Fill::kAlways, 2, 2, true},
        Case{Fill::kOff, 1, 2, false}}) {
    CacheOptions options;
    options.fill = one.fill;
    Open(8, options);
    Put("object", 1000, 1);
    backend_->NoteEpoch(one.epoch, one.epochs);
    Read("object", 0, 1000, Content("object", 1000, 1));
    if (one.kept) {
      WaitForFills(1);
    }
    EXPECT_EQ(counters().bypasses.load(), one.kept ? 0U : 1U)
        << one.epoch << " of " << one.epochs;
  }
}

// The answer may be taken before the fetcher has woken its receiver.
TEST_F(CacheBackendTest, AQueueMayEndAsSoonAsItHasItsAnswer) {
  Open(400);
  for (std::uint64_t i = 0; i < 300; ++i) {
    const std::string name = "object" + std::to_string(i);
    Put(name, 100, 1);
    Read(name, 0, 100, Content(name, 100, 1));
    queue_.reset();
  }
}

TEST_F(CacheBackendTest, AMissingObjectIsTheStoresError) {
  Open(2);
  const auto read = storage::ReadObject(*backend_, "nothing", clock_);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.status().code(), core::Code::kNotFound);
}

}  // namespace
}  // namespace stoker::cache
