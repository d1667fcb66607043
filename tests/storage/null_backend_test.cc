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
