#include "formats/npy_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "formats/npy_format.h"
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

const NpyFormat kNpyFormat;

// The file with `text` in place of what is at `at`.
File With(File file, std::size_t at, std::string_view text) {
  std::ranges::copy(std::as_bytes(std::span(text)),
                    file.begin() + static_cast<std::ptrdiff_t>(at));
  return file;
}

TEST(NpyFormat, FileIs128BytesAndThePayload) {
  EXPECT_EQ(kNpyFormat.FileBytes({.samples = 9, .rows = 5, .columns = 4}),
            128U + 5 * 4 * 9);
  // 12107² = 146,579,449.
  EXPECT_EQ(kNpyFormat.FileBytes({.rows = 12107, .columns = 12107}),
            128U + 146'579'449);
}

TEST(NpyReferenceReader, AsksLikeNumpy) {
  // As traced: 338 · 338 · 2 + 128 = 228,616 bytes.
  const FileSpec spec{.samples = 2, .rows = 338, .columns = 338};
  const Trace trace = Visit(kNpyFormat, {}, spec, Encode(kNpyFormat, spec), 1);
  EXPECT_EQ(trace.reads, (std::vector<Read>{{0, 4096, 4096},
                                            {0, 128, 128},
                                            {0, 4096, 4096},
                                            {4096, 221'184, 221'184},
                                            {225'280, 4096, 3336}}));
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{1, 338 * 338}}));
  EXPECT_EQ(trace.size_queries, 1);
}

TEST(NpyReferenceReader, TheStreamsBufferHasAtMost8KiB) {
  // As traced on a file system with blocks of 2 MiB.
  const FileSpec spec{.rows = 1500, .columns = 1001};
  const Trace trace =
      Visit(kNpyFormat, {.unit = 2U << 20}, spec, Encode(kNpyFormat, spec));
  EXPECT_EQ(trace.reads, (std::vector<Read>{{0, 2'097'152, 1'501'628},
                                            {0, 128, 128},
                                            {0, 8192, 8192},
                                            {8192, 1'490'944, 1'490'944},
                                            {1'499'136, 8192, 2492}}));
}

TEST(NpyReader, EveryStyleNamesTheFirstWrongByte) {
  const FileSpec spec{.samples = 2, .rows = 100, .columns = 100};
  PatternPayload payload;
  File file = Encode(kNpyFormat, spec);
  file[128 + 12'345] ^= std::byte{1};
  for (const Style style :
       {Style::kReference, Style::kLarge, Style::kSample, Style::kDirect}) {
    const Trace trace =
        Visit(kNpyFormat, {.style = style, .request = 4096, .expect = &payload},
              spec, file);
    EXPECT_EQ(trace.status.code(), core::Code::kCorruption);
    EXPECT_THAT(std::string(trace.status.message()),
                HasSubstr("some_file: payload of sample 0 differs at offset "
                          "12345 of the array (file offset 12473)"));
  }
}

TEST(NpyReader, HeaderMayArriveInPieces) {
  const FileSpec spec{.samples = 2, .rows = 13, .columns = 17};
  PatternPayload payload;
  const File file = Encode(kNpyFormat, spec);
  for (const std::uint32_t request : {1U, 7U, 100U, 128U, 129U}) {
    const Trace trace =
        Visit(kNpyFormat,
              {.style = Style::kLarge, .request = request, .expect = &payload},
              spec, file, 1);
    EXPECT_EQ(trace.status.ToString(), "ok");
    EXPECT_EQ(trace.samples, (std::vector<Sample>{{1, 13 * 17}}));
  }
}

TEST(NpyReader, BrokenHeadersAreRefusedInEveryStyle) {
  const FileSpec spec{.samples = 2, .rows = 30, .columns = 40};
  const File good = Encode(kNpyFormat, spec);
  struct Case {
    File file;
    core::Code code;
    std::string_view reason;
  };
  const std::vector<Case> cases{
      {With(good, 0, "X"), core::Code::kCorruption, "expected an array header"},
      {With(good, 6, "\2"), core::Code::kUnsupported, "version 1.0"},
      {With(good, 22, "<i8"), core::Code::kUnsupported, "descr '|u1'"},
      {With(good, 61, "31"), core::Code::kCorruption, "does not make"},
      {File(good.begin(), good.end() - 1), core::Code::kCorruption, ""},
      {File(good.begin(), good.begin() + 128), core::Code::kCorruption, ""},
      {File(good.begin(), good.begin() + 60), core::Code::kCorruption, ""},
      {File(), core::Code::kCorruption, ""}};
  for (const Case& broken : cases) {
    for (const Style style :
         {Style::kReference, Style::kLarge, Style::kSample, Style::kDirect}) {
      const Trace trace =
          Visit(kNpyFormat, {.style = style, .request = 64}, spec, broken.file);
      EXPECT_EQ(trace.status.code(), broken.code)
          << trace.status.ToString() << " " << broken.reason;
      EXPECT_THAT(std::string(trace.status.message()),
                  HasSubstr(broken.reason));
      EXPECT_THAT(std::string(trace.status.message()), HasSubstr("some_file"));
    }
  }
}

TEST(NpyReader, ASampleThatTheFileDoesNotHaveIsCorruption) {
  const FileSpec two{.samples = 2, .rows = 30, .columns = 40};
  const FileSpec three{.samples = 3, .rows = 20, .columns = 40};
  for (const Style style : {Style::kReference, Style::kLarge}) {
    const Trace trace =
        Visit(kNpyFormat, {.style = style}, three, Encode(kNpyFormat, two), 2);
    EXPECT_THAT(std::string(trace.status.message()),
                HasSubstr("expected at least 3 samples"));
  }
}

TEST(NpyReader, DirectStyleNeedsTheFilesSizeFromOneRead) {
  const FileSpec spec{.rows = 100, .columns = 100};
  const File file = Encode(kNpyFormat, spec);  // 10,128 bytes
  const Trace trace = Visit(kNpyFormat, {.style = Style::kDirect}, spec, file);
  EXPECT_EQ(trace.reads, (std::vector<Read>{{0, 12'288, 10'128}}));
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{0, 10'000}}));

  // The file shrinks or grows between the size query and the read.
  const auto program = kNpyFormat.NewReader({.style = Style::kDirect});
  for (const std::size_t got : {10'127U, 10'129U}) {
    program->Reset(spec, 0, "some_file");
    const File bytes(got);
    ASSERT_TRUE(program->Step({}).ok());
    ASSERT_TRUE(program
                    ->Step({.kind = ReaderProgram::Event::Kind::kSize,
                            .bytes = {},
                            .size = file.size()})
                    .ok());
    const auto next = program->Step(
        {.kind = ReaderProgram::Event::Kind::kBytes, .bytes = bytes});
    // As npz says it.
    EXPECT_EQ(
        next.status().ToString(),
        "corruption: some_file: expected 10128 bytes at offset 0 from one "
        "direct read, as the file's size says, but it ends after " +
            std::to_string(got));
  }
}

}  // namespace
}  // namespace stoker::formats
