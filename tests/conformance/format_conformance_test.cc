// What every format of the registry must do.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "formats/registry.h"
#include "tests/formats/format_harness.h"
#include "tests/support/allocations.h"

namespace stoker::formats {
namespace {

using stoker::testing::Allocations;
using stoker::testing::Encode;
using stoker::testing::File;
using stoker::testing::PatternPayload;
using stoker::testing::Sample;
using stoker::testing::Trace;
using stoker::testing::Visit;
using Style = ReaderOptions::Style;

std::vector<FileSpec> Specs() {
  return {{.samples = 1,
           .rows = 1,
           .columns = 1,
           .nominal_edge = 1,
           .record_bytes = 777},
          {.index = 7,
           .samples = 1,
           .rows = 61,
           .columns = 67,
           .nominal_edge = 64,
           .record_bytes = 4096},
          {.index = 8,
           .samples = 4,
           .rows = 300,
           .columns = 401,
           .nominal_edge = 350,
           .record_bytes = 122'500},
          {.index = 9,
           .samples = 1,
           .rows = 999,
           .columns = 1001,
           .nominal_edge = 1000,
           .record_bytes = 1'000'001},
          {.index = 10,
           .samples = 300,
           .rows = 3,
           .columns = 2,
           .nominal_edge = 2,
           .record_bytes = 1000},
          {.index = 11,
           .samples = 5,
           .rows = 90,
           .columns = 77,
           .nominal_edge = 83,
           .record_bytes = 7000,
           .chunk_edge = 16}};
}

constexpr std::array<Style, 4> kStyles = {Style::kReference, Style::kLarge,
                                          Style::kSample, Style::kDirect};
constexpr std::array<std::uint32_t, 4> kSizes = {512, 4096, 65536, 1U << 20};

class FormatConformance : public ::testing::TestWithParam<FormatInfo> {
 protected:
  const Format& format() const { return *GetParam().format; }

  // Files of this format are only written.
  bool unread() const { return format().name() == "synthetic"; }

  // The samples one visit of the file for `sample` delivers.
  std::vector<Sample> Delivered(const FileSpec& spec, std::uint32_t sample,
                                Style style = Style::kReference) const {
    if (!format().streams_samples() || style == Style::kSample) {
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

TEST_P(FormatConformance, RoundTripDeliversEverySampleInEveryStyle) {
  PatternPayload payload;
  for (const FileSpec& spec : Specs()) {
    const File file = Encode(format(), spec);
    for (const Style style : kStyles) {
      if (!format().Supports(style)) {
        continue;
      }
      const std::uint32_t sample = spec.samples - 1;
      const Trace trace = Visit(format(), {.style = style, .expect = &payload},
                                spec, file, sample);
      ASSERT_EQ(trace.status.ToString(), "ok");
      EXPECT_EQ(trace.samples, Delivered(spec, sample, style));
    }
  }
}

TEST_P(FormatConformance, BlindReaderAsksForTheSame) {
  for (const FileSpec& spec : Specs()) {
    const File file = Encode(format(), spec);
    for (const Style style : kStyles) {
      for (const std::uint32_t unit : kSizes) {
        if (!format().Supports(style)) {
          continue;
        }
        const ReaderOptions options{
            .style = style, .unit = unit, .request = unit};
        ReaderOptions blind = options;
        blind.blind = true;
        const Trace real = Visit(format(), options, spec, file);
        // A store without data: it knows no sizes and delivers nothing.
        const Trace empty = Visit(*format().NewReader(blind), spec, 0, 0,
                                  [](std::uint64_t, std::span<std::byte>) {});
        ASSERT_EQ(empty.reads.size(), real.reads.size())
            << static_cast<int>(style) << " " << unit << " " << file.size();
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

TEST_P(FormatConformance, LargeStyleWithoutARequestSizeReadsTheFileOnce) {
  const FileSpec spec = Specs()[2];
  const File file = Encode(format(), spec);
  const Trace trace =
      Visit(format(), {.style = Style::kLarge, .request = 0}, spec, file);
  ASSERT_EQ(trace.status.ToString(), "ok");
  const std::vector<stoker::testing::Read> whole = {
      {0, file.size(), file.size()}};
  EXPECT_EQ(trace.reads, unread() ? decltype(whole){} : whole);
}

TEST_P(FormatConformance, LargeStyleReadsRequestsFrontToBackAndNoMore) {
  for (const FileSpec& spec : Specs()) {
    const File file = Encode(format(), spec);
    // The file's size as well: there is no short read then.
    for (const std::uint64_t request : {std::uint64_t{512}, std::uint64_t{4096},
                                        file.size(), file.size() + 1}) {
      const ReaderOptions options{
          .style = Style::kLarge,
          .request = static_cast<std::uint32_t>(request)};
      const Trace trace = Visit(format(), options, spec, file);
      ASSERT_EQ(trace.status.ToString(), "ok");
      EXPECT_EQ(trace.size_queries, 0);
      EXPECT_EQ(trace.reads.size(),
                unread() ? 0 : (file.size() + request - 1) / request);
      for (std::size_t i = 0; i < trace.reads.size(); ++i) {
        EXPECT_EQ(trace.reads[i].offset, i * request);
        EXPECT_EQ(trace.reads[i].asked, request);
      }
    }
  }
}

TEST_P(FormatConformance, SampleStyleReadsAtMultiplesOfTheRequest) {
  for (const FileSpec& spec : Specs()) {
    const File file = Encode(format(), spec);
    for (const std::uint32_t sample : {0U, spec.samples / 2}) {
      const Trace trace =
          Visit(format(), {.style = Style::kSample, .request = 512}, spec, file,
                sample);
      ASSERT_EQ(trace.status.ToString(), "ok");
      EXPECT_EQ(trace.samples,
                (std::vector<Sample>{{sample, spec.sample_bytes()}}));
      EXPECT_EQ(trace.size_queries, 0);
      for (std::size_t i = 0; i < trace.reads.size(); ++i) {
        EXPECT_EQ(trace.reads[i].offset % 512, 0U);
        EXPECT_EQ(trace.reads[i].offset, trace.reads[0].offset + i * 512);
        EXPECT_EQ(trace.reads[i].asked, 512U);
      }
    }
  }
}

TEST_P(FormatConformance, StepsAllocateNothing) {
  using Next = ReaderProgram::Next;
  const FileSpec spec = Specs()[2];
  const File file = Encode(format(), spec);
  for (const Style style : kStyles) {
    if (!format().Supports(style)) {
      continue;
    }
    const auto program = format().NewReader({.style = style, .request = 4096});
    std::uint64_t before = 0;
    std::uint64_t inside = 0;
    for (std::uint32_t sample = 0; sample < 2; ++sample) {
      before = Allocations();
      program->Reset(spec, sample, "some_file");
      inside += Allocations() - before;
      ReaderProgram::Event event;
      for (Next next{.kind = Next::Kind::kRead};
           next.kind != Next::Kind::kFileDone;) {
        before = Allocations();
        const core::Result<Next> stepped = program->Step(event);
        inside += Allocations() - before;
        ASSERT_EQ(stepped.status().ToString(), "ok");
        next = stepped.value();
        event = {};
        event.size = file.size();
        const std::uint64_t start =
            std::min<std::uint64_t>(next.offset, file.size());
        event.bytes = std::span(file).subspan(
            start, std::min<std::uint64_t>(next.length, file.size() - start));
        event.kind = next.kind == Next::Kind::kSize
                         ? ReaderProgram::Event::Kind::kSize
                     : next.kind == Next::Kind::kRead
                         ? ReaderProgram::Event::Kind::kBytes
                         : ReaderProgram::Event::Kind::kResume;
      }
    }
    EXPECT_EQ(inside, 0U) << static_cast<int>(style);
  }
}

TEST_P(FormatConformance, PayloadOfAnotherFileIsCorruption) {
  PatternPayload payload;
  FileSpec spec = Specs()[2];
  const File file = Encode(format(), spec);
  spec.index += 1000;
  for (const Style style : kStyles) {
    if (!format().Supports(style) || unread()) {
      continue;
    }
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
  const FileSpec spec = Specs()[2];
  const auto needed =
      static_cast<int>((format().FileBytes(spec) + 4095) / 4096);
  for (const int parts : {0, 1, 2, needed - 1}) {
    if (parts < needed) {
      FailingStream out(clock, parts);
      EXPECT_EQ(format().Encode(spec, payload, out).code(),
                core::Code::kIoError);
    }
  }
}

}  // namespace
}  // namespace stoker::formats
