#include "formats/hdf5_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "formats/hdf5_format.h"
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

const Hdf5Format kFormat;
const FileSpec kContiguous{.samples = 3, .rows = 338, .columns = 338};
// 25 chunks a sample, 75 in all: two leaves below the root.
const FileSpec kChunked{
    .samples = 3, .rows = 100, .columns = 90, .chunk_edge = 20};

// The reads on the way to the dataset, as traced.
std::vector<Read> Opening() {
  return {{0, 8, 8},       {0, 16, 16},     {16, 80, 80},     {96, 512, 512},
          {680, 512, 512}, {136, 544, 544}, {1072, 328, 328}, {800, 512, 512}};
}

std::vector<Read> After(std::vector<Read> reads) {
  std::vector<Read> all = Opening();
  all.insert(all.end(), reads.begin(), reads.end());
  return all;
}

TEST(Hdf5ReferenceReader, ReadsTheSampleInOneAfterTheMetadata) {
  const Trace trace =
      Visit(kFormat, {}, kContiguous, Encode(kFormat, kContiguous), 1);
  EXPECT_EQ(trace.reads, After({{2048 + 114'244, 114'244, 114'244}}));
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{1, 114'244}}));
  EXPECT_EQ(trace.size_queries, 1);
}

TEST(Hdf5ReferenceReader, SmallSamplesComeWithWhatFollowsUpTo64KiB) {
  // As traced: 100 samples of 2500 bytes; the last ones end with the array.
  const FileSpec spec{.samples = 100, .rows = 50, .columns = 50};
  const File file = Encode(kFormat, spec);
  EXPECT_EQ(Visit(kFormat, {}, spec, file, 1).reads,
            After({{4548, 65536, 65536}}));
  EXPECT_EQ(Visit(kFormat, {}, spec, file, 95).reads,
            After({{239'548, 12'500, 12'500}}));
}

TEST(Hdf5ReferenceReader, EachNodeOfTheIndexIsReadOnce) {
  // Sample 2 has chunks 50 to 74; chunk 64 is the first of the second leaf.
  const Trace trace =
      Visit(kFormat, {}, kChunked, Encode(kFormat, kChunked), 2);
  std::vector<Read> expected =
      After({{1400, 3136, 3136}, {1400 + 3136, 3136, 3136}});
  for (std::uint64_t chunk = 50; chunk < 75; ++chunk) {
    if (chunk == 64) {
      expected.push_back({1400 + 2 * 3136, 3136, 3136});
    }
    expected.push_back({1400 + 3 * 3136 + 400 * chunk, 400, 400});
  }
  EXPECT_EQ(trace.reads, expected);
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{2, 9000}}));
}

TEST(Hdf5ReferenceReader, ChunksBeyondTheLibrarysCacheAreReadByRows) {
  // 1025² > 2^20. The chunks on the right hold 3 columns, those below 2 rows.
  const FileSpec spec{.rows = 1027, .columns = 1028, .chunk_edge = 1025};
  const Trace trace = Visit(kFormat, {}, spec, Encode(kFormat, spec));
  ASSERT_EQ(trace.reads.size(), 8U + 1 + 2 * 1027);
  const std::uint64_t chunks = 1400 + 3136;
  const std::uint64_t bytes = 1025 * 1025;
  EXPECT_EQ(trace.reads[9], (Read{chunks, 1025, 1025}));
  EXPECT_EQ(trace.reads[10], (Read{chunks + 1025, 1025, 1025}));
  EXPECT_EQ(trace.reads[9 + 1025], (Read{chunks + bytes, 3, 3}));
  EXPECT_EQ(trace.reads[9 + 2050], (Read{chunks + 2 * bytes, 1025, 1025}));
  EXPECT_EQ(trace.reads[9 + 2053], (Read{chunks + 3 * bytes + 1025, 3, 3}));
}

TEST(Hdf5ReferenceReader, LargeChunksAsWideAsTheSampleAreReadWhole) {
  // As traced, but for the second chunk, which holds 1400 rows of 1000.
  const FileSpec spec{.rows = 3000, .columns = 1000, .chunk_edge = 1600};
  const Trace trace = Visit(kFormat, {}, spec, Encode(kFormat, spec));
  const std::uint64_t chunks = 1400 + 3136;
  EXPECT_EQ(trace.reads, After({{1400, 3136, 3136},
                                {chunks, 1'600'000, 1'600'000},
                                {chunks + 1'600'000, 1'400'000, 1'400'000}}));
}

TEST(Hdf5ReferenceReader, WithoutDataTheIndexOfMillionsOfChunksIsFollowed) {
  // 1000² chunks a sample: levels of 31,250, 489, 8 and 1 nodes.
  const FileSpec spec{
      .samples = 2, .rows = 1000, .columns = 1000, .chunk_edge = 1};
  std::size_t nodes = 0;
  const auto program = kFormat.NewReader({.blind = true});
  const Trace trace = Visit(*program, spec, 1, kFormat.FileBytes(spec),
                            [](std::uint64_t, std::span<std::byte>) {});
  ASSERT_TRUE(trace.status.ok()) << trace.status.ToString();
  for (const Read& read : trace.reads) {
    nodes += read.asked == hdf5::kNodeBytes ? 1 : 0;
  }
  // Leaves 15,625 to 31,249, which nodes 244 to 488 of level 1 hold, which
  // nodes 3 to 7 of level 2 hold, and the root.
  EXPECT_EQ(nodes, 15'625U + 245 + 5 + 1);
  EXPECT_EQ(trace.reads.size(), 8 + nodes + 1'000'000);
}

TEST(Hdf5Reader, SampleStyleReadsNoMetadata) {
  const Trace trace = Visit(kFormat, {.style = Style::kSample, .request = 0},
                            kContiguous, Encode(kFormat, kContiguous), 1);
  // [116,292, 230,536) in pages.
  EXPECT_EQ(trace.reads, (std::vector<Read>{{114'688, 118'784, 118'784}}));
  EXPECT_EQ(trace.size_queries, 0);
  EXPECT_EQ(trace.samples, (std::vector<Sample>{{1, 114'244}}));
}

TEST(Hdf5Reader, EveryStyleNamesTheFirstWrongByte) {
  PatternPayload payload;
  for (const FileSpec& spec : {kContiguous, kChunked}) {
    const bool chunked = spec.chunk_edge > 0;
    File file = Encode(kFormat, spec);
    // Row 1, column 3 of the chunk that begins the second sample.
    const std::size_t at =
        chunked ? 1400 + 3 * 3136 + 25 * 400 + 23 : 2048 + 114'244 + 5000;
    const std::size_t offset = chunked ? 9000 + 90 + 3 : 114'244 + 5000;
    file[at] ^= std::byte{1};
    for (const Style style :
         {Style::kReference, Style::kLarge, Style::kSample}) {
      const Trace trace =
          Visit(kFormat, {.style = style, .request = 4096, .expect = &payload},
                spec, file, 1);
      EXPECT_EQ(trace.status.code(), core::Code::kCorruption);
      EXPECT_THAT(
          std::string(trace.status.message()),
          HasSubstr("some_file: payload of sample 0 differs at offset " +
                    std::to_string(offset) + " of the array (file offset " +
                    std::to_string(at) + ")"));
    }
  }
}

TEST(Hdf5Reader, FillingOfChunksIsNotCompared) {
  PatternPayload payload;
  File file = Encode(kFormat, kChunked);
  // Chunk 4 holds columns 80 to 89 in rows of 20.
  file[1400 + 3 * 3136 + 4 * 400 + 15] = std::byte{1};
  for (const Style style : {Style::kReference, Style::kLarge, Style::kSample}) {
    EXPECT_TRUE(
        Visit(kFormat, {.style = style, .expect = &payload}, kChunked, file)
            .status.ok());
  }
}

TEST(Hdf5Reader, TruncatedFilesAreCorruption) {
  for (const FileSpec& spec : {kContiguous, kChunked}) {
    const File file = Encode(kFormat, spec);
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{7}, std::size_t{90}, std::size_t{1000},
          std::size_t{2047}, file.size() - 1}) {
      for (const Style style : {Style::kReference, Style::kLarge}) {
        const Trace trace = Visit(kFormat, {.style = style}, spec,
                                  std::span(file).first(size), 2);
        EXPECT_EQ(trace.status.code(), core::Code::kCorruption)
            << size << trace.status.ToString();
        EXPECT_THAT(std::string(trace.status.message()),
                    HasSubstr("some_file"));
      }
    }
    EXPECT_FALSE(Visit(kFormat, {.style = Style::kSample}, spec,
                       std::span(file).first(file.size() - 3000), 2)
                     .status.ok());
  }
}

TEST(Hdf5Reader, AnotherShapeIsCorruptionWhereThePayloadIsCompared) {
  PatternPayload payload;
  FileSpec other = kContiguous;
  std::swap(other.samples, other.rows);
  const File file = Encode(kFormat, kContiguous);
  for (const Style style : {Style::kReference, Style::kLarge}) {
    EXPECT_THAT(
        std::string(
            Visit(kFormat, {.style = style, .expect = &payload}, other, file)
                .status.message()),
        HasSubstr("expected \"records\" of (338, 3, 338) contiguous, found "
                  "(3, 338, 338) contiguous"));
  }
}

TEST(Hdf5Reader, ASampleThatTheFileDoesNotHaveIsCorruption) {
  const File file = Encode(kFormat, kContiguous);
  FileSpec more = kContiguous;
  more.samples = 4;
  for (const Style style : {Style::kReference, Style::kLarge}) {
    EXPECT_THAT(
        std::string(
            Visit(kFormat, {.style = style}, more, file, 3).status.message()),
        HasSubstr("expected at least 4 samples"));
  }
}

// No broken byte of the metadata may lead outside the file or the buffers; the
// harness checks the latter. Most of them are noticed.
// Sanitizers make a visit 30 times as slow. Coprime to every field's size, so
// that each kind of field is still met at each of its bytes.
#ifdef STOKER_SANITIZED
constexpr std::size_t kBrokenStep = 7;
#else
constexpr std::size_t kBrokenStep = 1;
#endif

TEST(Hdf5Reader, AnyBrokenMetadataIsSurvived) {
  for (const FileSpec& spec : {kContiguous, kChunked}) {
    File file = Encode(kFormat, spec);
    const std::size_t end = spec.chunk_edge > 0 ? 1400 + 3 * 3136 : 1400;
    for (const Style style : {Style::kReference, Style::kLarge}) {
      const auto program = kFormat.NewReader({.style = style});
      std::size_t noticed = 0;
      for (std::size_t at = 0; at < end; at += kBrokenStep) {
        for (const std::byte flip : {std::byte{0x01}, std::byte{0xFF}}) {
          file[at] ^= flip;
          const Trace trace = Visit(*program, spec, 2, file);
          noticed += trace.status.ok() ? 0U : 1U;
          EXPECT_LE(trace.reads.size(), 40U);
          file[at] ^= flip;
        }
      }
      EXPECT_GT(noticed, 100 / kBrokenStep);
    }
  }
}

}  // namespace
}  // namespace stoker::formats
