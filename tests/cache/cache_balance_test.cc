// What a cache does when its device has more to do than it can: hits that the
// store reads, and blocks that are not kept. On a clock of its own.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cache/cache_backend.h"
#include "cache/internal/device_meter.h"
#include "cache/theory_rates.h"
#include "core/aligned_buffer.h"
#include "storage/fault_backend.h"
#include "storage/registry.h"
#include "tests/cache/support.h"
#include "tests/cache/timed_device.h"

namespace stoker::cache {
namespace {

using internal::DeviceMeter;
using storage::ReadDone;
using storage::ReadOp;
using testing::DeviceSpeed;
using testing::MemoryTier;
using testing::Options;
using testing::TimedDevice;

constexpr std::uint64_t kBlock = 64U << 10U;
constexpr std::size_t kDepth = 32;

core::TimePoint At(double seconds) {
  return core::TimePoint(core::FromSeconds(seconds));
}

// --- the meter alone ---------------------------------------------------------

void Answer(DeviceMeter& meter, int reads, double each_s, double& now) {
  for (int i = 0; i < reads; ++i) {
    meter.BeginRead(kBlock, At(now));
    now += each_s;
    meter.EndRead(kBlock, core::FromSeconds(each_s), true, At(now));
  }
}

TEST(DeviceMeter, WaitsTenTimesWhatNearlyAllReadsTakeOfLate) {
  DeviceMeter meter(0, false);
  double now = 0;
  EXPECT_EQ(meter.patience(), std::chrono::seconds(2));
  Answer(meter, 128, 0.01, now);
  EXPECT_EQ(meter.patience(), std::chrono::seconds(2));
  Answer(meter, 128, 0.3, now);
  EXPECT_EQ(meter.patience(), std::chrono::seconds(3));
  // One in 128 does not count.
  Answer(meter, 127, 0.01, now);
  Answer(meter, 1, 0.9, now);
  EXPECT_EQ(meter.patience(), std::chrono::seconds(2));
  Answer(meter, 128, 3, now);
  EXPECT_EQ(meter.patience(), std::chrono::seconds(5));
}

TEST(DeviceMeter, HoldsFillsBackWhileHitsTakeLongerThanTheGuardAllows) {
  DeviceMeter meter(3, false);
  double now = 0;
  Answer(meter, 64, 0.001, now);
  EXPECT_FALSE(meter.HoldsFillsBack(At(now)));
  Answer(meter, 128, 0.0029, now);
  EXPECT_FALSE(meter.HoldsFillsBack(At(now)));
  Answer(meter, 32, 0.0031, now);
  EXPECT_TRUE(meter.HoldsFillsBack(At(now)));
  // Nobody has read for a second.
  EXPECT_TRUE(meter.HoldsFillsBack(At(now + 0.999)));
  EXPECT_FALSE(meter.HoldsFillsBack(At(now + 1.001)));
  // It is quick again, in 126 of the last 128.
  Answer(meter, 96, 0.001, now);
  EXPECT_TRUE(meter.HoldsFillsBack(At(now)));
  Answer(meter, 32, 0.001, now);
  EXPECT_FALSE(meter.HoldsFillsBack(At(now)));
}

TEST(DeviceMeter, WithoutAGuardNothingIsHeldBack) {
  DeviceMeter meter(0, false);
  double now = 0;
  Answer(meter, 64, 0.001, now);
  Answer(meter, 128, 1, now);
  EXPECT_FALSE(meter.HoldsFillsBack(At(now)));
}

// --- the whole cache ---------------------------------------------------------

class CacheBalance : public ::testing::Test {
 protected:
  CacheBalance() { clock_.Attach(); }
  ~CacheBalance() override {
    Close();
    clock_.Detach();
  }
  void Close() {
    queue_.reset();
    backend_.reset();
  }

  void Open(const DeviceSpeed& speed, std::uint32_t slots, CacheOptions options,
            std::unique_ptr<storage::Backend> store,
            std::uint64_t buffers = 2) {
    Close();
    auto device = std::make_unique<TimedDevice>(slots * kBlock, speed);
    options.directories = {"memory"};
    options.buffer_bytes = buffers * kBlock;
    backend_ =
        MakeCacheBackend(MemoryTier(Options(slots, Policy::kNever, kBlock),
                                    clock_, std::move(device)),
                         options, std::move(store));
    memory_ = core::AlignedBuffer::Make(kDepth * kBlock, false).value();
    queue_ =
        backend_
            ->NewReadQueue({.depth = kDepth, .gives_up_buffers = true}, clock_)
            .value();
    delivered_ = 0;
  }
  static std::unique_ptr<storage::Backend> Model(double bytes_per_s,
                                                 const std::string& more = "") {
    return storage::OpenBackend(
               "model:?bandwidth=" +
               std::to_string(static_cast<std::uint64_t>(bytes_per_s)) + more +
               ",mem:")
        .value();
  }
  storage::ObjectId Put(const std::string& name, std::uint64_t blocks) {
    std::string content(blocks * kBlock, 0);
    core::FillCounterStream(std::hash<std::string>()(name), 0,
                            std::as_writable_bytes(std::span(content)));
    STOKER_CHECK(storage::WriteObject(*backend_, name, content, clock_).ok());
    contents_[name] = std::move(content);
    return backend_->Resolve(name);
  }
  struct Wanted {
    std::string name;
    storage::ObjectId object;
    std::uint64_t block;
  };
  void Submit(const Wanted& wanted, std::uint64_t slot) {
    asked_[slot] = wanted;
    const ReadOp op{.object = wanted.object,
                    .offset = wanted.block * kBlock,
                    .buffer = memory_.bytes().subspan(slot * kBlock, kBlock),
                    .tag = slot};
    STOKER_CHECK(queue_->Submit(std::span(&op, 1)).value() == 1);
  }
  // The slot of a read that has come back, as it should be.
  std::uint64_t Reap() {
    ReadDone done;
    STOKER_CHECK(
        queue_
            ->Reap(std::span(&done, 1), 1, clock_.Now() + core::FromSeconds(60))
            .value() == 1);
    const Wanted& wanted = asked_[done.tag];
    EXPECT_EQ(done.status.ToString(), "ok");
    EXPECT_EQ(done.bytes, kBlock);
    const auto want = std::as_bytes(std::span(contents_[wanted.name]))
                          .subspan(wanted.block * kBlock, kBlock);
    EXPECT_EQ(std::memcmp(memory_.bytes().data() + done.tag * kBlock,
                          want.data(), kBlock),
              0);
    delivered_ += done.bytes;
    took_[done.tag] = done.finished - done.submitted;
    return done.tag;
  }
  // Reads the object's blocks in turn, `depth` at once, so many of them;
  // returns bytes per second.
  double Loop(const std::string& name, storage::ObjectId object,
              std::uint64_t blocks, std::uint64_t reads,
              std::size_t depth = kDepth) {
    const core::TimePoint start = clock_.Now();
    std::uint64_t begun = 0;
    while (begun < std::min<std::uint64_t>(depth, reads)) {
      Submit({name, object, begun % blocks}, begun);
      ++begun;
    }
    for (std::uint64_t ended = 0; ended < reads; ++ended) {
      const std::uint64_t slot = Reap();
      if (begun < reads) {
        Submit({name, object, begun++ % blocks}, slot);
      }
    }
    return static_cast<double>(reads * kBlock) /
           core::Seconds(clock_.Now() - start);
  }
  void SleepFor(double seconds) {
    clock_.SleepUntil(clock_.Now() + core::FromSeconds(seconds));
  }
  const CacheCounters& counters() { return *CountersOf(*backend_); }
  void CheckLedger() {
    EXPECT_EQ(
        counters().hit_bytes + counters().memory_bytes + counters().store_bytes,
        delivered_);
  }

  core::VirtualClock clock_;
  std::unique_ptr<storage::Backend> backend_;
  std::unique_ptr<storage::ReadQueue> queue_;
  core::AlignedBuffer memory_;
  std::map<std::string, std::string> contents_;
  std::array<Wanted, kDepth> asked_;
  std::array<core::Nanos, kDepth> took_{};  // of the last read of a slot
  std::uint64_t delivered_ = 0;
};

constexpr std::uint64_t kBlocks = 256;
constexpr double kDevice = 400e6;

CacheOptions Balanced() {
  CacheOptions options;
  options.balance = true;
  return options;
}

TEST_F(CacheBalance, DeviceAndStoreTogetherDeliverWhatBothCan) {
  for (const double store : {40e6, 200e6, 400e6, 1200e6}) {
    Open({.read = kDevice}, kBlocks, Balanced(), Model(store, "&latency=1ms"));
    const storage::ObjectId object = Put("a", kBlocks);
    Loop("a", object, kBlocks, kBlocks);
    SleepFor(1);
    ASSERT_EQ(counters().fills.load(), kBlocks);
    Loop("a", object, kBlocks, 2000);
    const std::uint64_t hits = counters().hit_bytes.load();
    const std::uint64_t balanced = counters().balanced.load();
    const std::uint64_t from_store = counters().store_bytes.load();
    const double rate = Loop("a", object, kBlocks, 4000);
    const BestShare best = BestCacheShare(store, kDevice, 1);
    EXPECT_GE(rate, 0.95 * best.bytes_per_s) << store;
    EXPECT_LE(rate, 1.01 * best.bytes_per_s) << store;
    const double share =
        static_cast<double>(counters().hit_bytes.load() - hits) /
        (4000.0 * kBlock);
    EXPECT_NEAR(share, best.cache_share, 0.04) << store;
    EXPECT_EQ((counters().balanced.load() - balanced) * kBlock,
              counters().store_bytes.load() - from_store);
    CheckLedger();
  }
}

TEST_F(CacheBalance, HitsStayWithADeviceThatKeepsUp) {
  for (const double store : {200e6, 1200e6}) {
    Open({.read = kDevice}, kBlocks, Balanced(), Model(store));
    const storage::ObjectId object = Put("a", kBlocks);
    Loop("a", object, kBlocks, kBlocks);
    SleepFor(1);
    ASSERT_EQ(counters().fills.load(), kBlocks);
    // Four at once, for 0.8 of what the device can.
    const double pause = 4 * kBlock / (0.8 * kDevice);
    const core::TimePoint start = clock_.Now();
    for (int i = 0; i < 500; ++i) {
      Loop("a", object, kBlocks, 4, 4);
      clock_.SleepUntil(start + core::FromSeconds((i + 1) * pause));
    }
    EXPECT_EQ(counters().balanced.load(), 0U) << store;
    CheckLedger();
  }
}

TEST_F(CacheBalance, WithoutBalanceAllHitsAreTheDevices) {
  Open({.read = kDevice}, kBlocks, {}, Model(400e6));
  const storage::ObjectId object = Put("a", kBlocks);
  Loop("a", object, kBlocks, kBlocks);
  SleepFor(1);
  const double rate = Loop("a", object, kBlocks, 2000);
  EXPECT_NEAR(rate / kDevice, 1, 0.02);
  EXPECT_EQ(counters().balanced.load(), 0U);
}

// 64 KiB in 50 ms, while the device has the 32 in 5 ms: but for one a second
// nothing is read there.
TEST_F(CacheBalance, AStoreThatIsSlowerThanTheQueueIsLeftAlone) {
  Open({.read = kDevice}, kBlocks, Balanced(), Model(400e6, "&latency=50ms"));
  const storage::ObjectId object = Put("a", kBlocks);
  Loop("a", object, kBlocks, kBlocks, 1);
  SleepFor(1);
  const core::TimePoint start = clock_.Now();
  const double rate = Loop("a", object, kBlocks, 8000);
  EXPECT_GE(rate, 0.97 * kDevice);
  EXPECT_LE(static_cast<double>(counters().balanced.load()),
            1 + core::Seconds(clock_.Now() - start));
  CheckLedger();
}

TEST_F(CacheBalance, AStoreThatFailsLosesNoHit) {
  Open({.read = kDevice}, kBlocks, Balanced(),
       storage::NewFaultBackend(
           {{.operation = storage::FaultRule::Operation::kRead,
             .first = kBlocks,
             .count = storage::FaultRule::kAlways,
             .action = storage::FaultRule::Error{{core::Code::kIoError,
                                                  "the store is broken"}}}},
           Model(400e6))
           .value());
  const storage::ObjectId object = Put("a", kBlocks);
  Loop("a", object, kBlocks, kBlocks);
  SleepFor(1);
  ASSERT_EQ(counters().fills.load(), kBlocks);
  const double rate = Loop("a", object, kBlocks, 4000);
  EXPECT_GE(rate, 0.95 * kDevice);
  EXPECT_EQ(counters().balanced.load(), 0U);
  EXPECT_EQ(counters().store_bytes.load(), kBlocks * kBlock);
  CheckLedger();
}

// A write takes ten times as long as a read, and both take turns.
constexpr DeviceSpeed kSlowWrites{.read = 1e9, .write = 1e8, .shared = true};

class CacheGuard : public CacheBalance {
 protected:
  // Hits beside misses; how many of those were kept.
  std::uint64_t FillBesideHits(double guard) {
    CacheOptions options;
    options.guard = guard;
    Open(kSlowWrites, 1024, options, storage::OpenBackend("mem:").value(), 16);
    hit_ = Put("hit", 16);
    Loop("hit", hit_, 16, 16);
    SleepFor(1);
    STOKER_CHECK(counters().fills.load() == 16);
    Loop("hit", hit_, 16, 256, 1);  // idle: 65 us each
    miss_ = Put("miss", 512);
    std::uint64_t hits = 0;
    core::Nanos waited{};
    for (std::uint64_t block = 0; block < 512; ++block) {
      Submit({"miss", miss_, block}, 0);
      for (std::uint64_t slot = 1; slot < 3; ++slot) {
        Submit({"hit", hit_, hits++ % 16}, slot);
      }
      for (int i = 0; i < 3; ++i) {
        const std::uint64_t slot = Reap();
        waited += slot == 0 ? core::Nanos{} : took_[slot];
      }
      SleepFor(0.0002);
    }
    mean_hit_s_ = core::Seconds(waited) / static_cast<double>(hits);
    return counters().fills.load() - 16;
  }

  double mean_hit_s_ = 0;
  storage::ObjectId hit_{};
  storage::ObjectId miss_{};
};

TEST_F(CacheGuard, FillsWaitWhileTheySlowHitsAndGoOnLater) {
  EXPECT_GE(FillBesideHits(0), 500U);
  EXPECT_EQ(counters().guarded.load(), 0U);
  CheckLedger();
  const double unguarded_s = mean_hit_s_;
  const std::uint64_t kept = FillBesideHits(3);
  SleepFor(0.5);
  EXPECT_LT(mean_hit_s_, unguarded_s / 2);
  EXPECT_LT(kept, 400U);
  EXPECT_GT(kept, 0U);
  EXPECT_GE(counters().guarded.load(), 100U);
  EXPECT_EQ(counters().fills.load() + counters().guarded.load(), 16U + 512U);
  CheckLedger();
  // Nobody hits: there is nothing to spare.
  SleepFor(2);
  const std::uint64_t before = counters().fills.load();
  Loop("quiet", Put("quiet", 100), 100, 100, 4);
  SleepFor(1);
  EXPECT_EQ(counters().fills.load(), before + 100);
  CheckLedger();
}

}  // namespace
}  // namespace stoker::cache
