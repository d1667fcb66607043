#include "formats/csv_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "formats/synthetic_format.h"
#include "tests/formats/format_harness.h"

namespace stoker::formats {
namespace {

using stoker::testing::Encode;
using stoker::testing::File;
using stoker::testing::PatternPayload;
using stoker::testing::Read;
using stoker::testing::Sample;
using stoker::testing::Trace;
using stoker::testing::Visit;
using ::testing::HasSubstr;
using Style = ReaderOptions::Style;

File FromText(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string ToText(const File& file) {
  return {reinterpret_cast<const char*>(file.data()), file.size()};
}

TEST(DigitsBelow, CountsTheDigitsOfAllSmallerNumbers) {
  std::uint64_t digits = 0;
  for (std::uint64_t count = 0; count < 12'000; ++count) {
    ASSERT_EQ(DigitsBelow(count), digits);
    digits += std::to_string(count).size();
  }
}

TEST(CsvFormat, ValuesAreThreeDigitsOfTheContent) {
  // Byte b is 100 + ⌊155 b / 256⌋: at least 100, at most 254.
  const FileSpec spec{.index = 3, .samples = 2, .rows = 2, .columns = 6};
  PatternPayload payload;
  File content(12);
  payload.Fill(3, 0, 0, content);
  std::string values;
  for (const std::byte byte : content) {
    const int value = 100 + 155 * std::to_integer<int>(byte) / 256;
    ASSERT_LE(value, 254);
    values += "," + std::to_string(value);
  }
  EXPECT_EQ(ToText(Encode(CsvFormat(), spec)),
            ",0,1,2,3,4,5,6,7,8,9,10,11\n0" + values + "\n1" + values + "\n");
}

TEST(CsvFormat, FileBytesOfALargeRecordByHand) {
  // 322,624 columns: labels have 10 + 180 + 2700 + 36,000 + 450,000 +
  // 222,624 · 6 = 1,824,634 digits. 322,624 · 5 + 2 for each of two rows.
  const FileSpec spec{.samples = 2, .rows = 568, .columns = 568};
  EXPECT_EQ(CsvFormat().FileBytes(spec),
            322'624U + 1'824'634 + 1 + 2 * (322'624 * 4 + 2));
}

class CsvReading : public ::testing::TestWithParam<ReaderOptions> {
 protected:
  Trace ReadText(std::string_view text) {
    return Visit(CsvFormat(), GetParam(),
                 {.samples = 2, .rows = 1, .columns = 3}, FromText(text));
  }
};

INSTANTIATE_TEST_SUITE_P(
    Ways, CsvReading,
    ::testing::Values(ReaderOptions{},
                      ReaderOptions{.style = Style::kLarge, .request = 0},
                      ReaderOptions{.style = Style::kLarge, .request = 5},
                      ReaderOptions{.style = Style::kSample, .request = 1}));

TEST_P(CsvReading, AnyDigitsWillDo) {
  EXPECT_EQ(ReadText(",a,b,c\n0,1,22,333\n1,4444,5,\n").status.ToString(),
            "ok");
}

TEST_P(CsvReading, MissingValueNamesTheLine) {
  const Trace trace = ReadText(",0,1,2\n0,1,2,3\n1,2,3\n");
  EXPECT_EQ(trace.status.code(), core::Code::kCorruption);
  EXPECT_THAT(trace.status.ToString(),
              HasSubstr("some_file: line 2 ends at offset 20 after 2 commas, "
                        "expected 3"));
}

TEST_P(CsvReading, MissingAndFurtherLinesAreCorruption) {
  EXPECT_THAT(ReadText(",0,1,2\n0,1,2,3\n").status.ToString(),
              HasSubstr("after 2 lines, expected 3"));
  EXPECT_THAT(ReadText(",0,1,2\n0,1,2,3\n1,2,3,4\n2,1,1,1\n").status.ToString(),
              HasSubstr("after 4 lines, expected 3"));
}

TEST_P(CsvReading, EveryTruncationIsCorruption) {
  const std::string text = ",0,1,2\n0,1,2,3\n1,2,3,4\n";
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(ReadText(text.substr(0, size)).status.code(),
              core::Code::kCorruption)
        << size;
  }
}

TEST(CsvReader, CountsCommasOfLongLinesExactly) {
  // Every byte value stands next to commas, at every alignment.
  for (std::size_t shift = 0; shift < 8; ++shift) {
    std::string line(shift, 'x');
    std::uint32_t commas = 0;
    for (int byte = 0; byte < 256; ++byte) {
      if (byte != '\n' && byte != ',') {
        line += static_cast<char>(byte);
        line += byte % 3 == 0 ? "," : ",,";
        commas += byte % 3 == 0 ? 1 : 2;
      }
    }
    const FileSpec spec{.rows = 1, .columns = commas};
    EXPECT_EQ(Visit(CsvFormat(), {.style = Style::kLarge}, spec,
                    FromText(line + "\n" + line + "\n"))
                  .status.ToString(),
              "ok");
  }
}

TEST(CsvReader, ReferenceReadsAsPandas) {
  // As traced: chunks of 262,144 characters; the one that comes out short is
  // asked for once more, and once again after that.
  std::string text = ",0\n0,";
  text.resize(300'000 - 1, '1');
  text += '\n';
  const Trace trace =
      Visit(CsvFormat(), {}, {.rows = 1, .columns = 1}, FromText(text));
  EXPECT_EQ(trace.status.ToString(), "ok");
  EXPECT_EQ(trace.reads, (std::vector<Read>{{0, 262'144, 262'144},
                                            {262'144, 262'144, 37'856},
                                            {300'000, 224'288, 0},
                                            {300'000, 262'144, 0}}));
}

TEST(SyntheticFormat, FileIsTheIndexInDecimal) {
  EXPECT_EQ(ToText(Encode(SyntheticFormat(), {.index = 1170})), "1170");
  EXPECT_EQ(ToText(Encode(SyntheticFormat(), {.index = 0})), "0");
  EXPECT_EQ(SyntheticFormat().FileBytes({.index = 10}), 2U);
}

TEST(SyntheticFormat, SamplesComeWithoutStorage) {
  const FileSpec spec{.samples = 4, .rows = 10, .columns = 20};
  const Trace trace = Visit(SyntheticFormat(), {}, spec, {}, 3);
  EXPECT_TRUE(trace.reads.empty());
  EXPECT_EQ(trace.size_queries, 0);
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{3, 200}}));
}

}  // namespace
}  // namespace stoker::formats
