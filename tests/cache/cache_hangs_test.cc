// A cache whose device does not answer, on a clock of its own.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cache/cache_backend.h"
#include "cache/internal/device_meter.h"
#include "core/aligned_buffer.h"
#include "storage/fault_backend.h"
#include "storage/registry.h"
#include "tests/cache/support.h"
#include "tests/cache/timed_device.h"

namespace stoker::cache {
namespace {

using internal::DeviceMeter;
using storage::BlockOp;
using storage::ReadDone;
using storage::ReadOp;
using testing::MemoryTier;
using testing::Options;
using testing::TimedDevice;

constexpr std::uint64_t kHangSlot = 64U << 10U;
constexpr core::Nanos kMinute = std::chrono::seconds(60);
// The device itself, the store and the fetcher's glances take a little.
constexpr core::Nanos kSlack = std::chrono::milliseconds(200);

class CacheHangs : public ::testing::Test {
 protected:
  CacheHangs() { clock_.Attach(); }
  ~CacheHangs() override {
    queue_.reset();
    backend_.reset();
    clock_.Detach();
  }

  void Open(std::uint32_t slots, CacheOptions options = {},
            std::unique_ptr<storage::Backend> store =
                storage::OpenBackend("mem:").value()) {
    auto device = std::make_unique<TimedDevice>(slots * kHangSlot,
                                                testing::DeviceSpeed{});
    device_ = device.get();
    options.directories = {"memory"};
    options.buffer_bytes = 8 * kHangSlot;
    backend_ =
        MakeCacheBackend(MemoryTier(Options(slots, Policy::kNever, kHangSlot),
                                    clock_, std::move(device)),
                         options, std::move(store));
  }
  // Two directories of so many slots, one behind the other on the device.
  void OpenTwo(std::uint32_t slots, const CacheOptions& options = {},
               std::unique_ptr<storage::Backend> store =
                   storage::OpenBackend("mem:").value()) {
    auto device = std::make_unique<TimedDevice>(2 * slots * kHangSlot,
                                                testing::DeviceSpeed{});
    device_ = device.get();
    backend_ = testing::TwoUnitCache(
        slots, kHangSlot, clock_, std::move(device), options, std::move(store));
  }
  std::uint64_t ValidIn(std::size_t unit) {
    return TierOf(*backend_)->units()[unit].index->Count().valid;
  }
  void OpenQueue(bool gives_up_buffers, std::size_t depth = 128) {
    queue_.reset();
    queue_ =
        backend_
            ->NewReadQueue(
                {.depth = depth, .gives_up_buffers = gives_up_buffers}, clock_)
            .value();
  }
  // An object of `blocks` blocks, in the cache if there is room.
  void Put(std::uint64_t blocks) {
    content_.resize(blocks * kHangSlot);
    core::FillCounterStream(11, 0, std::as_writable_bytes(std::span(content_)));
    ASSERT_TRUE(
        storage::WriteObject(*backend_, "object", content_, clock_).ok());
    object_ = backend_->Resolve("object");
    memory_ = core::AlignedBuffer::Make(content_.size(), false).value();
  }
  void Fill(std::uint64_t blocks) {
    Put(blocks);
    OpenQueue(false);
    ReadAll(kHangSlot);
    SleepFor(std::chrono::seconds(1));
    ASSERT_EQ(counters().fills.load(), blocks);
  }
  void SleepFor(core::Nanos time) { clock_.SleepUntil(clock_.Now() + time); }

  // Objects written to the cache stay dirty.
  static std::unique_ptr<storage::Backend> StoreThatTakesNothing() {
    return storage::NewFaultBackend(
               {{.operation = storage::FaultRule::Operation::kCreate,
                 .count = storage::FaultRule::kAlways,
                 .action =
                     storage::FaultRule::Error{{core::Code::kUnavailable,
                                                "the store takes nothing"}}}},
               storage::OpenBackend("mem:").value())
        .value();
  }

  // Asks for the object in parts of `part` bytes, all at once, into memory_.
  std::vector<ReadOp> SubmitAll(std::uint64_t part) {
    std::memset(memory_.bytes().data(), 0x55, memory_.size());
    std::vector<ReadOp> ops;
    for (std::uint64_t at = 0; at < content_.size(); at += part) {
      ops.push_back({.object = object_,
                     .offset = at,
                     .buffer = memory_.bytes().subspan(
                         at, std::min(part, content_.size() - at)),
                     .tag = at / part});
    }
    done_.assign(ops.size(), {});
    STOKER_CHECK(queue_->Submit(ops).value() == ops.size());
    return ops;
  }
  // The longest of them took what is returned, and every byte is right.
  core::Nanos ReadAll(std::uint64_t part) {
    const std::vector<ReadOp> ops = SubmitAll(part);
    std::size_t count = 0;
    while (count < ops.size()) {
      const auto reaped = queue_->Reap(std::span(done_).subspan(count), 1,
                                       clock_.Now() + 10 * kMinute);
      STOKER_CHECK(reaped.ok() && reaped.value() > 0);
      count += reaped.value();
    }
    core::Nanos longest{};
    for (const ReadDone& done : done_) {
      EXPECT_EQ(done.status.ToString(), "ok");
      EXPECT_EQ(done.bytes, ops[done.tag].buffer.size());
      longest = std::max(longest, done.finished - done.submitted);
      delivered_ += done.bytes;
    }
    EXPECT_TRUE(IsRight());
    return longest;
  }
  void EndWithin(core::Nanos longest) {
    const core::TimePoint from = clock_.Now();
    queue_.reset();
    backend_.reset();
    EXPECT_LE(clock_.Now() - from, longest);
  }
  bool IsRight() const {
    return std::ranges::equal(memory_.bytes(),
                              std::as_bytes(std::span(content_)));
  }
  std::uint64_t FromCache() const {
    std::uint64_t bytes = 0;
    for (const ReadDone& done : done_) {
      bytes += done.from_cache;
    }
    return bytes;
  }
  std::uint64_t Held() const {
    return static_cast<std::uint64_t>(
        std::ranges::count_if(done_, &ReadDone::buffer_held));
  }
  void CheckBalance() {
    EXPECT_EQ(
        counters().hit_bytes + counters().memory_bytes + counters().store_bytes,
        delivered_);
  }
  const CacheCounters& counters() { return *CountersOf(*backend_); }
  Index& index() { return *TierOf(*backend_)->units()[0].index; }

  core::VirtualClock clock_;
  TimedDevice* device_ = nullptr;
  std::unique_ptr<storage::Backend> backend_;
  std::unique_ptr<storage::ReadQueue> queue_;
  storage::ObjectId object_{};
  std::string content_;
  core::AlignedBuffer memory_;
  std::vector<ReadDone> done_;
  std::uint64_t delivered_ = 0;
};

TEST_F(CacheHangs, ReadsThatHangAMinuteComeFromTheStoreAndThenFromTheDevice) {
  Open(8);
  Fill(8);
  OpenQueue(false);
  device_->Hang(BlockOp::Kind::kRead, clock_.Now() + kMinute);
  const core::TimePoint hung = clock_.Now();
  const core::Nanos first = ReadAll(kHangSlot);
  EXPECT_GE(first, DeviceMeter::kShortestPatience);
  EXPECT_LE(first, DeviceMeter::kShortestPatience + kSlack);
  EXPECT_EQ(FromCache(), 0U);
  EXPECT_EQ(Held(), 0U);
  // By granules, of which a block has four.
  EXPECT_EQ(counters().device_hangs.load(), 32U);
  EXPECT_EQ(counters().device_errors.load(), 0U);
  // The device is left alone: nobody waits for it.
  EXPECT_LE(ReadAll(kHangSlot), kSlack);
  EXPECT_EQ(counters().device_hangs.load(), 32U);
  // Tried again while it still hangs: by one read.
  clock_.SleepUntil(hung + std::chrono::seconds(20));
  const std::uint64_t asked = device_->reads();
  EXPECT_LE(ReadAll(kHangSlot), DeviceMeter::kLongestPatience + kSlack);
  EXPECT_EQ(device_->reads(), asked + 1);
  EXPECT_EQ(counters().device_hangs.load(), 33U);
  // It answers: late answers touch no buffer of ours, and it is used again.
  clock_.SleepUntil(hung + kMinute + std::chrono::seconds(20));
  std::memset(memory_.bytes().data(), 0x77, memory_.size());
  std::byte one{};
  const ReadOp op{.object = object_, .buffer = std::span(&one, 1)};
  ASSERT_TRUE(queue_->Submit(std::span(&op, 1)).ok());
  ASSERT_EQ(queue_->Reap(std::span(done_), 1, core::kNever).value(), 1U);
  delivered_ += 1;
  EXPECT_TRUE(std::ranges::all_of(
      memory_.bytes(), [](std::byte b) { return b == std::byte{0x77}; }));
  ReadAll(kHangSlot);
  const std::uint64_t from_store = counters().store_bytes.load();
  ReadAll(kHangSlot);
  EXPECT_EQ(counters().store_bytes.load(), from_store);
  OpenQueue(true);
  ReadAll(kHangSlot);
  EXPECT_EQ(FromCache(), content_.size());
  EXPECT_EQ(counters().device_hangs.load(), 33U);
  EXPECT_EQ(counters().checksum_misses.load(), 0U);
  CheckBalance();
}

TEST_F(CacheHangs, WhoGivesUpBuffersIsToldWhichOfThemAreHeld) {
  Open(8);
  Fill(8);
  OpenQueue(true);
  ReadAll(kHangSlot);
  EXPECT_EQ(FromCache(), content_.size());
  EXPECT_EQ(Held(), 0U);
  device_->Hang(BlockOp::Kind::kRead, clock_.Now() + kMinute);
  EXPECT_LE(ReadAll(kHangSlot), DeviceMeter::kShortestPatience + kSlack);
  EXPECT_EQ(Held(), 8U);
  // Past the device nothing is held.
  const core::AlignedBuffer held = std::move(memory_);
  memory_ = core::AlignedBuffer::Make(content_.size(), false).value();
  ReadAll(kHangSlot);
  EXPECT_EQ(Held(), 0U);
  // What the device writes late is what was there.
  SleepFor(2 * kMinute);
  ReadAll(kHangSlot);
  EXPECT_TRUE(
      std::ranges::equal(held.bytes(), std::as_bytes(std::span(content_))));
  EXPECT_EQ(device_->ScribbleOverUnanswered(), 0U);
  CheckBalance();
}

TEST_F(CacheHangs, ADeviceThatNeverAnswersAgainLosesNoReadAndHoldsUpNoEnd) {
  for (const bool gives_up : {false, true}) {
    for (const std::uint64_t part : {kHangSlot, std::uint64_t{5000}}) {
      Open(96);
      Fill(96);
      OpenQueue(gives_up, 1500);
      device_->Hang(BlockOp::Kind::kRead, core::kNever);
      // Again and again, until the device takes no more.
      for (int i = 0; i < 6; ++i) {
        EXPECT_LE(ReadAll(part), 3 * (DeviceMeter::kLongestPatience + kSlack));
        SleepFor(std::chrono::seconds(11));
      }
      EXPECT_GE(counters().device_hangs.load(), 32U);
      CheckBalance();
      delivered_ = 0;
      // With a read under way.
      const ReadOp op{.object = object_, .buffer = memory_.bytes().first(9)};
      ASSERT_TRUE(queue_->Submit(std::span(&op, 1)).ok());
      const core::TimePoint end = clock_.Now();
      queue_.reset();
      backend_.reset();
      EXPECT_LE(clock_.Now() - end, DeviceMeter::kLongestPatience + kSlack);
      // Whatever it still writes to is nobody else's.
      if (!gives_up) {
        const std::string before(
            reinterpret_cast<const char*>(memory_.bytes().data()),
            memory_.size());
        EXPECT_GT(device_->ScribbleOverUnanswered(), 0U);
        EXPECT_EQ(
            std::memcmp(before.data(), memory_.bytes().data(), memory_.size()),
            0);
      }
    }
  }
}

TEST_F(CacheHangs, ADeviceThatNeverAnswersReadsLeavesTheOtherInUse) {
  constexpr std::uint32_t kEach = 96;
  OpenTwo(kEach);
  Fill(kEach);
  const std::uint64_t good = ValidIn(0);
  ASSERT_GT(good, 0U);
  ASSERT_LT(good, kEach);
  OpenQueue(true, 1500);
  device_->Hang(BlockOp::Kind::kRead, core::kNever, kEach * kHangSlot);
  for (int i = 0; i < 6; ++i) {
    EXPECT_LE(ReadAll(kHangSlot), 3 * (DeviceMeter::kLongestPatience + kSlack));
    SleepFor(std::chrono::seconds(11));
    EXPECT_EQ(FromCache(), good * kHangSlot) << i;
  }
  EXPECT_GE(counters().device_hangs.load(), 32U);
  CheckBalance();
  queue_.reset();
}

TEST_F(CacheHangs, ADeviceThatNeverAnswersWritesLeavesTheOtherFilled) {
  constexpr std::uint32_t kEach = 96;
  OpenTwo(kEach);
  Put(kEach);
  OpenQueue(true, 1500);
  device_->Hang(BlockOp::Kind::kWrite, core::kNever, kEach * kHangSlot);
  for (int i = 0; i < 30; ++i) {
    ReadAll(kHangSlot);
    SleepFor(std::chrono::seconds(30));
  }
  EXPECT_EQ(ValidIn(1), 0U);
  const std::uint64_t good = ValidIn(0);
  EXPECT_GT(good, kEach / 4);
  EXPECT_GT(counters().device_hangs.load(), 1U);
  // All that belongs there: nothing more comes.
  const std::uint64_t fills = counters().fills.load();
  ReadAll(kHangSlot);
  SleepFor(std::chrono::seconds(1));
  EXPECT_EQ(counters().fills.load(), fills);
  EXPECT_EQ(FromCache(), good * kHangSlot);
  CheckBalance();
}

TEST_F(CacheHangs, ABlockThatOnlyTheDeviceHasIsWaitedFor) {
  CacheOptions options;
  options.write = Write::kBack;
  Open(64, options, StoreThatTakesNothing());
  Put(4);
  OpenQueue(true);
  constexpr core::Nanos kHang = 3 * DeviceMeter::kShortestPatience;
  device_->Hang(BlockOp::Kind::kRead, clock_.Now() + kHang);
  const core::Nanos longest = ReadAll(kHangSlot);
  EXPECT_GE(longest, kHang);
  EXPECT_LE(longest, kHang + kSlack);
  EXPECT_EQ(FromCache(), content_.size());
  EXPECT_EQ(Held(), 0U);
  EXPECT_EQ(counters().device_hangs.load(), 4U);
  CheckBalance();
}

TEST_F(CacheHangs, WhatOnlyAHungDirectoryHasHoldsUpNoOtherRead) {
  constexpr std::uint32_t kEach = 96;
  constexpr std::uint64_t kDirtyBlocks = 80;
  constexpr std::uint64_t kParts = 4;  // a block
  CacheOptions options;
  options.write = Write::kBack;
  OpenTwo(kEach, options, StoreThatTakesNothing());
  Put(kDirtyBlocks);
  OpenQueue(true, 1500);
  const std::uint64_t good =
      kParts * TierOf(*backend_)->units()[0].index->Count().dirty;
  // A queue never has so many reads at a device.
  ASSERT_GT(kParts * kDirtyBlocks - good, 64U);
  SleepFor(Index::kSweepEvery + std::chrono::seconds(1));
  const core::TimePoint until = clock_.Now() + kMinute;
  device_->Hang(BlockOp::Kind::kRead, until, kEach * kHangSlot);
  const std::size_t all = SubmitAll(kHangSlot / kParts).size();
  std::size_t count = 0;
  while (count < all) {
    const auto reaped = queue_->Reap(std::span(done_).subspan(count), 1,
                                     clock_.Now() + 10 * kMinute);
    ASSERT_TRUE(reaped.ok());
    ASSERT_GT(reaped.value(), 0U);
    EXPECT_EQ(count + reaped.value() > good, clock_.Now() >= until);
    count += reaped.value();
  }
  EXPECT_TRUE(IsRight());
  EXPECT_EQ(FromCache(), content_.size());
}

TEST_F(CacheHangs, AnUploadThatIsNeverAnsweredHoldsUpNoEnd) {
  CacheOptions options;
  options.write = Write::kBack;
  Open(64, options);
  device_->Hang(BlockOp::Kind::kRead, core::kNever);
  Put(4);
  SleepFor(std::chrono::seconds(1));
  ASSERT_GT(device_->ScribbleOverUnanswered(), 0U);
  EndWithin(std::chrono::seconds(10));
  EXPECT_GT(device_->ScribbleOverUnanswered(), 0U);
}

TEST_F(CacheHangs, AProofThatIsNeverAnsweredHoldsUpNoEnd) {
  CacheOptions options;
  options.write = Write::kBack;
  Open(64, options, StoreThatTakesNothing());
  Put(4);
  device_->Hang(BlockOp::Kind::kRead, core::kNever);
  SleepFor(Index::kSweepEvery + std::chrono::seconds(1));
  ASSERT_GT(device_->ScribbleOverUnanswered(), 0U);
  EndWithin(std::chrono::seconds(40));
  EXPECT_GT(device_->ScribbleOverUnanswered(), 0U);
}

TEST_F(CacheHangs, SavesThatAreNeverAnsweredFailAndHoldUpNoEnd) {
  CacheOptions options;
  options.write = Write::kBack;
  for (const bool first : {true, false}) {
    Open(64, options, StoreThatTakesNothing());
    if (!first) {  // there is a table
      Put(4);
    }
    device_->Hang(BlockOp::Kind::kWrite, core::kNever);
    const core::Status written = storage::WriteObject(
        *backend_, "other", std::string(4 * kHangSlot, 'x'), clock_);
    EXPECT_EQ(written.code(), core::Code::kTimedOut) << written.ToString();
    EXPECT_EQ(index().Count().quarantined, first ? 1U : 4U);
    EndWithin(std::chrono::seconds(10));
  }
}

TEST_F(CacheHangs, FillsThatHangLeaveTheirSlotsAtRestAndNobodyWaits) {
  Open(8);
  Put(4);
  OpenQueue(false);
  device_->Hang(BlockOp::Kind::kWrite, clock_.Now() + kMinute);
  EXPECT_LE(ReadAll(kHangSlot), kSlack);
  SleepFor(std::chrono::seconds(6));
  EXPECT_EQ(counters().device_hangs.load(), 4U);
  EXPECT_EQ(index().Count().quarantined, 4U);
  EXPECT_EQ(index().Count().valid, 0U);
  // For ten seconds nothing is put in.
  EXPECT_LE(ReadAll(kHangSlot), kSlack);
  EXPECT_EQ(index().Count().filling, 0U);
  EXPECT_EQ(FromCache(), 0U);
  // No sweep frees a slot that may still be written to.
  SleepFor(std::chrono::seconds(30));
  ReadAll(kHangSlot);
  EXPECT_GE(index().Count().quarantined, 4U);
  // The answers come, and what was at rest is free.
  SleepFor(kMinute);
  ReadAll(kHangSlot);
  SleepFor(std::chrono::seconds(2));
  EXPECT_EQ(index().Count().quarantined, 0U);
  // One was put in to see whether the device answers; now all are.
  EXPECT_EQ(index().Count().valid, 1U);
  ReadAll(kHangSlot);
  SleepFor(std::chrono::seconds(2));
  OpenQueue(true);
  ReadAll(kHangSlot);
  EXPECT_EQ(FromCache(), content_.size());
  EXPECT_EQ(index().Count().valid, 4U);
  EXPECT_EQ(counters().checksum_misses.load(), 0U);
  CheckBalance();
}

TEST_F(CacheHangs, HitsGoOnWhileFillsHangForEver) {
  Open(64);
  Fill(4);
  const storage::ObjectId first = object_;
  const std::string kept = content_;
  device_->Hang(BlockOp::Kind::kWrite, core::kNever);
  content_.resize(32 * kHangSlot);
  core::FillCounterStream(12, 0, std::as_writable_bytes(std::span(content_)));
  ASSERT_TRUE(storage::WriteObject(*backend_, "more", content_, clock_).ok());
  object_ = backend_->Resolve("more");
  memory_ = core::AlignedBuffer::Make(content_.size(), false).value();
  // More blocks than there are buffers.
  for (int i = 0; i < 20; ++i) {
    EXPECT_LE(ReadAll(kHangSlot), std::chrono::seconds(21) + kSlack);
    SleepFor(std::chrono::seconds(11));
  }
  // As many writes as the device takes at once, and no more.
  EXPECT_EQ(counters().device_hangs.load(), 8U);
  EXPECT_EQ(index().Count().quarantined, 8U);
  object_ = first;
  content_ = kept;
  memory_ = core::AlignedBuffer::Make(content_.size(), false).value();
  EXPECT_LE(ReadAll(kHangSlot), kSlack);
  EXPECT_EQ(FromCache(), content_.size());
  CheckBalance();
  const core::TimePoint end = clock_.Now();
  queue_.reset();
  backend_.reset();
  EXPECT_LE(clock_.Now() - end, std::chrono::seconds(20) + kSlack);
}

}  // namespace
}  // namespace stoker::cache
