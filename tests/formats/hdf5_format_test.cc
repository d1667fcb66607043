#include "formats/hdf5_format.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "formats/byte_order.h"
#include "formats/hdf5_layout.h"
#include "tests/formats/format_harness.h"

namespace stoker::formats {
namespace {

using stoker::testing::Encode;
using stoker::testing::File;
using stoker::testing::MemoryWriteStream;
using stoker::testing::PatternPayload;

const Hdf5Format kHdf5Format;

TEST(Hdf5Format, ContiguousFileIs2048BytesPayloadAnd8PerSample) {
  EXPECT_EQ(kHdf5Format.FileBytes({.samples = 9, .rows = 5, .columns = 4}),
            2048U + 5 * 4 * 9 + 8 * 9);
  // As h5py makes it: 344,804 bytes, found to be so.
  EXPECT_EQ(kHdf5Format.FileBytes({.samples = 3, .rows = 338, .columns = 338}),
            344'804U);
}

TEST(Hdf5Format, ChunkedFileHasWholeChunksAndTheirIndex) {
  // 4 · 4 chunks a sample: one node of 3136 bytes. h5py makes 486,608 bytes.
  EXPECT_EQ(kHdf5Format.FileBytes(
                {.samples = 3, .rows = 338, .columns = 338, .chunk_edge = 100}),
            486'608U);
  EXPECT_EQ(1400U + 3136 + 3 * 16 * 10'000 + 2048 + 8 * 3, 486'608U);
  // 65 chunks: two leaves and a root.
  EXPECT_EQ(kHdf5Format.FileBytes(
                {.samples = 65, .rows = 50, .columns = 50, .chunk_edge = 50}),
            1400U + 3 * 3136 + 65 * 2500 + 2048 + 8 * 65);
  // Edges larger than the sample's are cut to those.
  EXPECT_EQ(kHdf5Format.FileBytes(
                {.samples = 1, .rows = 50, .columns = 60, .chunk_edge = 1000}),
            1400U + 3136 + 50 * 60 + 2048 + 8);
}

TEST(Hdf5Format, PayloadIsOneArrayAt2048) {
  const FileSpec spec{.index = 6, .samples = 3, .rows = 30, .columns = 41};
  const File file = Encode(kHdf5Format, spec);
  File expected(3 * 30 * 41);
  PatternPayload payload;
  payload.Fill(6, 0, 0, expected);
  EXPECT_TRUE(std::ranges::equal(std::span(file).subspan(2048, expected.size()),
                                 expected));
}

TEST(Hdf5Format, ChunksLieInRowMajorOrderAndAreFilledUpWithZeros) {
  // Two samples of 3 × 5 in chunks of 2 × 2: three chunks beside one another,
  // two below; the chunk at the lower right has one byte of the sample.
  const FileSpec spec{
      .index = 6, .samples = 2, .rows = 3, .columns = 5, .chunk_edge = 2};
  const File file = Encode(kHdf5Format, spec);
  File array(2 * 15);
  PatternPayload payload;
  payload.Fill(6, 0, 0, array);
  const auto chunk = [&file](std::size_t index) {
    const auto begin =
        file.begin() + 1400 + 3136 + static_cast<std::ptrdiff_t>(4 * index);
    return File(begin, begin + 4);
  };
  constexpr std::byte kNone{};
  EXPECT_EQ(chunk(0), (File{array[0], array[1], array[5], array[6]}));
  EXPECT_EQ(chunk(2), (File{array[4], kNone, array[9], kNone}));
  EXPECT_EQ(chunk(3), (File{array[10], array[11], kNone, kNone}));
  EXPECT_EQ(chunk(5), (File{array[14], kNone, kNone, kNone}));
  EXPECT_EQ(chunk(6), (File{array[15], array[16], array[20], array[21]}));
}

TEST(Hdf5Format, ChunksOf4GiBAreRefused) {
  core::SystemClock clock;
  PatternPayload payload;
  MemoryWriteStream out(clock);
  EXPECT_EQ(
      kHdf5Format
          .Encode(
              {.rows = 1U << 16, .columns = 1U << 16, .chunk_edge = 1U << 16},
              payload, out)
          .code(),
      core::Code::kInvalidArgument);
  EXPECT_EQ(out.position(), 0U);
}

TEST(ChunkTree, HasTheNodesThatTheChunksNeed) {
  EXPECT_EQ(hdf5::ChunkTree(1).levels(), 1);
  EXPECT_EQ(hdf5::ChunkTree(64).levels(), 1);
  EXPECT_EQ(hdf5::ChunkTree(65).levels(), 2);
  EXPECT_EQ(hdf5::ChunkTree(64 * 64).levels(), 2);
  const hdf5::ChunkTree tree(64 * 64 + 1);  // 65 leaves, 2 above, 1 root
  EXPECT_EQ(tree.levels(), 3);
  EXPECT_EQ(tree.nodes(0), 65U);
  EXPECT_EQ(tree.nodes(1), 2U);
  EXPECT_EQ(tree.bytes(), 68U * 3136);
  EXPECT_EQ(tree.NodeOffset(2, 0), 1400U);
  EXPECT_EQ(tree.NodeOffset(1, 1), 1400U + 2 * 3136);
  EXPECT_EQ(tree.NodeOffset(0, 0), 1400U + 3 * 3136);
}

TEST(RunAt, RunsOfAllChunksMakeTheArrayOnce) {
  for (const std::uint32_t edge : {1U, 2U, 5U, 7U, 8U, 100U}) {
    const hdf5::Shape shape =
        hdf5::Plan({.samples = 3, .rows = 7, .columns = 8, .chunk_edge = edge})
            .shape;
    std::vector<int> seen(shape.array_bytes());
    for (std::uint64_t at = 0; at < shape.stored_bytes();) {
      const hdf5::Run run = hdf5::RunAt(shape, at, shape.stored_bytes() - at);
      ASSERT_GT(run.bytes, 0U);
      for (std::uint64_t i = 0; i < run.bytes && !run.padding; ++i) {
        ++seen.at(run.offset + i);
      }
      at += run.bytes;
    }
    EXPECT_EQ(seen, std::vector<int>(shape.array_bytes(), 1)) << edge;
  }
}

}  // namespace
}  // namespace stoker::formats
