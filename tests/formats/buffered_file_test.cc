#include "formats/buffered_file.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace stoker::formats {
namespace {

using RawReads = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

// Serves the reads of the operation under way from a file of `size` bytes.
RawReads Serve(BufferedFile& file, std::uint64_t size) {
  RawReads reads;
  for (BufferedFile::RawRead raw = file.Pending(); raw.length > 0;
       raw = file.Pending()) {
    reads.emplace_back(raw.offset, raw.length);
    const std::uint64_t left = size - std::min(size, raw.offset);
    file.Got(std::min(raw.length, left));
  }
  return reads;
}

TEST(BufferedFile, SmallReadFillsTheBuffer) {
  BufferedFile file(4096);
  file.BeginRead(30);
  EXPECT_EQ(Serve(file, 100'000), (RawReads{{0, 4096}}));
  file.BeginRead(4066);
  EXPECT_EQ(Serve(file, 100'000), RawReads{});
  EXPECT_EQ(file.position(), 4096U);
}

TEST(BufferedFile, LargeReadTakesWholeUnitsDirectlyAndTheRestBuffered) {
  BufferedFile file(4096);
  file.BeginRead(96);
  Serve(file, 1'000'000);
  // 4000 bytes are buffered; 10,000 - 4000 = 6000 = 4096 + 1904.
  file.BeginRead(10'000);
  EXPECT_EQ(Serve(file, 1'000'000), (RawReads{{4096, 4096}, {8192, 4096}}));
  EXPECT_EQ(file.position(), 10'096U);
}

TEST(BufferedFile, ReadOfWholeUnitsLeavesTheBufferEmpty) {
  BufferedFile file(4096);
  file.BeginRead(8192);
  EXPECT_EQ(Serve(file, 1'000'000), (RawReads{{0, 8192}}));
  file.BeginRead(1);
  EXPECT_EQ(Serve(file, 1'000'000), (RawReads{{8192, 4096}}));
}

TEST(BufferedFile, ReadPastTheEndFillsTwiceAndStops) {
  BufferedFile file(4096);
  file.BeginRead(500);
  EXPECT_EQ(Serve(file, 100), (RawReads{{0, 4096}, {100, 3996}}));
  EXPECT_EQ(file.position(), 100U);
}

TEST(BufferedFile, SeekWithinTheBufferNeedsNoRead) {
  BufferedFile file(4096);
  file.BeginRead(1000);
  Serve(file, 100'000);
  file.SeekTo(10);
  file.BeginRead(4086);
  EXPECT_EQ(Serve(file, 100'000), RawReads{});
}

TEST(BufferedFile, SeekBackFromAnExhaustedBufferReadsAgain) {
  BufferedFile file(4096);
  file.BeginRead(4096 - 1);
  Serve(file, 100'000);
  file.BeginRead(1);
  file.SeekTo(0);
  file.BeginRead(1);
  EXPECT_EQ(Serve(file, 100'000), (RawReads{{0, 4096}}));
}

TEST(BufferedFile, ReadAllAsksForOneByteMoreAndOnceAgain) {
  BufferedFile file(4096);
  file.SeekAway(978);
  file.BeginReadAll(1000);
  EXPECT_EQ(Serve(file, 1000), (RawReads{{978, 23}, {1000, 1}}));
}

}  // namespace
}  // namespace stoker::formats
