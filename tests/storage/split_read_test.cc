#include "storage/internal/split_read.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

namespace stoker::storage::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class SplitReadTest : public ::testing::Test {
 protected:
  void Begin(std::size_t bytes, std::uint64_t block_bytes) {
    read_.Begin({.object = ObjectId{3},
                 .offset = 100,
                 .buffer = std::span(memory_).first(bytes),
                 .tag = 7},
                block_bytes);
  }
  std::vector<ReadOp> AllBlocks() {
    std::vector<ReadOp> blocks;
    while (read_.HasNext()) {
      blocks.push_back(read_.Next());
    }
    return blocks;
  }

  std::array<std::byte, 100> memory_{};
  SplitRead read_;
};

TEST_F(SplitReadTest, BlocksFollowEachOtherAndTheLastHasTheRest) {
  Begin(100, 40);
  std::vector<std::pair<std::uint64_t, std::size_t>> ranges;
  for (const ReadOp& block : AllBlocks()) {
    ranges.emplace_back(block.offset, block.buffer.size());
    EXPECT_EQ(block.buffer.data(), memory_.data() + (block.offset - 100));
    EXPECT_EQ(block.object, ObjectId{3});
  }
  EXPECT_THAT(ranges, ElementsAre(Pair(100, 40), Pair(140, 40), Pair(180, 20)));
}

TEST_F(SplitReadTest, IsFinishedOnceEveryBlockIsInAnyOrder) {
  Begin(100, 40);
  const std::vector<ReadOp> blocks = AllBlocks();
  for (const std::size_t i : {2U, 0U}) {
    read_.Ended(blocks[i], blocks[i].buffer.size(), {});
    EXPECT_FALSE(read_.finished());
  }
  read_.Ended(blocks[1], 40, {});
  ASSERT_TRUE(read_.finished());
  const ReadDone done = read_.Take();
  EXPECT_EQ(done.bytes, 100U);
  EXPECT_EQ(done.tag, 7U);
  EXPECT_TRUE(done.status.ok());
}

TEST_F(SplitReadTest, IsNotFinishedWhileABlockIsYetToCome) {
  Begin(100, 50);
  const ReadOp first = read_.Next();
  read_.Ended(first, 50, {});
  EXPECT_FALSE(read_.finished());
}

TEST_F(SplitReadTest, AShortBlockIsTheEndWhateverComesBehindIt) {
  Begin(100, 30);
  const ReadOp first = read_.Next();
  const ReadOp second = read_.Next();
  // The object ends at 30 + 12; what grew meanwhile is not joined to it.
  read_.Ended(second, 12, {});
  EXPECT_FALSE(read_.HasNext());
  EXPECT_FALSE(read_.finished());
  read_.Ended(first, 30, {});
  ASSERT_TRUE(read_.finished());
  EXPECT_EQ(read_.Take().bytes, 42U);
}

TEST_F(SplitReadTest, AFailedBlockFailsTheReadAndStopsIt) {
  Begin(100, 25);
  const ReadOp first = read_.Next();
  const ReadOp second = read_.Next();
  read_.Ended(second, 5, core::Status::FromErrno(EIO, "read"));
  EXPECT_FALSE(read_.HasNext());
  read_.Ended(first, 25, {});
  ASSERT_TRUE(read_.finished());
  const ReadDone done = read_.Take();
  EXPECT_EQ(done.status.os_error(), EIO);
  EXPECT_EQ(done.bytes, 30U);
}

TEST_F(SplitReadTest, WithoutABlockSizeTheReadIsOneBlock) {
  Begin(100, 0);
  const std::vector<ReadOp> blocks = AllBlocks();
  ASSERT_EQ(blocks.size(), 1U);
  EXPECT_EQ(blocks[0].buffer.size(), 100U);
}

TEST_F(SplitReadTest, AReadOfNothingIsOneBlock) {
  Begin(0, 40);
  const std::vector<ReadOp> blocks = AllBlocks();
  ASSERT_EQ(blocks.size(), 1U);
  read_.Ended(blocks[0], 0, {});
  ASSERT_TRUE(read_.finished());
  EXPECT_EQ(read_.Take().bytes, 0U);
}

TEST_F(SplitReadTest, ASizeIsAskedOnce) {
  read_.Begin({.kind = ReadOp::Kind::kSize}, 40);
  const std::vector<ReadOp> blocks = AllBlocks();
  ASSERT_EQ(blocks.size(), 1U);
  read_.Ended(blocks[0], 123'456, {});
  ASSERT_TRUE(read_.finished());
  EXPECT_EQ(read_.Take().bytes, 123'456U);
}

TEST_F(SplitReadTest, KeepsNothingOfTheReadBefore) {
  Begin(100, 40);
  read_.Ended(read_.Next(), 0, core::Status::FromErrno(EIO, "read"));
  Begin(100, 100);
  read_.Ended(read_.Next(), 100, {});
  const ReadDone done = read_.Take();
  EXPECT_TRUE(done.status.ok());
  EXPECT_EQ(done.bytes, 100U);
}

}  // namespace
}  // namespace stoker::storage::internal
