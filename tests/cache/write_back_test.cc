// Objects that are written to a cache, which brings them to the store.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cache/cache_backend.h"
#include "core/aligned_buffer.h"
#include "storage/registry.h"
#include "storage/wrapper_backend.h"
#include "tests/cache/support.h"

namespace stoker::cache {
namespace {

using testing::MemoryTier;
using testing::Options;

constexpr std::uint64_t kBackSlot = 64U << 10U;

// A store that takes nothing until it is told to, and remembers in which order
// objects appeared.
class Gate final : public storage::WrapperBackend {
 public:
  explicit Gate(std::unique_ptr<storage::Backend> inner)
      : WrapperBackend(std::move(inner)) {}
  std::string_view scheme() const override { return "gate"; }
  std::string uri() const override { return "gate:,mem:"; }
  core::Result<std::unique_ptr<storage::ReadQueue>> NewReadQueue(
      const storage::QueueOptions& options, core::Clock& clock) override {
    return inner().NewReadQueue(options, clock);
  }
  core::Result<std::unique_ptr<storage::WriteStream>> Create(
      std::string_view name, const storage::WriteOptions& options,
      core::Clock& clock) override {
    if (!open || name == std::string_view(held)) {
      return core::Status(core::Code::kUnavailable, "the gate is shut");
    }
    const std::scoped_lock lock(mutex_);
    names.emplace_back(name);
    return inner().Create(name, options, clock);
  }

  std::atomic<bool> open = false;
  std::atomic<const char*> held = "";  // it is shut for this name
  std::vector<std::string> names;

 private:
  std::mutex mutex_;
};

class WriteBack : public ::testing::Test {
 protected:
  void Open(CacheOptions options = {}, std::uint32_t slots = 64,
            Policy policy = Policy::kNever) {
    backend_.reset();
    options.directories = {"memory"};
    options.buffer_bytes = 8 * kBackSlot;
    if (options.write == Write::kAround) {
      options.write = Write::kBack;
    }
    auto device = storage::MakeMemoryDevice(slots * kBackSlot);
    device_ = device.get();
    auto gate = std::make_unique<Gate>(storage::OpenBackend("mem:").value());
    gate_ = gate.get();
    backend_ = MakeCacheBackend(MemoryTier(Options(slots, policy, kBackSlot),
                                           clock_, std::move(device)),
                                options, std::move(gate));
  }
  static std::string Content(std::uint64_t seed, std::uint64_t bytes) {
    std::string content(bytes, 0);
    core::FillCounterStream(seed, 0,
                            std::as_writable_bytes(std::span(content)));
    return content;
  }
  core::Status Put(std::string_view name, const std::string& content,
                   std::vector<std::string> after = {}) {
    return storage::WriteObject(*backend_, name, content, clock_,
                                {.durable = true, .after = std::move(after)});
  }
  std::string Get(std::string_view name) {
    const auto read = storage::ReadObject(*backend_, name, clock_);
    return read.ok() ? read.value() : read.status().ToString();
  }
  std::string InStore(std::string_view name) {
    const auto read = storage::ReadObject(*gate_, name, clock_);
    return read.ok() ? read.value()
                     : std::string(core::CodeName(read.status().code()));
  }
  core::Status Drain() {
    return backend_->Drain({.patience = std::chrono::seconds(30)}, clock_)
        .status();
  }
  // All free slots but so many are others' for a moment.
  void HoldSlots(std::uint32_t but, std::jthread& others) {
    Index& index = *TierOf(*backend_)->units()[0].index;
    std::vector<Claim> claims;
    for (std::uint64_t i = 0; index.Count().free > but; ++i) {
      claims.push_back(index.ClaimDirtySlot({.high = i, .low = i}, kBackSlot));
      ASSERT_EQ(claims.back().outcome, ClaimOutcome::kMine);
    }
    others = std::jthread([this, &index, claims = std::move(claims)] {
      clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(50));
      for (const Claim& claim : claims) {
        index.Abandon(claim);
      }
    });
  }
  SlotCounts Slots() { return TierOf(*backend_)->units()[0].index->Count(); }

  core::SystemClock clock_;
  Gate* gate_ = nullptr;
  storage::BlockDevice* device_ = nullptr;
  std::unique_ptr<storage::Backend> backend_;
};

TEST_F(WriteBack, IsReadAndListedBeforeTheStoreHasIt) {
  Open();
  const std::string content = Content(1, 3 * kBackSlot + 777);
  ASSERT_TRUE(Put("step/file", content).ok());
  EXPECT_EQ(Get("step/file"), content);
  EXPECT_EQ(InStore("step/file"), "not found");
  EXPECT_EQ(storage::ObjectSize(*backend_, "step/file", clock_).value(),
            content.size());
  std::vector<std::string> listed;
  ASSERT_TRUE(backend_
                  ->List("step/",
                         [&](const storage::ObjectInfo& info) {
                           EXPECT_EQ(info.size, content.size());
                           listed.emplace_back(info.name);
                           return true;
                         })
                  .ok());
  EXPECT_EQ(listed, std::vector<std::string>{"step/file"});
  EXPECT_EQ(Slots().dirty, 4U);
}

TEST_F(WriteBack, IsInTheStoreOnceItIsDrainedAndStillReadFromTheDevice) {
  Open();
  gate_->open = true;
  const std::string content = Content(2, 5 * kBackSlot);
  ASSERT_TRUE(Put("object", content).ok());
  ASSERT_TRUE(Drain().ok());
  EXPECT_EQ(InStore("object"), content);
  EXPECT_EQ(Slots().dirty, 0U);
  const std::uint64_t fetched = CountersOf(*backend_)->fetched_bytes.load();
  EXPECT_EQ(Get("object"), content);
  EXPECT_EQ(CountersOf(*backend_)->fetched_bytes.load(), fetched);
  EXPECT_EQ(CountersOf(*backend_)->uploaded_bytes.load(), content.size());
}

TEST_F(WriteBack, AcknowledgedByTheStoreIsInTheStore) {
  CacheOptions options;
  options.ack = Ack::kBacking;
  Open(options);
  gate_->open = true;
  const std::string content = Content(3, 100'000);
  ASSERT_TRUE(Put("object", content).ok());
  EXPECT_EQ(InStore("object"), content);
}

TEST_F(WriteBack, TheLastWritingOfANameIsWhatIsReadAndUploaded) {
  Open();
  const std::string second = Content(5, 2 * kBackSlot);
  ASSERT_TRUE(Put("object", Content(4, 3 * kBackSlot)).ok());
  ASSERT_TRUE(Put("object", second).ok());
  EXPECT_EQ(Get("object"), second);
  // What was replaced takes no room.
  EXPECT_EQ(Slots().dirty, 2U);
  gate_->open = true;
  ASSERT_TRUE(Drain().ok());
  EXPECT_EQ(InStore("object"), second);
  EXPECT_EQ(Get("object"), second);
}

TEST_F(WriteBack, AppearsInTheStoreAfterWhatItMustNotBeSeenWithout) {
  Open();
  ASSERT_TRUE(Put("manifest", Content(6, 500), {"a", "b"}).ok());
  ASSERT_TRUE(Put("a", Content(7, 1000)).ok());
  gate_->open = true;
  // b is another host's, and not yet there.
  const core::TimePoint deadline = clock_.Now() + std::chrono::seconds(30);
  while (InStore("a") == "not found") {
    ASSERT_LT(clock_.Now(), deadline);
    clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(1));
  }
  clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(50));
  EXPECT_EQ(InStore("manifest"), "not found");
  ASSERT_TRUE(storage::WriteObject(*gate_, "b", "b", clock_).ok());
  ASSERT_TRUE(Drain().ok());
  EXPECT_EQ(gate_->names.back(), "manifest");
}

// The label in the store names it, and must not be left alone.
TEST_F(WriteBack, WhatIsWrittenAgainStaysInTheStoreUntilTheNewIsThere) {
  Open();
  gate_->open = true;
  const std::string first = Content(8, 1000);
  ASSERT_TRUE(Put("named", first).ok());
  ASSERT_TRUE(Put("label", "first", {"named"}).ok());
  ASSERT_TRUE(Drain().ok());
  gate_->open = false;
  ASSERT_TRUE(Put("named", Content(9, 1000)).ok());
  ASSERT_TRUE(Put("between", "of others").ok());
  const std::string last = Content(10, 1000);
  ASSERT_TRUE(Put("named", last).ok());
  gate_->held = "named";
  gate_->open = true;
  const core::TimePoint deadline = clock_.Now() + std::chrono::seconds(30);
  while (InStore("between") != "of others") {
    ASSERT_LT(clock_.Now(), deadline);
    clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(1));
  }
  EXPECT_EQ(InStore("label"), "first");
  EXPECT_TRUE(InStore("named") == first);
  gate_->held = "";
  ASSERT_TRUE(Drain().ok());
  EXPECT_TRUE(InStore("named") == last);
}

// 32 of 64 slots may be dirty: the third object of 15 blocks waits until one of
// the first is in the store.
TEST_F(WriteBack, WritersWaitForTheStoreWhereNoMoreMayBeDirty) {
  Open();
  const auto content = [](std::uint64_t seed) {
    return Content(seed, 15 * kBackSlot);
  };
  ASSERT_TRUE(Put("a", content(1)).ok());
  ASSERT_TRUE(Put("b", content(2)).ok());
  std::atomic<bool> done = false;
  std::thread writer([&] {
    EXPECT_TRUE(Put("c", content(3)).ok());
    done = true;
  });
  clock_.SleepUntil(clock_.Now() + std::chrono::milliseconds(50));
  EXPECT_FALSE(done);
  gate_->open = true;
  writer.join();
  EXPECT_LE(Slots().dirty, 32U);
  ASSERT_TRUE(Drain().ok());
  for (std::uint64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(InStore(std::string(1, static_cast<char>('a' + i))),
              content(i + 1));
  }
}

// Reads and fetches of others have all of a small cache at times.
TEST_F(WriteBack, WritersWaitWhereNoSlotIsFreeForTheTable) {
  Open({}, 16);
  gate_->open = true;
  std::jthread others;
  ASSERT_NO_FATAL_FAILURE(HoldSlots(0, others));
  EXPECT_TRUE(Put("object", Content(11, kBackSlot)).ok());
  others.join();
  EXPECT_TRUE(Drain().ok());
}

// A page has 16 units, each of which notes an object.
TEST_F(WriteBack, WritersWaitWhereNoSlotIsFreeForAnotherPage) {
  Open();
  for (int i = 0; i < 16; ++i) {
    ASSERT_TRUE(Put("object" + std::to_string(i), Content(12, 1000)).ok());
  }
  std::jthread others;
  // But for the object's block.
  ASSERT_NO_FATAL_FAILURE(HoldSlots(1, others));
  EXPECT_EQ(Put("last", Content(13, 1000)).ToString(), "ok");
  others.join();
  EXPECT_TRUE(Get("last") == Content(13, 1000));
}

TEST_F(WriteBack, WhatDoesNotFitGoesToTheStoreAtOnce) {
  Open();
  gate_->open = true;
  const std::string content = Content(8, 40 * kBackSlot);
  ASSERT_TRUE(Put("large", content).ok());
  EXPECT_EQ(InStore("large"), content);
  EXPECT_EQ(Slots().dirty, 0U);
  EXPECT_EQ(Get("large"), content);
}

TEST_F(WriteBack, WhatIsDroppedOrRemovedLeavesNothing) {
  Open();
  {
    auto stream =
        backend_->Create("dropped", {.expected_size = 4 * kBackSlot}, clock_)
            .value();
    const std::string content = Content(9, 3 * kBackSlot);
    ASSERT_TRUE(stream->Write(std::as_bytes(std::span(content))).ok());
  }
  EXPECT_EQ(Slots().dirty, 0U);
  ASSERT_TRUE(Put("object", Content(10, 100'000)).ok());
  ASSERT_TRUE(backend_->Remove("object").ok());
  EXPECT_EQ(Slots().dirty, 0U);
  EXPECT_NE(Get("object").find("not found"), std::string::npos);
  gate_->open = true;
  ASSERT_TRUE(Drain().ok());
  EXPECT_TRUE(gate_->names.empty());
}

// Readers fill the cache meanwhile; never-evict keeps those blocks but for
// this.
TEST_F(WriteBack, CleanBlocksGiveWayToWhatMustBeKept) {
  Open();
  gate_->open = true;
  for (int i = 0; i < 64; ++i) {
    const std::string name = "data" + std::to_string(i);
    ASSERT_TRUE(
        storage::WriteObject(*gate_, name, Content(100, kBackSlot), clock_)
            .ok());
    ASSERT_EQ(Get(name), Content(100, kBackSlot));
  }
  const std::string content = Content(11, 20 * kBackSlot);
  ASSERT_TRUE(Put("object", content).ok());
  EXPECT_EQ(Get("object"), content);
  ASSERT_TRUE(Drain().ok());
  EXPECT_EQ(InStore("object"), content);
}

TEST_F(WriteBack, ADamagedBlockIsAnErrorWhileTheStoreDoesNotHaveIt) {
  Open();
  ASSERT_TRUE(Put("object", Content(12, 4 * kBackSlot)).ok());
  auto queue = device_->NewQueue(1, clock_).value();
  auto page = core::AlignedBuffer::Make(4096, true).value();
  for (std::uint64_t slot = 0; slot < 64; ++slot) {
    const storage::BlockOp op{.kind = storage::BlockOp::Kind::kWrite,
                              .offset = slot * kBackSlot + 8192,
                              .buffer = page.bytes()};
    storage::BlockDone done;
    ASSERT_TRUE(queue->Submit(std::span(&op, 1)).ok());
    ASSERT_TRUE(queue->Reap(std::span(&done, 1), 1, core::kNever).ok());
  }
  const auto read = storage::ReadObject(*backend_, "object", clock_);
  EXPECT_EQ(read.status().code(), core::Code::kCorruption);
  // Only its own.
  const std::string other = Content(20, 2 * kBackSlot);
  ASSERT_TRUE(Put("other", other).ok());
  gate_->open = true;
  const auto drained =
      backend_->Drain({.patience = std::chrono::milliseconds(200)}, clock_);
  EXPECT_EQ(drained.status().code(), core::Code::kCorruption);
  EXPECT_EQ(InStore("object"), "not found");
  EXPECT_EQ(InStore("other"), other);
}

TEST_F(WriteBack, AStoreThatFailsIsNamedAndLosesNothing) {
  Open();
  const std::string content = Content(13, 100'000);
  ASSERT_TRUE(Put("object", content).ok());
  const auto drained =
      backend_->Drain({.patience = std::chrono::milliseconds(200)}, clock_);
  EXPECT_EQ(drained.status().code(), core::Code::kUnavailable);
  EXPECT_NE(drained.status().message().find("the gate is shut"),
            std::string::npos)
      << drained.status().ToString();
  EXPECT_EQ(Get("object"), content);
  gate_->open = true;
  ASSERT_TRUE(Drain().ok());
  EXPECT_EQ(InStore("object"), content);
}

TEST_F(WriteBack, PartsOfAnySizeMakeTheSameBytes) {
  Open();
  gate_->open = true;
  const std::string content = Content(14, 10 * kBackSlot + 12'345);
  auto stream =
      backend_
          ->Create("object",
                   {.expected_size = content.size(), .part_size = 12'288},
                   clock_)
          .value();
  std::size_t at = 0;
  for (const std::size_t some : {1UL, 70'000UL, 4096UL, 333'333UL}) {
    ASSERT_TRUE(
        stream->Write(std::as_bytes(std::span(content.data() + at, some)))
            .ok());
    ASSERT_TRUE(stream->Cut().ok());
    at += some;
  }
  std::string rest = content.substr(at);
  ASSERT_TRUE(stream->Write(std::as_bytes(std::span(rest))).ok());
  ASSERT_TRUE(
      stream->Patch(0, std::as_bytes(std::span(content.data(), 100))).ok());
  ASSERT_TRUE(stream->Commit().ok());
  EXPECT_EQ(Get("object"), content);
  ASSERT_TRUE(Drain().ok());
  EXPECT_EQ(InStore("object"), content);
}

TEST_F(WriteBack, ThroughIsInBothWhenItIsDone) {
  CacheOptions options;
  options.write = Write::kThrough;
  Open(options, 64, Policy::kLru);
  gate_->open = true;
  const std::string content = Content(15, 6 * kBackSlot + 5);
  ASSERT_TRUE(Put("object", content).ok());
  EXPECT_EQ(InStore("object"), content);
  EXPECT_EQ(Slots().dirty, 0U);
  EXPECT_EQ(Get("object"), content);
  EXPECT_EQ(CountersOf(*backend_)->fetched_bytes.load(), 0U);
  // Replaced behind the cache's back, it is read as it is now.
  const std::string other = Content(16, 6 * kBackSlot + 5);
  ASSERT_TRUE(storage::WriteObject(*gate_, "object", other, clock_).ok());
  TierOf(*backend_)->units()[0].index->NoteMutation();
  EXPECT_EQ(Get("object"), other);
}

}  // namespace
}  // namespace stoker::cache
