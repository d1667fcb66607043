#include "cache/theory_drain.h"

#include <gtest/gtest.h>

#include <limits>

namespace stoker::cache {
namespace {

// 1000 bytes from 4 nodes of 50 bytes/s each into a store of 20.
constexpr DrainModel kModel{.checkpoint_bytes = 1000,
                            .nodes = 4,
                            .cache_write_bytes_per_s = 50,
                            .cache_read_bytes_per_s = 100,
                            .peer_bytes_per_s = 25,
                            .store_read_bytes_per_s = 10,
                            .flush_s = 0.5,
                            .store_write_bytes_per_s = 20,
                            .dirty_bytes = 2700,
                            .drain_while_writing = false};

DrainModel Overlapped() {
  DrainModel model = kModel;
  model.drain_while_writing = true;
  return model;
}

TEST(AckSeconds, IsTheTimeToItsLevel) {
  EXPECT_DOUBLE_EQ(AckSeconds(kModel, AckLevel::kLocal), 6);  // 5 + 2 · 0.5
  // Over the network 1000 / (4 · 25) = 10.
  EXPECT_DOUBLE_EQ(AckSeconds(kModel, AckLevel::kLocalPeer), 10);
  EXPECT_DOUBLE_EQ(AckSeconds(kModel, AckLevel::kBacking), 56);  // 6 + 50
  EXPECT_DOUBLE_EQ(AckSeconds(Overlapped(), AckLevel::kBacking), 50);
}

TEST(AckSeconds, APeerThatIsFasterThanTheDeviceCostsNothing) {
  DrainModel model = kModel;
  model.peer_bytes_per_s = 1000;
  EXPECT_DOUBLE_EQ(AckSeconds(model, AckLevel::kLocalPeer), 6);
}

TEST(SafeSeconds, ALocalAcknowledgementIsNotSafeBeforeTheDrain) {
  EXPECT_DOUBLE_EQ(DrainSeconds(kModel), 50);
  EXPECT_DOUBLE_EQ(SafeSeconds(kModel, AckLevel::kLocal), 56);
  EXPECT_DOUBLE_EQ(SafeSeconds(kModel, AckLevel::kLocalPeer), 10);
  EXPECT_DOUBLE_EQ(SafeSeconds(kModel, AckLevel::kBacking), 56);
}

TEST(PeakDirtyBytes, IsWhatTheStoreDoesNotTakeMeanwhile) {
  EXPECT_EQ(PeakDirtyBytes(kModel), 1000);
  // 1 - 20 / 200
  EXPECT_DOUBLE_EQ(PeakDirtyBytes(Overlapped()), 900);
  DrainModel fast = Overlapped();
  fast.store_write_bytes_per_s = 300;
  EXPECT_EQ(PeakDirtyBytes(fast), 0);
}

TEST(Sustainable, DrainsFitBetweenCheckpointsAndRoomIsEnough) {
  EXPECT_TRUE(Sustainable(kModel, 50));
  EXPECT_FALSE(Sustainable(kModel, 49));
  DrainModel tight = kModel;
  tight.dirty_bytes = 950;
  EXPECT_FALSE(Sustainable(tight, 100));
  tight.drain_while_writing = true;
  EXPECT_TRUE(Sustainable(tight, 100));
}

TEST(BackToBackSeconds, TheFirstGoAtTheDevicesRate) {
  // 2700 / 900: three at 5 s each, the others at 50 s.
  EXPECT_DOUBLE_EQ(CheckpointsAtCacheSpeed(kModel), 3);
  EXPECT_DOUBLE_EQ(BackToBackSeconds(kModel, 2), 10);
  EXPECT_DOUBLE_EQ(BackToBackSeconds(kModel, 10), 3 * 5 + 7 * 50);
}

TEST(BackToBackSeconds, AStoreAsFastAsTheDevicesNeverSlowsThem) {
  DrainModel fast = kModel;
  fast.store_write_bytes_per_s = 200;
  EXPECT_EQ(CheckpointsAtCacheSpeed(fast),
            std::numeric_limits<double>::infinity());
  EXPECT_DOUBLE_EQ(BackToBackSeconds(fast, 10), 50);
}

TEST(RecoverySeconds, OtherNodesWaitForTheDrainAndTheStore) {
  EXPECT_DOUBLE_EQ(RecoverySeconds(kModel, true, 400), 2.5);  // 1000 / 400
  EXPECT_DOUBLE_EQ(RecoverySeconds(kModel, false, 0), 25);    // 1000 / 40
  EXPECT_DOUBLE_EQ(RecoverySeconds(kModel, false, 400), 45);  // 20 + 25
}

TEST(ReadBytesPerSecondBeside, IsWhatTheDrainLeaves) {
  EXPECT_EQ(ReadBytesPerSecondBeside(100, 30), 70);
  EXPECT_EQ(ReadBytesPerSecondBeside(100, 130), 0);
}

}  // namespace
}  // namespace stoker::cache
