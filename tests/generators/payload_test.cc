#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "generators/generate.h"

namespace stoker::generators {
namespace {

std::vector<std::byte> Bytes(std::uint64_t seed, std::uint64_t file,
                             std::uint32_t sample, std::uint64_t offset,
                             std::size_t count) {
  std::vector<std::byte> bytes(count);
  CounterPayload(seed).Fill(file, sample, offset, bytes);
  return bytes;
}

TEST(CounterPayload, FollowsItsDefinition) {
  // Seed 7, file 5, sample 2: the first three words Mix64(key + i · golden),
  // computed with Python's integers.
  constexpr std::array<unsigned char, 24> kExpected = {
      0x06, 0x3f, 0xcc, 0x2a, 0x9e, 0xc0, 0xd6, 0x29, 0xf3, 0x36, 0xbb, 0xe9,
      0x5a, 0xa8, 0x42, 0x17, 0x83, 0x29, 0xb0, 0xf0, 0x9a, 0xa8, 0x28, 0xc7};
  const std::vector<std::byte> bytes = Bytes(7, 5, 2, 0, kExpected.size());
  EXPECT_EQ(std::memcmp(bytes.data(), kExpected.data(), kExpected.size()), 0);
}

TEST(CounterPayload, CanBeMadeAgainFromAnyOffset) {
  const std::vector<std::byte> whole = Bytes(1, 2, 3, 0, 1000);
  for (const std::size_t offset : {1U, 7U, 8U, 333U, 999U}) {
    const std::vector<std::byte> tail =
        Bytes(1, 2, 3, offset, whole.size() - offset);
    EXPECT_TRUE(std::equal(tail.begin(), tail.end(),
                           whole.begin() + static_cast<std::ptrdiff_t>(offset)))
        << offset;
  }
}

TEST(CounterPayload, DiffersForEverySeedFileAndSample) {
  std::set<std::vector<std::byte>> all;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    for (std::uint64_t file = 0; file < 20; ++file) {
      for (std::uint32_t sample = 0; sample < 20; ++sample) {
        all.insert(Bytes(seed, file, sample, 0, 16));
      }
    }
  }
  EXPECT_EQ(all.size(), 3U * 20U * 20U);
}

}  // namespace
}  // namespace stoker::generators
