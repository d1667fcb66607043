#include "storage/backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/support.h"

namespace stoker::storage {
namespace {

using ::testing::HasSubstr;

TEST(ReadObject, GivesWhatWriteObjectWrote) {
  core::SystemClock clock;
  const auto backend = testing::Open("mem:");
  const std::string text = testing::Letters(10'000);
  ASSERT_TRUE(
      WriteObject(*backend, "a/b", text, clock, {.part_size = 4096}).ok());
  EXPECT_EQ(ReadObject(*backend, "a/b", clock).value(), text);
}

TEST(ReadObject, RefusesMoreThanTheLimitAndTakesExactlyIt) {
  core::SystemClock clock;
  const auto backend = testing::Open("mem:");
  ASSERT_TRUE(WriteObject(*backend, "big", "12345", clock).ok());
  const auto refused = ReadObject(*backend, "big", clock, 4);
  EXPECT_EQ(refused.status().code(), core::Code::kInvalidArgument);
  EXPECT_EQ(refused.status().message(),
            "read big: it has 5 bytes, at most 4 are expected");
  EXPECT_EQ(ReadObject(*backend, "big", clock, 5).value(), "12345");
}

TEST(ReadObject, ReportsAMissingObject) {
  core::SystemClock clock;
  const auto backend = testing::Open("mem:");
  const auto missing = ReadObject(*backend, "none", clock);
  EXPECT_EQ(missing.status().code(), core::Code::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("none"));
}

TEST(ReadObject, GoesOnAfterAShortRead) {
  core::SystemClock clock;
  // The first read stops after 3 bytes; the second one gets the rest.
  const auto backend = testing::Open("fault:?op=read&short=3,mem:");
  ASSERT_TRUE(WriteObject(*backend, "text", "0123456789", clock).ok());
  EXPECT_EQ(ReadObject(*backend, "text", clock).value(), "0123456789");
}

TEST(ReadObject, OfNullStorageIsEmpty) {
  core::SystemClock clock;
  const auto backend = testing::Open("null:");
  ASSERT_TRUE(WriteObject(*backend, "text", "0123456789", clock).ok());
  EXPECT_EQ(ReadObject(*backend, "text", clock).value(), "");
}

}  // namespace
}  // namespace stoker::storage
