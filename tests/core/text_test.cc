#include "core/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace stoker::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Words = std::vector<std::string_view>;

TEST(Nearest, FindsASmallMistake) {
  constexpr std::array<std::string_view, 3> kKeys{"batch_size", "read_threads",
                                                  "prefetch_size"};
  EXPECT_EQ(Nearest("batchsize", kKeys), "batch_size");
  EXPECT_EQ(Nearest("READ_THREAD", kKeys), "read_threads");
}

TEST(Nearest, SaysNothingWhenAllAreFar) {
  // "abcdef" may differ in 6 / 3 = 2 places.
  constexpr std::array<std::string_view, 1> kThreeOff{"abcxyz"};
  constexpr std::array<std::string_view, 1> kTwoOff{"abcdyz"};
  EXPECT_EQ(Nearest("abcdef", kThreeOff), "");
  EXPECT_EQ(Nearest("abcdef", kTwoOff), "abcdyz");
  EXPECT_EQ(Nearest("abcdef", {}), "");
}

TEST(Nearest, AllowsOneMistakeInAShortWord) {
  constexpr std::array<std::string_view, 2> kKeys{"ab", "xyz"};
  EXPECT_EQ(Nearest("a", kKeys), "ab");
}

TEST(Nearest, CountsSwappedNeighboursOnce) {
  // "modle" may differ in max(1, 5 / 3) = 1 place.
  constexpr std::array<std::string_view, 2> kKeys{"model", "loops"};
  EXPECT_EQ(Nearest("modle", kKeys), "model");
}

TEST(Nearest, PrefersTheCloserOne) {
  constexpr std::array<std::string_view, 2> kKeys{"dataset", "datasets"};
  EXPECT_EQ(Nearest("datasetz", kKeys), "dataset");
  EXPECT_EQ(Nearest("datasets", kKeys), "datasets");
}

TEST(Join, PutsTheSeparatorBetween) {
  EXPECT_EQ(Join(Words{"a", "b", "c"}, ", "), "a, b, c");
  EXPECT_EQ(Join(Words{"a"}, ", "), "a");
  EXPECT_EQ(Join(Words{}, ", "), "");
}

TEST(Join, KeepsEmptyParts) {
  EXPECT_EQ(Join(Words{"", "a", ""}, ","), ",a,");
  EXPECT_EQ(Join(Split(",a,,b", ','), ","), ",a,,b");
}

TEST(Split, KeepsEmptyParts) {
  EXPECT_THAT(Split("a.b.c", '.'), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Split(".a.", '.'), ElementsAre("", "a", ""));
  EXPECT_THAT(Split("", '.'), ElementsAre(""));
}

TEST(ParseInt, TakesTheWholeText) {
  EXPECT_EQ(ParseInt("-42").value(), -42);
  EXPECT_EQ(ParseInt("9223372036854775807").value(), INT64_MAX);
  for (const char* text : {"", "4x", " 4", "4.0", "9223372036854775808"}) {
    EXPECT_EQ(ParseInt(text).status().code(), Code::kInvalidArgument) << text;
  }
  EXPECT_THAT(std::string(ParseInt("4x").status().message()), HasSubstr("4x"));
}

TEST(ParseDouble, TakesTheWholeText) {
  EXPECT_DOUBLE_EQ(ParseDouble("0.323").value(), 0.323);
  EXPECT_DOUBLE_EQ(ParseDouble("-1e-3").value(), -0.001);
  for (const char* text : {"", "1.5s", "abc", "1,5"}) {
    EXPECT_EQ(ParseDouble(text).status().code(), Code::kInvalidArgument)
        << text;
  }
}

TEST(ParseBytes, KnowsBinaryAndDecimalUnits) {
  EXPECT_EQ(ParseBytes("64").value(), 64U);
  EXPECT_EQ(ParseBytes("4KiB").value(), 4096U);
  EXPECT_EQ(ParseBytes("1.5 GiB").value(), 1610612736U);
  EXPECT_EQ(ParseBytes("2TiB").value(), 2199023255552U);
  EXPECT_EQ(ParseBytes("100MB").value(), 100000000U);
  EXPECT_EQ(ParseBytes("3kB").value(), 3000U);
}

TEST(ParseBytes, RefusesWhatIsAmbiguousOrNoSize) {
  for (const char* text : {"8M", "8K", "", "MiB", "-1", "nan", "inf", "1e40"}) {
    EXPECT_EQ(ParseBytes(text).status().code(), Code::kInvalidArgument) << text;
  }
  EXPECT_THAT(std::string(ParseBytes("8M").status().message()),
              HasSubstr("MiB"));
}

TEST(ParseSeconds, KnowsItsUnits) {
  EXPECT_DOUBLE_EQ(ParseSeconds("250ns").value(), 250e-9);
  EXPECT_DOUBLE_EQ(ParseSeconds("10us").value(), 10e-6);
  EXPECT_DOUBLE_EQ(ParseSeconds("1.5 ms").value(), 1.5e-3);
  EXPECT_DOUBLE_EQ(ParseSeconds("2s").value(), 2.0);
  EXPECT_DOUBLE_EQ(ParseSeconds("5min").value(), 300.0);
  EXPECT_DOUBLE_EQ(ParseSeconds("1.5 h").value(), 5400.0);
  EXPECT_DOUBLE_EQ(ParseSeconds("0.5").value(), 0.5);
}

TEST(ParseSeconds, RefusesOtherUnits) {
  for (const char* text : {"5m", "1 day", "", "-1s", "s"}) {
    EXPECT_EQ(ParseSeconds(text).status().code(), Code::kInvalidArgument)
        << text;
  }
}

}  // namespace
}  // namespace stoker::core
