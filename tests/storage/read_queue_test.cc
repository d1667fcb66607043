#include "storage/read_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "tests/storage/support.h"

namespace stoker::storage {
namespace {

using ::testing::ElementsAre;

// Finishes what it is told to, in the order it is told.
class ScriptedQueue final : public ReadQueue {
 public:
  ScriptedQueue(const ReadLimits& limits, core::Clock& clock)
      : ReadQueue(limits, clock) {}
  void Wake() override {}

  std::vector<ReadOp> submitted;
  std::deque<ReadDone> ready;
  std::size_t takes = SIZE_MAX;
  core::Status fails;
  std::size_t last_at_least = 0;

 private:
  core::Result<std::size_t> DoSubmit(std::span<const ReadOp> ops) override {
    STOKER_TRY(fails);
    const std::size_t count = std::min(takes, ops.size());
    submitted.insert(submitted.end(), ops.begin(),
                     ops.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }
  core::Result<std::size_t> DoReap(std::span<ReadDone> done,
                                   std::size_t at_least,
                                   core::TimePoint /*deadline*/) override {
    STOKER_TRY(fails);
    last_at_least = at_least;
    std::size_t count = 0;
    while (count < done.size() && !ready.empty()) {
      done[count++] = std::exchange(ready.front(), {});
      ready.pop_front();
    }
    return count;
  }
};

struct Seen {
  ObjectId object;
  std::uint64_t offset, wanted, tag;
  bool operator==(const Seen&) const = default;
};

class Recorder final : public ReadObserver {
 public:
  void OnRead(ObjectId object, std::uint64_t op_offset, std::uint64_t wanted,
              const ReadDone& done) override {
    seen.push_back({object, op_offset, wanted, done.tag});
  }
  std::vector<Seen> seen;
};

class ReadQueueTest : public ::testing::Test {
 protected:
  ReadOp Op(std::uint64_t tag, std::uint64_t offset = 0,
            std::size_t size = 10) {
    return {.object = ObjectId{7},
            .offset = offset,
            .buffer = std::span(memory_).first(size),
            .tag = tag};
  }

  core::VirtualClock clock_;
  ScriptedQueue queue_{{.capacity = 3}, clock_};
  alignas(64) std::array<std::byte, 64> memory_{};
  std::array<ReadDone, 8> done_;
};

TEST_F(ReadQueueTest, GivesTheImplementationSlotNumbersAndTheCallerItsTags) {
  const std::array ops{Op(1000), Op(1001)};
  ASSERT_EQ(queue_.Submit(ops).value(), 2U);
  for (const ReadOp& op : queue_.submitted) {
    EXPECT_LT(op.tag, 3U);
  }
  EXPECT_NE(queue_.submitted[0].tag, queue_.submitted[1].tag);

  queue_.ready.push_back({.tag = queue_.submitted[1].tag, .bytes = 10});
  queue_.ready.push_back({.tag = queue_.submitted[0].tag, .bytes = 4});
  ASSERT_EQ(queue_.Reap(done_, 2, core::kNever).value(), 2U);
  EXPECT_EQ(done_[0].tag, 1001U);
  EXPECT_EQ(done_[1].tag, 1000U);
  EXPECT_EQ(queue_.in_flight(), 0U);
}

TEST_F(ReadQueueTest, TakesOnlyWhatFits) {
  const std::array ops{Op(0), Op(1), Op(2), Op(3), Op(4)};
  EXPECT_EQ(queue_.Submit(ops).value(), 3U);
  EXPECT_EQ(queue_.Submit(ops).value(), 0U);
  EXPECT_EQ(queue_.in_flight(), 3U);
}

TEST_F(ReadQueueTest, GetsBackTheSlotsTheImplementationDidNotTake) {
  queue_.takes = 1;
  const std::array ops{Op(0), Op(1), Op(2)};
  EXPECT_EQ(queue_.Submit(ops).value(), 1U);
  EXPECT_EQ(queue_.in_flight(), 1U);
  queue_.takes = SIZE_MAX;
  EXPECT_EQ(queue_.Submit(ops).value(), 2U);
}

TEST_F(ReadQueueTest, AFailedSubmitLeavesNothingInFlight) {
  queue_.fails = core::Status(core::Code::kIoError, "broken");
  const std::array ops{Op(0)};
  EXPECT_EQ(queue_.Submit(ops).status().code(), core::Code::kIoError);
  EXPECT_EQ(queue_.in_flight(), 0U);
}

TEST_F(ReadQueueTest, RefusesAnUnalignedOffsetAndTakesNone) {
  ScriptedQueue direct({.offset_align = 16, .capacity = 3}, clock_);
  const std::array ops{Op(0, 32, 16), Op(1, 33, 16)};
  const auto taken = direct.Submit(ops);
  ASSERT_EQ(taken.status().code(), core::Code::kInvalidArgument);
  EXPECT_EQ(taken.status().message(),
            "submit a read: offset 33 is not a multiple of 16");
  EXPECT_TRUE(direct.submitted.empty());
}

TEST_F(ReadQueueTest, RefusesAnUnalignedLength) {
  ScriptedQueue direct({.offset_align = 16, .capacity = 3}, clock_);
  const std::array ops{Op(0, 32, 20)};
  EXPECT_EQ(direct.Submit(ops).status().message(),
            "submit a read at offset 32: the length 20 is not a multiple of "
            "16");
}

TEST_F(ReadQueueTest, RefusesAnUnalignedBufferButNotOnASizeQuery) {
  ScriptedQueue direct({.buffer_align = 64, .capacity = 3}, clock_);
  ReadOp op = Op(0);
  op.buffer = op.buffer.subspan(1);
  EXPECT_EQ(direct.Submit(std::span(&op, 1)).status().code(),
            core::Code::kInvalidArgument);
  op.kind = ReadOp::Kind::kSize;
  EXPECT_TRUE(direct.Submit(std::span(&op, 1)).ok());
}

TEST_F(ReadQueueTest, CapsTheWaitAtWhatCanCome) {
  const std::array ops{Op(0), Op(1)};
  ASSERT_TRUE(queue_.Submit(ops).ok());
  ASSERT_TRUE(queue_.Reap(done_, 100, core::kNever).ok());
  EXPECT_EQ(queue_.last_at_least, 2U);
  ASSERT_TRUE(queue_.Reap(std::span(done_).first(1), 100, core::kNever).ok());
  EXPECT_EQ(queue_.last_at_least, 1U);
}

TEST_F(ReadQueueTest, AnEmptyQueueReapsNothingAtOnce) {
  EXPECT_EQ(queue_.Reap(done_, 1, core::kNever).value(), 0U);
}

TEST_F(ReadQueueTest, StampsAndCounts) {
  clock_.SleepUntil(core::TimePoint(core::Nanos(5)));
  const std::array ops{Op(0), Op(1),
                       ReadOp{.kind = ReadOp::Kind::kSize, .tag = 2}};
  ASSERT_TRUE(queue_.Submit(ops).ok());
  clock_.SleepUntil(core::TimePoint(core::Nanos(12)));
  queue_.ready.push_back(
      {.tag = queue_.submitted[0].tag, .bytes = 10, .from_cache = 10});
  queue_.ready.push_back({.tag = queue_.submitted[2].tag, .bytes = 999});
  ASSERT_EQ(queue_.Reap(done_, 1, core::kNever).value(), 2U);
  EXPECT_EQ(done_[0].submitted, core::TimePoint(core::Nanos(5)));
  EXPECT_EQ(done_[0].finished, core::TimePoint(core::Nanos(12)));
  EXPECT_EQ(done_[1].kind, ReadOp::Kind::kSize);

  clock_.SleepUntil(core::TimePoint(core::Nanos(25)));
  queue_.ready.push_back({.tag = queue_.submitted[1].tag,
                          .status = {core::Code::kIoError, "no"},
                          .bytes = 3});
  ASSERT_EQ(queue_.Reap(done_, 1, core::kNever).value(), 1U);
  const ReadCounters& counters = queue_.counters();
  EXPECT_EQ(counters.reads, 2U);
  EXPECT_EQ(counters.size_queries, 1U);
  EXPECT_EQ(counters.bytes, 13U);  // 10 + 3, no size answers
  EXPECT_EQ(counters.bytes_from_cache, 10U);
  EXPECT_EQ(counters.errors, 1U);
  EXPECT_EQ(counters.latency_sum.count(), 27);  // 7 + 20
  EXPECT_EQ(counters.latency_max.count(), 20);
}

TEST_F(ReadQueueTest, TellsTheObserverWhatWasAsked) {
  Recorder recorder;
  queue_.set_observer(&recorder);
  const std::array ops{Op(5, 4096, 12), ReadOp{.kind = ReadOp::Kind::kSize,
                                               .object = ObjectId{9},
                                               .offset = 77,
                                               .tag = 6}};
  ASSERT_TRUE(queue_.Submit(ops).ok());
  queue_.ready.push_back({.tag = queue_.submitted[0].tag, .bytes = 2});
  queue_.ready.push_back({.tag = queue_.submitted[1].tag, .bytes = 2});
  ASSERT_TRUE(queue_.Reap(done_, 2, core::kNever).ok());
  EXPECT_THAT(recorder.seen, ElementsAre(Seen{ObjectId{7}, 4096, 12, 5},
                                         Seen{ObjectId{9}, 0, 0, 6}));

  queue_.set_observer(nullptr);
  ASSERT_TRUE(queue_.Submit(std::span(ops).first(1)).ok());
  queue_.ready.push_back({.tag = queue_.submitted[2].tag});
  ASSERT_TRUE(queue_.Reap(done_, 1, core::kNever).ok());
  EXPECT_EQ(recorder.seen.size(), 2U);
}

TEST_F(ReadQueueTest, LatenciesByKindAndSizeClassOfOpsWithoutError) {
  std::array<std::byte, 4097> buffer{};
  const std::array ops{
      ReadOp{.buffer = std::span(buffer).first(4096), .tag = 0},
      ReadOp{.buffer = buffer, .tag = 1},
      ReadOp{.kind = ReadOp::Kind::kSize, .tag = 2}};
  ASSERT_EQ(queue_.Submit(ops).value(), ops.size());
  clock_.SleepUntil(core::TimePoint(core::Nanos(100)));
  queue_.ready.push_back({.tag = queue_.submitted[0].tag,
                          .first_byte = core::TimePoint(core::Nanos(40))});
  queue_.ready.push_back({.tag = queue_.submitted[1].tag});
  queue_.ready.push_back({.tag = queue_.submitted[2].tag});
  ASSERT_EQ(queue_.Reap(done_, 3, core::kNever).value(), 3U);
  ASSERT_TRUE(queue_.Submit(std::array{Op(3)}).ok());
  queue_.ready.push_back(
      {.tag = queue_.submitted[3].tag, .status = {core::Code::kIoError, "no"}});
  ASSERT_EQ(queue_.Reap(done_, 1, core::kNever).value(), 1U);
  const Latencies latencies = queue_.TakeLatencies();
  std::vector<std::string> seen;
  latencies.ForEach([&seen](LatencyKind kind, SizeClass size,
                            const core::Histogram& histogram) {
    seen.push_back(std::string(NameOf(kind)) + " " + std::string(NameOf(size)) +
                   " " + std::to_string(histogram.count()) + "x" +
                   std::to_string(histogram.largest()));
  });
  EXPECT_THAT(seen,
              ElementsAre("read <= 4 KiB 1x100", "read <= 64 KiB 1x100",
                          "first byte <= 4 KiB 1x40", "size <= 4 KiB 1x100"));
  // They were taken.
  EXPECT_EQ(queue_.TakeLatencies().Find(LatencyKind::kRead, SizeClass::k4KiB),
            nullptr);
}

TEST(Latencies, SizeClassesEndAtTheirNames) {
  EXPECT_EQ(SizeClassOf(0), SizeClass::k4KiB);
  EXPECT_EQ(SizeClassOf(4096), SizeClass::k4KiB);
  EXPECT_EQ(SizeClassOf(4097), SizeClass::k64KiB);
  EXPECT_EQ(SizeClassOf(65536), SizeClass::k64KiB);
  EXPECT_EQ(SizeClassOf(65537), SizeClass::k1MiB);
  EXPECT_EQ(SizeClassOf(1U << 20), SizeClass::k1MiB);
  EXPECT_EQ(SizeClassOf((1U << 20) + 1), SizeClass::k16MiB);
  EXPECT_EQ(SizeClassOf(16U << 20), SizeClass::k16MiB);
  EXPECT_EQ(SizeClassOf((16U << 20) + 1), SizeClass::kLarger);
}

TEST(Latencies, MergingCountsBoth) {
  Latencies one;
  one.Add(LatencyKind::kRead, 1, core::Nanos(10));
  Latencies other;
  other.Add(LatencyKind::kRead, 2, core::Nanos(30));
  other.Add(LatencyKind::kSize, 0, core::Nanos(5));
  one.Merge(other);
  ASSERT_NE(one.Find(LatencyKind::kRead, SizeClass::k4KiB), nullptr);
  EXPECT_EQ(one.Find(LatencyKind::kRead, SizeClass::k4KiB)->count(), 2U);
  EXPECT_EQ(one.Find(LatencyKind::kRead, SizeClass::k4KiB)->largest(), 30);
  ASSERT_NE(one.Find(LatencyKind::kSize, SizeClass::k4KiB), nullptr);
  EXPECT_EQ(one.Find(LatencyKind::kSize, SizeClass::k4KiB)->count(), 1U);
}

}  // namespace
}  // namespace stoker::storage
