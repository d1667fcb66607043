#include "formats/payload_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/crc.h"
#include "tests/formats/format_harness.h"

namespace stoker::formats {
namespace {

using ::testing::HasSubstr;

std::vector<std::byte> Pattern(std::uint32_t sample, std::size_t bytes) {
  std::vector<std::byte> out(bytes);
  stoker::testing::PatternPayload().Fill(3, sample, 0, out);
  return out;
}

TEST(StreamPayload, WritesEveryByteOnceAndChainsTheChecksum) {
  core::SystemClock clock;
  // Parts of 4096 bytes: 9000 bytes cross two part ends.
  stoker::testing::MemoryWriteStream out(clock, 4096);
  stoker::testing::PatternPayload payload;
  const core::Result<std::uint32_t> crc = StreamPayload(
      {.file = 3, .sample = 1, .bytes = 9000}, payload, core::Crc32, 0, out);
  ASSERT_TRUE(crc.ok());
  ASSERT_TRUE(out.Commit().ok());
  EXPECT_EQ(out.file(), Pattern(1, 9000));
  EXPECT_EQ(crc.value(), core::Crc32(Pattern(1, 9000)));
}

TEST(StreamPayload, WithoutChecksumTakesAnyStretchAndZeros) {
  core::SystemClock clock;
  stoker::testing::MemoryWriteStream out(clock, 4096);
  stoker::testing::PatternPayload payload;
  ASSERT_TRUE(
      StreamPayload({.file = 3, .sample = 1, .bytes = 5000, .begin = 100},
                    payload, out)
          .ok());
  ASSERT_TRUE(StreamZeros(4000, out).ok());
  ASSERT_TRUE(out.Commit().ok());
  std::vector<std::byte> expected = Pattern(1, 5100);
  expected.erase(expected.begin(), expected.begin() + 100);
  expected.resize(9000);
  EXPECT_EQ(out.file(), expected);
}

TEST(PayloadComparer, AcceptsEqualBytesAtAnyOffset) {
  stoker::testing::PatternPayload payload;
  PayloadComparer comparer(&payload);
  // More than one piece of 256 KiB.
  const std::vector<std::byte> all = Pattern(2, 600'000);
  EXPECT_TRUE(comparer
                  .Compare({.file = 3, .sample = 2}, 1234, 0,
                           std::span(all).subspan(1234))
                  .ok());
}

TEST(PayloadComparer, NamesTheFirstDifference) {
  stoker::testing::PatternPayload payload;
  PayloadComparer comparer(&payload);
  std::vector<std::byte> all = Pattern(2, 600'000);
  all[500'000] ^= std::byte{1};
  all[500'001] ^= std::byte{1};
  const core::Status status =
      comparer.Compare({.file = 3, .sample = 2}, 0, 183, all);
  EXPECT_EQ(status.code(), core::Code::kCorruption);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("offset 500000 of the array (file offset 500183)"));
}

TEST(PayloadComparer, WithoutSourceAcceptsAnything) {
  PayloadComparer comparer(nullptr);
  EXPECT_FALSE(comparer.active());
  EXPECT_TRUE(comparer.Compare({}, 0, 0, Pattern(0, 10)).ok());
}

}  // namespace
}  // namespace stoker::formats
