#include "formats/range_reader.h"

#include <gtest/gtest.h>

#include <vector>

#include "formats/hdf5_format.h"
#include "formats/indexed_binary_format.h"
#include "formats/npy_format.h"
#include "tests/formats/format_harness.h"

namespace stoker::formats {
namespace {

using stoker::testing::Encode;
using stoker::testing::Read;
using stoker::testing::Trace;
using stoker::testing::Visit;
using Style = ReaderOptions::Style;

const IndexedBinaryFormat kFormat(/*mapped=*/false);
// Sample k lies at 10,000 · k of 50,000 bytes.
const FileSpec kSpec{.samples = 5, .rows = 100, .columns = 100};

std::vector<Read> Reads(Style style, std::uint32_t request,
                        std::uint32_t sample) {
  const Trace trace = Visit(kFormat, {.style = style, .request = request},
                            kSpec, Encode(kFormat, kSpec), sample);
  EXPECT_EQ(trace.status.ToString(), "ok");
  return trace.reads;
}

TEST(RangeReader, LargeStyleReadsTheFileInRequests) {
  EXPECT_EQ(Reads(Style::kLarge, 20'000, 3),
            (std::vector<Read>{{0, 20'000, 20'000},
                               {20'000, 20'000, 20'000},
                               {40'000, 10'000, 10'000}}));
  EXPECT_EQ(Reads(Style::kLarge, 0, 3),
            (std::vector<Read>{{0, 50'000, 50'000}}));
}

TEST(RangeReader, SampleStyleReadsThePagesOfTheSampleCutAtRequests) {
  // [30,000, 40,000) lies in the pages [28,672, 40,960).
  EXPECT_EQ(Reads(Style::kSample, 0, 3),
            (std::vector<Read>{{28'672, 12'288, 12'288}}));
  EXPECT_EQ(Reads(Style::kSample, 8192, 3),
            (std::vector<Read>{{28'672, 4096, 4096}, {32'768, 8192, 8192}}));
  EXPECT_EQ(Reads(Style::kSample, 1U << 20, 3),
            (std::vector<Read>{{28'672, 12'288, 12'288}}));
  // [40,000, 50,000): the last page ends behind the file.
  EXPECT_EQ(
      Reads(Style::kSample, 8192, 4),
      (std::vector<Read>{
          {36'864, 4096, 4096}, {40'960, 8192, 8192}, {49'152, 4096, 848}}));
}

TEST(RangeReader, RequestsFitTheBuffersPromised) {
  for (const std::uint32_t request : {0U, 1000U, 8192U}) {
    for (const Style style : {Style::kLarge, Style::kSample}) {
      const auto reader =
          kFormat.NewReader({.style = style, .request = request});
      for (const Read& read : Reads(style, request, 4)) {
        EXPECT_LE(read.asked, reader->MaxRequest(kSpec));
      }
    }
  }
}

TEST(RangeReader, ARequestForOneOfManySamplesIsNoLongerThanTheSample) {
  constexpr std::uint64_t kMiB = 1U << 20;
  const FileSpec spec{.samples = 1000, .rows = 1024, .columns = 1024};
  const IndexedBinaryFormat mapped(/*mapped=*/true);
  const Hdf5Format hdf5;
  EXPECT_EQ(kFormat.NewReader({})->MaxRequest(spec), kMiB);
  EXPECT_EQ(mapped.NewReader({})->MaxRequest(spec), 256U << 10);
  EXPECT_EQ(hdf5.NewReader({})->MaxRequest(spec), kMiB);
  // A sample of whole pages may begin within one.
  const ReaderOptions whole{.style = Style::kSample, .request = 0};
  EXPECT_EQ(kFormat.NewReader(whole)->MaxRequest(spec), kMiB + 4096);
  const ReaderOptions pieces{.style = Style::kSample, .request = 2U << 20};
  EXPECT_EQ(hdf5.NewReader(pieces)->MaxRequest(spec), kMiB + 4096);
}

TEST(RangeReader, WithoutDataTheRequestsAreTheSame) {
  const Hdf5Format hdf5;
  const NpyFormat npy;
  FileSpec chunked = kSpec;
  chunked.chunk_edge = 30;
  struct Case {
    const Format& format;
    Style style;
  };
  for (const Case& row :
       {Case{kFormat, Style::kSample}, Case{hdf5, Style::kSample},
        Case{npy, Style::kSample}, Case{npy, Style::kDirect}}) {
    for (const FileSpec& spec : {kSpec, chunked}) {
      for (const std::uint32_t request : {0U, 1000U, 8192U, 1U << 20}) {
        ReaderOptions options{.style = row.style, .request = request};
        const Trace real =
            Visit(row.format, options, spec, Encode(row.format, spec), 4);
        options.blind = true;
        const Trace blind = Visit(*row.format.NewReader(options), spec, 4, 0,
                                  [](std::uint64_t, std::span<std::byte>) {});
        ASSERT_EQ(real.status.ToString(), "ok");
        ASSERT_EQ(blind.reads.size(), real.reads.size());
        for (std::size_t i = 0; i < real.reads.size(); ++i) {
          EXPECT_EQ(blind.reads[i].offset, real.reads[i].offset);
          EXPECT_EQ(blind.reads[i].asked, real.reads[i].asked);
        }
        EXPECT_EQ(blind.samples, real.samples);
      }
    }
  }
}

TEST(RangeReader, AFileLargerThanItsSpecIsRefusedBeforeItOverflowsABuffer) {
  const Hdf5Format hdf5;
  const FileSpec large{.samples = 2, .rows = 100, .columns = 100};
  FileSpec small = large;
  small.samples = 1;
  const Trace trace = Visit(hdf5, {.style = Style::kLarge, .request = 0}, small,
                            Encode(hdf5, large));
  EXPECT_EQ(trace.status.code(), core::Code::kCorruption);
  EXPECT_TRUE(trace.reads.empty());
}

}  // namespace
}  // namespace stoker::formats
