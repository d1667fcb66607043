#include "storage/null_backend.h"

#include <gtest/gtest.h>

#include "tests/storage/support.h"

namespace stoker::storage {
namespace {

TEST(NullBackend, AnswersInFullAndLeavesTheBufferAlone) {
  core::SystemClock clock;
  const auto backend = testing::Open("null:");
  const auto queue = testing::NewQueue(*backend, clock);
  EXPECT_FALSE(queue->limits().real_data);
  std::string text;
  const ReadDone done = testing::ReadInto(
      text, *queue, backend->Resolve("anything"), 1ULL << 40, 5);
  EXPECT_TRUE(done.status.ok());
  EXPECT_EQ(done.bytes, 5U);
  EXPECT_EQ(text, "?????");
}

TEST(NullBackend, AnswersTakeNoTimeHoweverLateTheyAreReaped) {
  core::VirtualClock clock;
  const auto backend = testing::Open("null:");
  const auto queue = testing::NewQueue(*backend, clock);
  const std::array ops{ReadOp{.tag = 1}, ReadOp{.tag = 2}};
  ASSERT_EQ(queue->Submit(ops).value(), 2U);
  clock.SleepUntil(clock.Now() + std::chrono::seconds(1));
  std::array<ReadDone, 2> done;
  ASSERT_EQ(queue->Reap(done, 2, core::kNever).value(), 2U);
  EXPECT_EQ(done[0].tag, 1U);
  EXPECT_EQ(done[1].tag, 2U);
  EXPECT_EQ(done[1].finished, done[1].submitted);
  EXPECT_EQ(queue->counters().latency_max, core::Nanos{0});
}

TEST(NullBackend, HasNoPageCacheToGoPast) {
  core::SystemClock clock;
  const auto backend = testing::Open("null:");
  for (const Access access : {Access::kDirect, Access::kMapped}) {
    const auto queue = testing::NewQueue(*backend, clock, 4, access);
    EXPECT_EQ(queue->limits().offset_align, 1U);
  }
}

TEST(NullBackend, ObjectsHaveIdsOfTheirOwn) {
  const auto backend = testing::Open("null:");
  const ObjectId a = backend->Resolve("a");
  EXPECT_NE(a, backend->Resolve("b"));
  backend->Release(a);
  EXPECT_EQ(backend->Resolve("c"), a);
}

TEST(NullBackend, SwallowsWhatIsWritten) {
  core::SystemClock clock;
  const auto backend = testing::Open("null:");
  ASSERT_TRUE(WriteObject(*backend, "a", "text", clock).ok());
  EXPECT_TRUE(testing::ListAll(*backend, "").empty());
  EXPECT_FALSE(backend->capabilities().stores_data);
}

}  // namespace
}  // namespace stoker::storage
