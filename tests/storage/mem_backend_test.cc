#include "storage/mem_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/support.h"

namespace stoker::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Key;

TEST(MemBackend, ANamedPlaceIsSharedAndAnUnnamedOneIsNot) {
  core::SystemClock clock;
  const auto writer = testing::Open("mem:shared-by-two");
  ASSERT_TRUE(WriteObject(*writer, "a", "text", clock).ok());
  EXPECT_THAT(testing::ListAll(*testing::Open("mem:shared-by-two"), ""),
              ElementsAre(Key("a")));
  EXPECT_THAT(testing::ListAll(*testing::Open("mem:another"), ""), IsEmpty());

  const auto alone = testing::Open("mem:");
  ASSERT_TRUE(WriteObject(*alone, "a", "text", clock).ok());
  EXPECT_THAT(testing::ListAll(*testing::Open("mem:"), ""), IsEmpty());
}

TEST(MemBackend, ANamedPlaceOutlivesItsBackends) {
  core::SystemClock clock;
  ASSERT_TRUE(WriteObject(*testing::Open("mem:kept"), "a", "text", clock).ok());
  EXPECT_EQ(ReadObject(*testing::Open("mem:kept"), "a", clock).value(), "text");
}

TEST(MemBackend, SaysThatMemoryServed) {
  core::SystemClock clock;
  const auto backend = testing::Open("mem:");
  ASSERT_TRUE(WriteObject(*backend, "a", "text", clock).ok());
  const auto queue = testing::NewQueue(*backend, clock);
  std::string text;
  const ReadDone done =
      testing::ReadInto(text, *queue, backend->Resolve("a"), 1, 2);
  EXPECT_EQ(done.from_memory, done.bytes);
  EXPECT_EQ(text, "ex");
  EXPECT_FALSE(backend->capabilities().shared);
}

TEST(MemBackend, ALinkKeepsTheContentWhenTheFirstNameIsReplaced) {
  core::SystemClock clock;
  const auto backend = testing::Open("mem:");
  ASSERT_TRUE(WriteObject(*backend, "a", "first", clock).ok());
  ASSERT_TRUE(backend->Link("a", "b").ok());
  ASSERT_TRUE(WriteObject(*backend, "a", "second", clock).ok());
  EXPECT_EQ(ReadObject(*backend, "b", clock).value(), "first");
}

}  // namespace
}  // namespace stoker::storage
