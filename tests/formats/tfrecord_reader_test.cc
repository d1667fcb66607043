#include "formats/tfrecord_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "formats/tfrecord_format.h"
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

Trace BlindTfrecordVisit(const FileSpec& spec, std::uint32_t request) {
  const TfrecordFormat format;
  return Visit(*format.NewReader({.request = request, .blind = true}), spec, 0,
               format.FileBytes(spec),
               [](std::uint64_t, std::span<std::byte>) {});
}

TEST(TfrecordReader, AsksForWholeRequestsUntilTheEndOfTheFile) {
  // cosmoflow: 2,825,825 bytes = 10 · 262,144 + 204,385.
  const Trace trace = BlindTfrecordVisit(
      {.rows = 1681, .columns = 1681, .nominal_edge = 1681}, 262'144);
  ASSERT_EQ(trace.reads.size(), 12U);
  for (std::uint64_t i = 0; i < 10; ++i) {
    EXPECT_EQ(trace.reads[i], (Read{i * 262'144, 262'144, 262'144}));
  }
  EXPECT_EQ(trace.reads[10], (Read{2'621'440, 262'144, 204'385}));
  EXPECT_EQ(trace.reads[11], (Read{2'825'825, 262'144, 0}));
  EXPECT_EQ(trace.size_queries, 0);
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{0, 2'825'761}}));
}

// 63-byte records: 15 bytes of image and 48 around it.
FileSpec SmallSpec() {
  return {.index = 2, .samples = 3, .rows = 3, .columns = 5, .nominal_edge = 4};
}

TEST(TfrecordReader, FileOfWholeRequestsHasNoShortRead) {
  const std::uint64_t record = TfrecordBytes(SmallSpec());
  const Trace trace =
      BlindTfrecordVisit(SmallSpec(), static_cast<std::uint32_t>(record));
  EXPECT_EQ(trace.reads, (std::vector<Read>{{0, record, record},
                                            {record, record, record},
                                            {2 * record, record, record},
                                            {3 * record, record, 0}}));
}

TEST(TfrecordReader, RecordsMaySpanRequestsOfAnySize) {
  const TfrecordFormat format;
  const File file = Encode(format, SmallSpec());
  PatternPayload payload;
  for (std::uint32_t request = 1; request <= file.size() + 1; ++request) {
    const Trace trace = Visit(format, {.request = request, .expect = &payload},
                              SmallSpec(), file);
    ASSERT_EQ(trace.status.ToString(), "ok") << request;
    EXPECT_EQ(trace.samples, (std::vector<Sample>{{0, 15}, {1, 15}, {2, 15}}));
    const Trace blind = BlindTfrecordVisit(SmallSpec(), request);
    EXPECT_EQ(blind.reads, trace.reads);
    EXPECT_EQ(blind.samples, trace.samples);
  }
}

TEST(TfrecordReader, LargeStyleWithoutARequestSizeIsOneReadOfTheFile) {
  const TfrecordFormat format;
  const File file = Encode(format, SmallSpec());
  const Trace trace =
      Visit(format, {.style = Style::kLarge, .request = 0}, SmallSpec(), file);
  EXPECT_EQ(trace.size_queries, 1);
  EXPECT_EQ(trace.reads, (std::vector<Read>{{0, file.size(), file.size()}}));
  EXPECT_EQ(trace.samples.size(), 3U);
}

class TfrecordReading : public ::testing::TestWithParam<Style> {
 protected:
  Trace ReadSmall(const File& file, bool check = true) {
    return Visit(format_, {.style = GetParam(), .request = 100, .check = check},
                 SmallSpec(), file);
  }
  File small() const { return Encode(format_, SmallSpec()); }
  std::uint64_t record() const { return TfrecordBytes(SmallSpec()); }

  TfrecordFormat format_;
};

INSTANTIATE_TEST_SUITE_P(Styles, TfrecordReading,
                         ::testing::Values(Style::kReference, Style::kLarge));

void ExpectCorrupt(const Trace& trace, std::string_view text) {
  EXPECT_EQ(trace.status.code(), core::Code::kCorruption);
  EXPECT_THAT(std::string(trace.status.message()), HasSubstr(text));
  EXPECT_THAT(std::string(trace.status.message()), HasSubstr("some_file"));
}

TEST_P(TfrecordReading, EveryFlippedBitIsFound) {
  File file = small();
  for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
    file[bit / 8] ^= std::byte{1} << (bit % 8);
    const Trace trace = ReadSmall(file);
    EXPECT_FALSE(trace.status.ok()) << bit;
    EXPECT_EQ(trace.samples.size(), bit / 8 / record());
    file[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

TEST_P(TfrecordReading, EveryTruncationIsCorruption) {
  const File file = small();
  for (std::size_t size = 0; size < file.size(); ++size) {
    const File cut(file.begin(),
                   file.begin() + static_cast<std::ptrdiff_t>(size));
    const Trace trace = ReadSmall(cut);
    ExpectCorrupt(trace, "the file ends");
    EXPECT_EQ(trace.samples.size(), size / record());
  }
}

TEST_P(TfrecordReading, TruncationNamesRecordLengthAndEnd) {
  File file = small();
  file.resize(2 * record() + 30);
  const std::string at = std::to_string(2 * record());
  ExpectCorrupt(ReadSmall(file),
                "record 2 at offset " + at + ": its length says " +
                    std::to_string(record() - 16) + " bytes, so it ends at " +
                    std::to_string(3 * record()) + ", but the file ends at " +
                    std::to_string(2 * record() + 30));
}

TEST_P(TfrecordReading, TruncationAtARecordNamesTheCount) {
  File file = small();
  file.resize(2 * record());
  ExpectCorrupt(ReadSmall(file), "ends after 2 records, expected 3");
}

TEST_P(TfrecordReading, RecordTooManyIsCorruption) {
  File file = small();
  const File copy = file;
  file.insert(file.end(), copy.begin(), copy.end());
  ExpectCorrupt(ReadSmall(file), "expected the file to end after 3 records");
}

TEST_P(TfrecordReading, WrongChecksumsNameTheRecord) {
  File file = small();
  file[record() + 8] ^= std::byte{1};
  ExpectCorrupt(ReadSmall(file), "masked CRC-32C of the length");
  file = small();
  file[2 * record() - 30] ^= std::byte{1};
  ExpectCorrupt(ReadSmall(file), "record 1 at offset " +
                                     std::to_string(record()) +
                                     ": masked CRC-32C of the message");
}

TEST_P(TfrecordReading, WithoutCheckTheImageIsNotLookedAt) {
  File file = small();
  file[2 * record() - 30] ^= std::byte{1};
  file[8] ^= std::byte{1};
  EXPECT_TRUE(ReadSmall(file, false).status.ok());
}

TEST_P(TfrecordReading, ComparisonNamesSampleAndOffsets) {
  File file = small();
  // The image of record 1 begins 12 bytes of framing and 2·5 + 7 + 4 bytes of
  // tags and name behind the record's start.
  const std::size_t image = record() + 12 + 2 + 2 + 7 + 2 + 2 + 2;
  file[image + 3] ^= std::byte{1};
  PatternPayload payload;
  const Trace trace =
      Visit(format_, {.style = GetParam(), .check = false, .expect = &payload},
            SmallSpec(), file);
  ExpectCorrupt(trace,
                "payload of sample 1 differs at offset 3 of the array "
                "(file offset " +
                    std::to_string(image + 3) + ")");
}

TEST_P(TfrecordReading, BrokenMessageNamesRecordAndOffset) {
  File file = small();
  file[12] = std::byte{0};
  ExpectCorrupt(ReadSmall(file, false),
                "record 0 at offset 0: message at offset 12: at offset 0 of "
                "the message of");
}

TEST(TfrecordReader, LargeStyleAsksForRequestsWithoutTheSize) {
  const TfrecordFormat format;
  const File file = Encode(format, SmallSpec());
  const Trace trace =
      Visit(format, {.style = Style::kLarge, .request = 63}, SmallSpec(), file);
  EXPECT_EQ(trace.size_queries, 0);
  EXPECT_EQ(trace.reads,
            (std::vector<Read>{{0, 63, 63}, {63, 63, 63}, {126, 63, 63}}));
}

TEST(TfrecordReader, SampleStyleReadsOnlyTheRequestsOfItsRecord) {
  // Records of 63 bytes in requests of 48: record 1 is in [63, 126), so in the
  // requests at 48 and 96.
  const TfrecordFormat format;
  ASSERT_EQ(TfrecordBytes(SmallSpec()), 63U);
  const File file = Encode(format, SmallSpec());
  PatternPayload payload;
  const Trace trace = Visit(
      format, {.style = Style::kSample, .request = 48, .expect = &payload},
      SmallSpec(), file, 1);
  EXPECT_EQ(trace.status.ToString(), "ok");
  EXPECT_EQ(trace.reads, (std::vector<Read>{{48, 48, 48}, {96, 48, 48}}));
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{1, 15}}));
}

TEST(TfrecordReader, SampleStyleWithoutARequestSizeReadsExactlyTheRecord) {
  const TfrecordFormat format;
  const File file = Encode(format, SmallSpec());
  const Trace trace = Visit(format, {.style = Style::kSample, .request = 0},
                            SmallSpec(), file, 2);
  EXPECT_EQ(trace.status.ToString(), "ok");
  EXPECT_EQ(trace.reads, (std::vector<Read>{{126, 63, 63}}));
}

TEST(TfrecordReader, SampleStyleFindsDamageInItsRecordOnly) {
  const TfrecordFormat format;
  File file = Encode(format, SmallSpec());
  for (std::size_t at = 0; at < file.size(); ++at) {
    file[at] ^= std::byte{16};
    for (std::uint32_t sample = 0; sample < 3; ++sample) {
      const Trace trace =
          Visit(format, {.style = Style::kSample, .request = 32}, SmallSpec(),
                file, sample);
      EXPECT_EQ(trace.status.ok(), at / 63 != sample) << at;
    }
    file[at] ^= std::byte{16};
  }
}

TEST(TfrecordReader, SampleStyleNamesTheRecordThatIsMissing) {
  const TfrecordFormat format;
  File file = Encode(format, SmallSpec());
  file.resize(100);
  const ReaderOptions options{.style = Style::kSample, .request = 32};
  ExpectCorrupt(Visit(format, options, SmallSpec(), file, 2),
                "record 2 at offset 126: the file ends before it");
  ExpectCorrupt(Visit(format, options, SmallSpec(), file, 1),
                "its length says 47 bytes, so it ends at 126, but the file "
                "ends at 100");
  ExpectCorrupt(Visit(format, options, SmallSpec(), file, 3),
                "record 3 is wanted, but the file has 3");
}

TEST(TfrecordReader, LengthBeyondTheFileWithoutCheckIsTruncation) {
  const TfrecordFormat format;
  File file = Encode(format, SmallSpec());
  file[2] = std::byte{1};  // 65,536 more
  const Trace trace = Visit(format, {.check = false}, SmallSpec(), file);
  ExpectCorrupt(trace, "record 0 at offset 0: its length says");
}

TEST(TfrecordReader, LargeFileShorterThanItsSizeIsCorruption) {
  using Event = ReaderProgram::Event;
  const TfrecordFormat format;
  const File file = Encode(format, SmallSpec());
  const std::unique_ptr<ReaderProgram> program =
      format.NewReader({.style = Style::kLarge, .request = 0});
  program->Reset(SmallSpec(), 0, "some_file");
  ASSERT_TRUE(program->Step({}).ok());
  Event event{.kind = Event::Kind::kSize, .bytes = {}, .size = file.size()};
  ASSERT_TRUE(program->Step(event).ok());
  event = {.kind = Event::Kind::kBytes,
           .bytes = std::span(file).first(file.size() - 7),
           .size = 0};
  const auto next = program->Step(event);
  EXPECT_EQ(next.status().code(), core::Code::kCorruption);
}

}  // namespace
}  // namespace stoker::formats
