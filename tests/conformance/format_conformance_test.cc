// What every format of the registry must do.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "formats/registry.h"
#include "tests/formats/format_harness.h"

namespace stoker::formats {
namespace {

using stoker::testing::Encode;
using stoker::testing::File;
using stoker::testing::PatternPayload;
using stoker::testing::Sample;
using stoker::testing::Trace;
using stoker::testing::Visit;
using Style = ReaderOptions::Style;

std::vector<FileSpec> Specs() {
  return {
      {.samples = 1, .rows = 1, .columns = 1, .nominal_edge = 1},
      {.index = 7, .samples = 1, .rows = 61, .columns = 67, .nominal_edge = 64},
      {.index = 8,
       .samples = 4,
       .rows = 300,
       .columns = 401,
       .nominal_edge = 350},
      {.index = 9,
       .samples = 1,
       .rows = 999,
       .columns = 1001,
       .nominal_edge = 1000},
      {.index = 10, .samples = 300, .rows = 3, .columns = 2, .nominal_edge = 2},
      {.index = 11,
       .samples = 5,
       .rows = 90,
       .columns = 77,
       .nominal_edge = 83,
       .chunk_edge = 16}};
}

class FormatConformance : public ::testing::TestWithParam<FormatInfo> {
 protected:
  const Format& format() const { return *GetParam().format; }

  // The samples one visit of the file for `sample` delivers.
  std::vector<Sample> Delivered(const FileSpec& spec,
                                std::uint32_t sample) const {
    if (!format().streams_samples()) {
      return {{sample, spec.sample_bytes()}};
    }
    std::vector<Sample> all;
    all.reserve(spec.samples);
    for (std::uint32_t i = 0; i < spec.samples; ++i) {
      all.push_back({i, spec.sample_bytes()});
    }
    return all;
  }
};

INSTANTIATE_TEST_SUITE_P(Registry, FormatConformance,
                         ::testing::ValuesIn(Formats().begin(),
                                             Formats().end()),
                         [](const auto& row) {
                           return std::string(row.param.name);
                         });

TEST_P(FormatConformance, SuffixIsTheNameWithADot) {
  EXPECT_EQ(std::string(format().suffix()), "." + std::string(format().name()));
}

TEST_P(FormatConformance, FileHasTheBytesPromised) {
  for (const FileSpec& spec : Specs()) {
    EXPECT_EQ(Encode(format(), spec).size(), format().FileBytes(spec));
  }
}

TEST_P(FormatConformance, SizeOfPartsDoesNotMatter) {
  for (const FileSpec& spec : Specs()) {
    EXPECT_EQ(Encode(format(), spec, 4096), Encode(format(), spec, 1U << 20));
  }
}

TEST_P(FormatConformance, RoundTripDeliversEverySampleInBothStyles) {
  PatternPayload payload;
  for (const FileSpec& spec : Specs()) {
    const File file = Encode(format(), spec);
    for (const Style style : {Style::kReference, Style::kLarge}) {
      const std::uint32_t sample = spec.samples - 1;
      const Trace trace = Visit(format(), {.style = style, .expect = &payload},
                                spec, file, sample);
      ASSERT_EQ(trace.status.ToString(), "ok");
      EXPECT_EQ(trace.samples, Delivered(spec, sample));
    }
  }
}

TEST_P(FormatConformance, BlindReaderAsksForTheSame) {
  for (const FileSpec& spec : Specs()) {
    const File file = Encode(format(), spec);
    for (const Style style : {Style::kReference, Style::kLarge}) {
      for (const std::uint32_t unit : {512U, 4096U, 65536U, 1U << 20}) {
        const ReaderOptions options{
            .style = style, .unit = unit, .request = unit};
        ReaderOptions blind = options;
        blind.blind = true;
        const Trace real = Visit(format(), options, spec, file);
        // A store without data: it knows no sizes and delivers nothing.
        const Trace empty = Visit(*format().NewReader(blind), spec, 0, 0,
                                  [](std::uint64_t, std::span<std::byte>) {});
        ASSERT_EQ(empty.reads.size(), real.reads.size());
        for (std::size_t i = 0; i < real.reads.size(); ++i) {
          EXPECT_EQ(empty.reads[i].offset, real.reads[i].offset);
          EXPECT_EQ(empty.reads[i].asked, real.reads[i].asked);
        }
        EXPECT_EQ(empty.samples, real.samples);
        EXPECT_EQ(empty.size_queries, real.size_queries);
      }
    }
  }
}

TEST_P(FormatConformance, LargeStyleReadsTheFileOnce) {
  const FileSpec spec = Specs()[2];
  const File file = Encode(format(), spec);
  const Trace trace =
      Visit(format(),
            {.style = Style::kLarge,
             .request = static_cast<std::uint32_t>(file.size())},
            spec, file);
  EXPECT_EQ(
      trace.reads,
      (std::vector<stoker::testing::Read>{{0, file.size(), file.size()}}));
}

TEST_P(FormatConformance, PayloadOfAnotherFileIsCorruption) {
  PatternPayload payload;
  FileSpec spec = Specs()[2];
  const File file = Encode(format(), spec);
  spec.index += 1000;
  for (const Style style : {Style::kReference, Style::kLarge}) {
    const Trace trace =
        Visit(format(), {.style = style, .expect = &payload}, spec, file);
    EXPECT_EQ(trace.status.code(), core::Code::kCorruption);
    EXPECT_THAT(std::string(trace.status.message()),
                ::testing::HasSubstr("some_file: payload of sample 0 differs"));
  }
}

// Takes `parts` parts and then fails.
class FailingStream final : public storage::WriteStream {
 public:
  FailingStream(core::Clock& clock, int parts)
      : WriteStream({.part_size = 4096}, clock), parts_(parts) {}

 private:
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t) override {
    if (parts_-- == 0) {
      return core::Status(core::Code::kIoError, "no space");
    }
    part_.resize(4096);
    return std::span(part_);
  }
  core::Status DoSend(std::uint64_t, std::span<const std::byte>) override {
    return {};
  }
  core::Status DoCommit(std::uint64_t, storage::WriteTimes&) override {
    return {};
  }

  int parts_;
  std::vector<std::byte> part_;
};

TEST_P(FormatConformance, WriteErrorsEndTheEncoding) {
  core::SystemClock clock;
  PatternPayload payload;
  const FileSpec spec = Specs()[2];  // 481,200 bytes of payload
  for (const int parts : {0, 1, 2, 117}) {
    FailingStream out(clock, parts);
    EXPECT_EQ(format().Encode(spec, payload, out).code(), core::Code::kIoError);
  }
}

}  // namespace
}  // namespace stoker::formats
