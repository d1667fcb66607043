#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "formats/byte_order.h"
#include "formats/indexed_binary_format.h"
#include "tests/formats/format_harness.h"

namespace stoker::formats {
namespace {

using stoker::testing::Encode;
using stoker::testing::EncodeSidecar;
using stoker::testing::File;
using stoker::testing::PatternPayload;
using stoker::testing::Read;
using stoker::testing::Sample;
using stoker::testing::Trace;
using stoker::testing::Visit;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Style = ReaderOptions::Style;

const IndexedBinaryFormat kPlain(/*mapped=*/false);
const IndexedBinaryFormat kMapped(/*mapped=*/true);

TEST(IndexedBinaryFormat, SamplesLieEndToEndAndHaveTheirOwnPayload) {
  const FileSpec spec{.index = 3, .samples = 3, .rows = 5, .columns = 7};
  const File file = Encode(kPlain, spec);
  ASSERT_EQ(file.size(), 3U * 35);
  PatternPayload payload;
  for (std::uint32_t sample = 0; sample < 3; ++sample) {
    File expected(35);
    payload.Fill(3, sample, 0, expected);
    EXPECT_TRUE(std::ranges::equal(
        std::span(file).subspan(std::size_t{sample} * 35, 35), expected));
  }
}

TEST(IndexedBinaryFormat, IndexFilesHoldEveryOffsetAndSize) {
  // 1000 entries: more than one write of the encoder.
  const FileSpec spec{.samples = 1000, .rows = 5, .columns = 7};
  EXPECT_THAT(kPlain.sidecars(), ElementsAre(".off.idx", ".sz.idx"));
  const File offsets = EncodeSidecar(kPlain, spec, 0);
  const File sizes = EncodeSidecar(kPlain, spec, 1);
  ASSERT_EQ(offsets.size(), 8000U);
  ASSERT_EQ(sizes.size(), 8000U);
  EXPECT_EQ(kPlain.SidecarBytes(spec, 0), 8000U);
  EXPECT_EQ(kPlain.SidecarBytes(spec, 1), 8000U);
  for (std::uint64_t sample = 0; sample < 1000; ++sample) {
    EXPECT_EQ(LoadLe<std::uint64_t>(offsets, 8 * sample), 35 * sample);
    EXPECT_EQ(LoadLe<std::uint64_t>(sizes, 8 * sample), 35U);
  }
}

TEST(IndexedBinaryFormat, OnlyTheMappedOneMapsFiles) {
  EXPECT_FALSE(kPlain.maps_files());
  EXPECT_TRUE(kMapped.maps_files());
  EXPECT_EQ(kPlain.name(), "indexed_binary");
  EXPECT_EQ(kMapped.name(), "mmap_indexed_binary");
  EXPECT_FALSE(kPlain.Supports(Style::kDirect));
}

TEST(IndexedBinaryReader, ReferenceReadsTheSampleInOne) {
  // As traced: 114,244 bytes at their offset, and nothing else.
  const FileSpec spec{.samples = 4, .rows = 338, .columns = 338};
  const Trace trace = Visit(kPlain, {}, spec, Encode(kPlain, spec), 2);
  EXPECT_EQ(trace.reads, (std::vector<Read>{{228'488, 114'244, 114'244}}));
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{2, 114'244}}));
  EXPECT_EQ(trace.size_queries, 0);
}

TEST(IndexedBinaryReader, MappedReferenceTouchesTheSampleInRequests) {
  const FileSpec spec{.samples = 4, .rows = 338, .columns = 338};
  const Trace trace =
      Visit(kMapped, {.request = 65536}, spec, Encode(kMapped, spec), 2);
  EXPECT_EQ(trace.reads, (std::vector<Read>{{228'488, 65536, 65536},
                                            {294'024, 48'708, 48'708}}));
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{2, 114'244}}));
}

TEST(IndexedBinaryReader, EveryStyleNamesTheFirstWrongByte) {
  const FileSpec spec{.samples = 3, .rows = 100, .columns = 100};
  PatternPayload payload;
  File file = Encode(kPlain, spec);
  file[12'345] ^= std::byte{1};
  for (const Style style : {Style::kReference, Style::kLarge, Style::kSample}) {
    const Trace trace =
        Visit(kPlain, {.style = style, .request = 4096, .expect = &payload},
              spec, file, 1);
    EXPECT_EQ(trace.status.code(), core::Code::kCorruption);
    EXPECT_THAT(std::string(trace.status.message()),
                HasSubstr("some_file: payload of sample 1 differs at offset "
                          "2345 of the array (file offset 12345)"));
  }
}

TEST(IndexedBinaryReader, ShortFilesAreCorruption) {
  const FileSpec spec{.samples = 3, .rows = 100, .columns = 100};
  File file = Encode(kPlain, spec);
  file.pop_back();
  for (const Style style : {Style::kReference, Style::kLarge, Style::kSample}) {
    const Trace trace = Visit(kPlain, {.style = style}, spec, file, 2);
    EXPECT_EQ(trace.status.code(), core::Code::kCorruption);
    EXPECT_THAT(std::string(trace.status.message()), HasSubstr("some_file"));
  }
  // What is not asked for is not missed.
  EXPECT_TRUE(Visit(kPlain, {}, spec, file, 1).status.ok());
}

}  // namespace
}  // namespace stoker::formats
