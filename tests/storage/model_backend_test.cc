#include "storage/model_backend.h"

#include <gtest/gtest.h>

#include "tests/storage/support.h"

namespace stoker::storage {
namespace {

using testing::AtMillis;
using testing::NewQueue;
using testing::Open;

// In virtual time, with this thread taking part.
class ModelBackendTest : public ::testing::Test {
 protected:
  ModelBackendTest() { clock_.Attach(); }
  ~ModelBackendTest() override { clock_.Detach(); }

  ReadOp Read(std::size_t bytes, std::uint64_t tag = 0) {
    return {.object = object_,
            .buffer = std::span(memory_).first(bytes),
            .tag = tag};
  }
  void Use(std::string_view uri, std::size_t depth = 8) {
    backend_ = Open(uri);
    queue_ = NewQueue(*backend_, clock_, depth);
    object_ = backend_->Resolve("a");
  }
  // When each of `count` equal reads submitted together is done, by tag.
  std::vector<core::TimePoint> FinishTimes(std::size_t count,
                                           std::size_t bytes) {
    std::vector<ReadOp> ops;
    for (std::size_t i = 0; i < count; ++i) {
      ops.push_back(Read(bytes, i));
    }
    EXPECT_EQ(queue_->Submit(ops).value(), count);
    std::vector<core::TimePoint> finished(count);
    std::array<ReadDone, 1> done;
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(queue_->Reap(done, 1, core::kNever).value(), 1U);
      finished[done[0].tag] = done[0].finished;
    }
    return finished;
  }

  core::VirtualClock clock_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<ReadQueue> queue_;
  ObjectId object_{};
  std::vector<std::byte> memory_ = std::vector<std::byte>(2'000'000);
};

TEST_F(ModelBackendTest, AReadTakesLatencyAndItsBytesOnOneServersShare) {
  // 1 ms + 1 MB / (400 MB/s / 4) = 1 ms + 10 ms.
  Use("model:?latency=1ms&bandwidth=400MB&servers=4");
  const ReadDone done = testing::RunOne(*queue_, Read(1'000'000));
  EXPECT_EQ(done.finished, AtMillis(11));
  EXPECT_EQ(done.bytes, 1'000'000U);
}

TEST_F(ModelBackendTest, TheFifthOfFiveWaitsForAServer) {
  Use("model:?latency=1ms&bandwidth=400MB&servers=4");
  EXPECT_EQ(FinishTimes(5, 1'000'000),
            (std::vector{AtMillis(11), AtMillis(11), AtMillis(11), AtMillis(11),
                         AtMillis(22)}));
}

TEST_F(ModelBackendTest, OneServerServesInOrder) {
  // 2 ms + 1 MB / 500 MB/s = 4 ms each.
  Use("model:?latency=2ms&bandwidth=500MB&servers=1");
  EXPECT_EQ(FinishTimes(3, 1'000'000),
            (std::vector{AtMillis(4), AtMillis(8), AtMillis(12)}));
}

TEST_F(ModelBackendTest, AnIdleServerStartsWhenTheOpIsSubmitted) {
  Use("model:?latency=3ms");
  EXPECT_EQ(testing::RunOne(*queue_, Read(10)).finished, AtMillis(3));
  clock_.SleepUntil(AtMillis(100));
  EXPECT_EQ(testing::RunOne(*queue_, Read(10)).finished, AtMillis(103));
}

TEST_F(ModelBackendTest, ShortReadsSizesAndErrorsCostWhatTheyDeliver) {
  Use("model:?latency=1ms&bandwidth=1kB&servers=1,mem:model-short");
  ASSERT_TRUE(WriteObject(*Open("mem:model-short"), "a", "12345", clock_).ok());
  // 5 of 100 bytes exist: 1 ms + 5 B / 1000 B/s = 6 ms. A size: 1 ms.
  EXPECT_EQ(testing::RunOne(*queue_, Read(100)).finished, AtMillis(6));
  EXPECT_EQ(
      testing::RunOne(*queue_, {.kind = ReadOp::Kind::kSize, .object = object_})
          .finished,
      AtMillis(7));
  const ReadDone failed =
      testing::RunOne(*queue_, {.object = backend_->Resolve("none"),
                                .buffer = std::span(memory_).first(100)});
  EXPECT_EQ(failed.status.code(), core::Code::kNotFound);
  EXPECT_EQ(failed.finished, AtMillis(8));
}

TEST_F(ModelBackendTest, WithoutOptionsEverythingIsDoneAtOnce) {
  Use("model:");
  EXPECT_EQ(testing::RunOne(*queue_, Read(1'000'000)).finished, AtMillis(0));
  EXPECT_FALSE(queue_->limits().real_data);  // null: is wrapped
}

TEST_F(ModelBackendTest, AReapEndsAtItsDeadline) {
  Use("model:?latency=10ms");
  const ReadOp op = Read(1);
  ASSERT_TRUE(queue_->Submit(std::span(&op, 1)).ok());
  std::array<ReadDone, 1> done;
  EXPECT_EQ(queue_->Reap(done, 1, AtMillis(4)).value(), 0U);
  EXPECT_EQ(clock_.Now(), AtMillis(4));
  EXPECT_EQ(queue_->Reap(done, 1, core::kNever).value(), 1U);
  EXPECT_EQ(clock_.Now(), AtMillis(10));
}

TEST_F(ModelBackendTest, AnotherThreadWakesAReap) {
  Use("model:?latency=10ms");
  const ReadOp op = Read(1);
  ASSERT_TRUE(queue_->Submit(std::span(&op, 1)).ok());
  core::ClockedThread other(clock_, [this] {
    clock_.SleepUntil(AtMillis(4));
    queue_->Wake();
  });
  std::array<ReadDone, 1> done;
  EXPECT_EQ(queue_->Reap(done, 1, core::kNever).value(), 0U);
  EXPECT_EQ(clock_.Now(), AtMillis(4));
  other.Join();
}

TEST_F(ModelBackendTest, QueuesShareTheServers) {
  Use("model:?latency=5ms&servers=1");
  const auto second = NewQueue(*backend_, clock_);
  const ReadOp op = Read(1);
  ASSERT_TRUE(queue_->Submit(std::span(&op, 1)).ok());
  EXPECT_EQ(testing::RunOne(*second, op).finished, AtMillis(10));
  std::array<ReadDone, 1> done;
  EXPECT_EQ(queue_->Reap(done, 1, core::kNever).value(), 1U);
}

TEST_F(ModelBackendTest, OverRealDataTheReadsAreReal) {
  Use("model:?latency=1ms,mem:model-real");
  ASSERT_TRUE(WriteObject(*Open("mem:model-real"), "a", "text", clock_).ok());
  EXPECT_EQ(ReadObject(*backend_, "a", clock_).value(), "text");
  EXPECT_EQ(clock_.Now(), AtMillis(2));  // a size and a read
}

}  // namespace
}  // namespace stoker::storage
