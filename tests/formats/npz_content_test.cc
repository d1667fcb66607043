#include "formats/npz_content.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "formats/npz_format.h"
#include "tests/formats/format_harness.h"

namespace stoker::formats {
namespace {

using stoker::testing::Encode;
using stoker::testing::File;
using stoker::testing::PatternPayload;
using stoker::testing::Read;
using stoker::testing::Sample;
using stoker::testing::SmallNpzSpec;
using stoker::testing::Trace;
using stoker::testing::Visit;
using ::testing::HasSubstr;
using Style = ReaderOptions::Style;

void Shift(File& file, std::size_t at, std::uint32_t by) {
  std::uint32_t value = 0;
  std::memcpy(&value, file.data() + at, sizeof(value));
  value += by;
  std::memcpy(file.data() + at, &value, sizeof(value));
}

TEST(NpzContent, MembersBeforeTheArrayAreSkipped) {
  // y.npy once more, in front, in no directory.
  const NpzFormat format;
  File file = Encode(format, SmallNpzSpec());
  const File labels(file.begin() + 213, file.begin() + 412);
  const auto front = static_cast<std::uint32_t>(labels.size());
  Shift(file, 412 + 42, front);
  Shift(file, 412 + 51 + 42, front);
  Shift(file, file.size() - 6, front);
  file.insert(file.begin(), labels.begin(), labels.end());
  PatternPayload payload;
  for (const std::uint32_t request : {1U, 100U, 4096U}) {
    const Trace trace =
        Visit(format,
              {.style = Style::kLarge, .request = request, .expect = &payload},
              SmallNpzSpec(), file, 1);
    EXPECT_EQ(trace.status.ToString(), "ok");
    EXPECT_EQ(trace.samples, (std::vector<Sample>{{1, 15}}));
  }
}

TEST(NpzContent, ArchiveWithoutTheArrayIsCorruption) {
  const NpzFormat format;
  File file = Encode(format, SmallNpzSpec());
  file[30] = std::byte{'z'};
  const Trace trace =
      Visit(format, {.style = Style::kLarge}, SmallNpzSpec(), file);
  EXPECT_THAT(trace.status.ToString(),
              HasSubstr("at offset 412: expected a further member"));
}

TEST(NpzContent, LongDirectoriesBehindTheArrayAreFoundInSmallRequests) {
  // 600,000 samples: 4.8 MB of labels between the array and the directory.
  const NpzFormat format;
  const FileSpec spec{.samples = 600'000, .rows = 1, .columns = 1};
  const Trace trace = Visit(format, {.style = Style::kLarge, .request = 1000},
                            spec, Encode(format, spec));
  EXPECT_EQ(trace.status.ToString(), "ok");
}

TEST(NpzContent, DirectStyleIsTheSizeAndOneReadRoundedUpToPages) {
  const NpzFormat format;
  const File file = Encode(format, SmallNpzSpec());
  const Trace trace =
      Visit(format, {.style = Style::kDirect}, SmallNpzSpec(), file);
  EXPECT_EQ(trace.size_queries, 1);
  EXPECT_EQ(trace.reads_before_size, 0U);
  EXPECT_EQ(trace.reads, (std::vector<Read>{{0, 4096, file.size()}}));
  // 4097 bytes: 490, 8 for the one sample, and 3599 = 59 * 61.
  EXPECT_EQ(format.NewReader({.style = Style::kDirect})
                ->MaxRequest({.rows = 59, .columns = 61}),
            8192U);
}

TEST(NpzContent, DirectStyleLooksAtNoChecksumAndNothingBehindTheArray) {
  const NpzFormat format;
  File file = Encode(format, SmallNpzSpec());
  file[200] ^= std::byte{4};
  std::fill(file.begin() + 213, file.end(), std::byte{0});
  EXPECT_TRUE(Visit(format, {.style = Style::kDirect}, SmallNpzSpec(), file)
                  .status.ok());
  EXPECT_FALSE(Visit(format, {.style = Style::kLarge}, SmallNpzSpec(), file)
                   .status.ok());
}

// What follows the size query's answer, and then a read that gives `bytes`.
core::Status ReadAtOnce(const ReaderOptions& options, std::uint64_t size,
                        std::span<const std::byte> bytes) {
  using Event = ReaderProgram::Event;
  const NpzFormat format;
  const auto program = format.NewReader(options);
  program->Reset(SmallNpzSpec(), 0, "some_file");
  STOKER_TRY(program->Step({}).status());
  Event event{.kind = Event::Kind::kSize, .bytes = {}, .size = size};
  STOKER_TRY(program->Step(event).status());
  event = {.kind = Event::Kind::kBytes, .bytes = bytes, .size = 0};
  return program->Step(event).status();
}

TEST(NpzContent, DirectReadOfAnotherLengthThanTheSizeNamesBoth) {
  const File file = Encode(NpzFormat(), SmallNpzSpec());
  ASSERT_EQ(file.size(), 536U);
  const ReaderOptions direct{.style = Style::kDirect};
  EXPECT_EQ(ReadAtOnce(direct, 535, file).ToString(),
            "corruption: some_file: expected 535 bytes at offset 0 from one "
            "direct read, as the file's size says, but it ends after 536");
  EXPECT_EQ(ReadAtOnce(direct, 536, std::span(file).first(500)).ToString(),
            "corruption: some_file: expected 536 bytes at offset 0 from one "
            "direct read, as the file's size says, but it ends after 500");
}

TEST(NpzContent, FileTooLargeForItsBufferIsRefusedByName) {
  // Buffers are as large as the largest planned file.
  const File file = Encode(NpzFormat(), SmallNpzSpec());
  for (const ReaderOptions& options :
       {ReaderOptions{.style = Style::kDirect},
        ReaderOptions{.style = Style::kLarge, .request = 0}}) {
    EXPECT_TRUE(ReadAtOnce(options, 536, file).ok());
    EXPECT_EQ(ReadAtOnce(options, 537, file).ToString(),
              "corruption: some_file: expected a file of 536 bytes, found 537");
  }
}

}  // namespace
}  // namespace stoker::formats
