#include "core/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace stoker::core {
namespace {

using ::testing::ElementsAre;

// Made with numpy itself; floats are hexadecimal, so exact.
const nlohmann::json& Numpy() {
  static const nlohmann::json data = nlohmann::json::parse(
      std::ifstream(STOKER_SOURCE_DIR "/tests/data/numpy_legacy.json"));
  return data;
}

std::vector<double> HexFloats(const nlohmann::json& texts) {
  std::vector<double> values;
  for (const auto& text : texts) {
    values.push_back(std::strtod(text.get<std::string>().c_str(), nullptr));
  }
  return values;
}

TEST(NumpyRandom, RawWordsAreNumpys) {
  for (const auto& row : Numpy().at("rng")) {
    NumpyRandom random(row.at("seed").get<std::uint32_t>());
    for (const auto& word : row.at("raw_uint32")) {
      EXPECT_EQ(random.NextUint32(), word.get<std::uint32_t>());
    }
  }
}

TEST(NumpyRandom, UniformsAreNumpysToTheLastBit) {
  for (const auto& row : Numpy().at("rng")) {
    NumpyRandom random(row.at("seed").get<std::uint32_t>());
    for (const double value : HexFloats(row.at("random_sample"))) {
      EXPECT_EQ(random.Uniform(), value);
    }
  }
}

TEST(NumpyRandom, NormalsAreNumpysToTheLastBit) {
  for (const auto& row : Numpy().at("rng")) {
    NumpyRandom standard(row.at("seed").get<std::uint32_t>());
    for (const double value : HexFloats(row.at("standard_normal"))) {
      EXPECT_EQ(standard.Normal(0.0, 1.0), value);
    }
    NumpyRandom scaled(row.at("seed").get<std::uint32_t>());
    for (const double value : HexFloats(row.at("normal_0.323_0.01"))) {
      EXPECT_EQ(scaled.Normal(0.323, 0.01), value);
    }
  }
}

TEST(NumpyRandom, ShufflesAreNumpys) {
  for (const auto& row : Numpy().at("shuffle")) {
    const auto seed = row.at("seed").get<std::uint32_t>();
    for (const auto& epoch : row.at("epochs")) {
      std::vector<int> order(row.at("n").get<std::size_t>());
      std::iota(order.begin(), order.end(), 0);
      NumpyRandom random(seed + epoch.at("epoch").get<std::uint32_t>());
      random.Shuffle(std::span(order));
      EXPECT_EQ(order, epoch.at("order").get<std::vector<int>>());
    }
  }
}

TEST(NumpyRandom, ShuffleOfTenAfterSeed124) {
  std::vector<int> order(10);
  std::iota(order.begin(), order.end(), 0);
  NumpyRandom(124).Shuffle(std::span(order));
  EXPECT_THAT(order, ElementsAre(6, 8, 3, 5, 4, 0, 9, 2, 7, 1));
}

TEST(NumpyRandom, BytesFollowTheDrawsBeforeThem) {
  // numpy: seed(10); normal(size=336); randint(255, size=16, dtype=uint8)
  NumpyRandom random(10);
  for (int i = 0; i < 336; ++i) {
    random.Normal(0.0, 1.0);
  }
  std::vector<std::byte> bytes(16);
  random.FillBelow255(bytes);
  std::vector<int> values;
  for (const std::byte byte : bytes) {
    values.push_back(static_cast<int>(byte));
  }
  EXPECT_THAT(values, ElementsAre(186, 100, 104, 218, 65, 20, 119, 48, 82, 10,
                                  165, 133, 23, 235, 156, 195));
}

TEST(NumpyRandom, EachFillBeginsANewWord) {
  // numpy: seed(10), then randint(255, size=3, dtype=uint8) three times. The
  // fourth byte of each word is lost.
  NumpyRandom random(10);
  std::vector<int> values;
  for (int call = 0; call < 3; ++call) {
    std::vector<std::byte> bytes(3);
    random.FillBelow255(bytes);
    for (const std::byte byte : bytes) {
      values.push_back(static_cast<int>(byte));
    }
  }
  EXPECT_THAT(values, ElementsAre(9, 69, 117, 125, 156, 123, 228, 79, 5));
}

TEST(NumpyRandom, NoByteIs255) {
  std::vector<std::byte> bytes(100'000);
  NumpyRandom(3).FillBelow255(bytes);
  EXPECT_EQ(std::ranges::count(bytes, std::byte{255}), 0);
  // 400 of each value are expected.
  EXPECT_GT(std::ranges::count(bytes, std::byte{254}), 200);
}

TEST(NumpyRandom, IntervalStaysInsideAndReachesItsEnds) {
  NumpyRandom random(1);
  EXPECT_EQ(random.Interval(0), 0U);
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 500; ++i) {
    seen.insert(random.Interval(4));
  }
  EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 4));
}

TEST(Mix64, IsSplitmix64) {
  // The generator's published outputs for seed 1234567.
  EXPECT_EQ(Mix64(1234567 + kGolden64), 6457827717110365317ULL);
  EXPECT_EQ(Mix64(1234567 + 2 * kGolden64), 3203168211198807973ULL);
  EXPECT_EQ(Mix64(1234567 + 3 * kGolden64), 9817491932198370423ULL);
}

TEST(StreamKey, DiffersWithEveryPartAndItsPlace) {
  const std::set<std::uint64_t> keys{StreamKey(1),       StreamKey(2),
                                     StreamKey(1, 0),    StreamKey(1, 0, 0),
                                     StreamKey(1, 0, 1), StreamKey(1, 1),
                                     StreamKey(1, 1, 0)};
  EXPECT_EQ(keys.size(), 7U);
}

TEST(FillCounterStream, WordsAreSplitmix64InOrder) {
  // Word i of stream 1234567 is the generator's i-th output, little-endian.
  std::vector<std::byte> bytes(24);
  FillCounterStream(1234567, 8, bytes);
  std::array<std::uint64_t, 3> words{};
  std::memcpy(words.data(), bytes.data(), bytes.size());
  EXPECT_THAT(words, ElementsAre(6457827717110365317ULL, 3203168211198807973ULL,
                                 9817491932198370423ULL));
}

TEST(FillCounterStream, AnyRangeIsTheSliceOfTheWhole) {
  constexpr std::uint64_t kKey = 0x0123456789ABCDEFULL;
  std::vector<std::byte> whole(12'000);
  FillCounterStream(kKey, 0, whole);
  // `shift` moves the target off the word grid, independently of the offset.
  std::vector<std::byte> target(whole.size() + 16);
  for (std::size_t offset = 0; offset < 20; ++offset) {
    for (std::size_t shift = 0; shift < 9; ++shift) {
      for (const std::size_t size : {0U, 1U, 7U, 8U, 33U, 4097U, 9001U}) {
        std::ranges::fill(target, std::byte{0xEE});
        const auto part = std::span(target).subspan(shift, size);
        FillCounterStream(kKey, offset, part);
        EXPECT_TRUE(
            std::ranges::equal(part, std::span(whole).subspan(offset, size)));
        EXPECT_EQ(target[shift + size], std::byte{0xEE});
      }
    }
  }
}

TEST(FillCounterStream, ReachesFarOffsets) {
  // Word 2^40 of stream 5, by the formula.
  constexpr std::uint64_t kWord = std::uint64_t{1} << 40;
  std::uint64_t expected = Mix64(5 + kGolden64 * kWord);
  std::vector<std::byte> bytes(8);
  FillCounterStream(5, kWord * 8, bytes);
  EXPECT_EQ(std::memcmp(bytes.data(), &expected, 8), 0);
}

TEST(CounterRandom, IsTheCounterStream) {
  CounterRandom random(1234567);
  EXPECT_EQ(random(), Mix64(1234567));
  EXPECT_EQ(random(), 6457827717110365317ULL);
}

TEST(CounterRandom, StaysBelowItsBound) {
  CounterRandom random(9);
  std::vector<int> seen(5);
  for (int i = 0; i < 5000; ++i) {
    ++seen.at(random.Below(5));
    const double value = random.Uniform();
    EXPECT_GE(value, 0.0);
    EXPECT_LT(value, 1.0);
  }
  // 1000 of each are expected; the standard deviation is 28.
  for (const int count : seen) {
    EXPECT_NEAR(count, 1000, 200);
  }
}

TEST(MatchesCounterStream, OnlyWhatWouldBeFilledInMatches) {
  std::vector<std::byte> data(9000);
  for (const std::uint64_t offset : {0ULL, 1ULL, 5ULL, 8ULL, 4096ULL}) {
    for (const std::size_t start : {0U, 1U, 3U}) {
      for (const std::size_t size : {0U, 1U, 7U, 8U, 9U, 100U, 8192U}) {
        const std::span<std::byte> part = std::span(data).subspan(start, size);
        FillCounterStream(77, offset, part);
        EXPECT_TRUE(MatchesCounterStream(77, offset, part));
        for (const std::size_t at : {std::size_t{0}, size / 2, size - 1}) {
          if (at >= size) {
            continue;
          }
          part[at] ^= std::byte{0x80};
          EXPECT_FALSE(MatchesCounterStream(77, offset, part)) << at;
          part[at] ^= std::byte{0x80};
        }
      }
    }
  }
}

}  // namespace
}  // namespace stoker::core
