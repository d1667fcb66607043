#include "checkpoint/content.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace stoker::checkpoint {
namespace {

using Bytes = std::vector<std::byte>;

Bytes Made(const FileContent& content, std::size_t tensor, std::uint64_t offset,
           std::size_t bytes, DataType type = DataType::kFp16) {
  Bytes made(bytes);
  content.Fill(tensor, type, offset, made);
  return made;
}

TEST(FileContent, AnyRangeIsPartOfTheWhole) {
  const FileContent content({.save_id = 7, .step = 1}, "a.pt");
  const Bytes whole = Made(content, 3, 0, 1000);
  for (const std::size_t offset : {0U, 1U, 7U, 8U, 13U, 512U, 999U}) {
    const Bytes part = Made(content, 3, offset, 1000 - offset);
    EXPECT_TRUE(std::equal(part.begin(), part.end(),
                           whole.begin() + static_cast<std::ptrdiff_t>(offset)))
        << offset;
  }
}

TEST(FileContent, IsDistinctPerSaveStepFileAndTensor) {
  std::set<Bytes> seen;
  for (const std::uint64_t save_id : {1U, 2U}) {
    for (const std::uint64_t step : {1U, 2U}) {
      for (const char* name : {"a.pt", "b.pt"}) {
        for (const std::size_t tensor : {0U, 1U}) {
          seen.insert(
              Made(FileContent({.save_id = save_id, .step = step}, name),
                   tensor, 0, 64));
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), 16U);
}

TEST(FileContent, WithoutRandomEveryElementIsOne) {
  const FileContent content({.random = false}, "a.pt");
  const Bytes doubles = Made(content, 0, 0, 24, DataType::kFp64);
  std::array<double, 3> values{};
  std::memcpy(values.data(), doubles.data(), doubles.size());
  EXPECT_EQ(values, (std::array<double, 3>{1, 1, 1}));
  const Bytes floats = Made(content, 0, 0, 12, DataType::kFp32);
  std::array<float, 3> singles{};
  std::memcpy(singles.data(), floats.data(), floats.size());
  EXPECT_EQ(singles, (std::array<float, 3>{1, 1, 1}));
  // IEEE half 1.0 is 0x3C00, bfloat16 1.0 the upper half of float's 0x3F800000.
  EXPECT_EQ(Made(content, 0, 1, 3, DataType::kFp16),
            (Bytes{std::byte{0x3C}, std::byte{0x00}, std::byte{0x3C}}));
  EXPECT_EQ(Made(content, 0, 2, 2, DataType::kBf16),
            (Bytes{std::byte{0x80}, std::byte{0x3F}}));
  EXPECT_EQ(Made(content, 0, 5, 2, DataType::kInt8),
            (Bytes{std::byte{1}, std::byte{1}}));
}

TEST(FileContent, FirstDifferenceFindsTheVeryByte) {
  for (const bool random : {true, false}) {
    const FileContent content({.save_id = 7, .step = 1, .random = random},
                              "a.pt");
    Bytes data = Made(content, 2, 5, 10000, DataType::kFp32);
    EXPECT_FALSE(
        content.FirstDifference(2, DataType::kFp32, 5, data).has_value());
    for (const std::size_t at : {9999U, 8191U, 4096U, 17U, 2U, 0U}) {
      data[at] ^= std::byte{0x10};
      EXPECT_EQ(content.FirstDifference(2, DataType::kFp32, 5, data), at);
    }
  }
}

}  // namespace
}  // namespace stoker::checkpoint
