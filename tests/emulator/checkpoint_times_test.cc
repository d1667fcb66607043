#include "emulator/checkpoint_times.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace stoker::emulator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::uint64_t> StepsOf(const CheckpointTimes& times,
                                   std::uint64_t steps) {
  std::vector<std::uint64_t> due;
  for (std::uint64_t step = 0; step <= steps; ++step) {
    if (DueAfterStep(times, step)) {
      due.push_back(step);
    }
  }
  return due;
}

std::vector<std::uint32_t> EpochsOf(const CheckpointTimes& times,
                                    std::uint32_t epochs) {
  std::vector<std::uint32_t> due;
  for (std::uint32_t epoch = 1; epoch <= epochs; ++epoch) {
    if (DueAfterEpoch(times, epoch)) {
      due.push_back(epoch);
    }
  }
  return due;
}

// The last steps of an epoch's blocks.
std::vector<std::uint64_t> BlocksOf(const CheckpointTimes& times,
                                    std::uint64_t steps) {
  std::vector<std::uint64_t> lasts;
  for (std::uint64_t done = 0; done < steps; done = lasts.back()) {
    lasts.push_back(LastStepOfBlock(times, done, steps));
  }
  return lasts;
}

TEST(CheckpointTimes, WithoutSettingsNothingIsDue) {
  EXPECT_THAT(StepsOf({}, 10), IsEmpty());
  EXPECT_THAT(EpochsOf({}, 10), IsEmpty());
  EXPECT_THAT(BlocksOf({}, 10), ElementsAre(10));
  EXPECT_EQ(CountCheckpoints({}, 10, 10), 0U);
}

TEST(CheckpointTimes, StepsAreMultiplesWithinTheEpoch) {
  const CheckpointTimes times{.steps_between = 3};
  EXPECT_THAT(StepsOf(times, 7), ElementsAre(3, 6));
  EXPECT_THAT(BlocksOf(times, 7), ElementsAre(3, 6, 7));
  // A new epoch counts anew: 2 of each epoch, not 14 / 3.
  EXPECT_EQ(CountCheckpoints(times, 2, 7), 4U);
  // With a trigger by steps there is none by epochs.
  EXPECT_THAT(EpochsOf(times, 10), IsEmpty());
}

TEST(CheckpointTimes, ACheckpointAfterTheLastStepBeginsNoBlock) {
  const CheckpointTimes times{.steps_between = 3};
  EXPECT_THAT(StepsOf(times, 6), ElementsAre(3, 6));
  EXPECT_THAT(BlocksOf(times, 6), ElementsAre(3, 6));
  EXPECT_THAT(BlocksOf({.steps_between = 1}, 3), ElementsAre(1, 2, 3));
}

TEST(CheckpointTimes, MoreStepsThanAnEpochHasAreNeverDue) {
  const CheckpointTimes times{.steps_between = INT64_MAX};
  EXPECT_THAT(StepsOf(times, 6), IsEmpty());
  EXPECT_THAT(BlocksOf(times, 6), ElementsAre(6));
  EXPECT_EQ(CountCheckpoints(times, 5, 6), 0U);
}

TEST(CheckpointTimes, EpochsBeginWithOneAndGoOnAtADistance) {
  // unet3d's: after 5, then every 2.
  const CheckpointTimes unet3d{
      .steps_between = -1, .after_epoch = 5, .epochs_between = 2};
  EXPECT_THAT(EpochsOf(unet3d, 5), ElementsAre(5));
  EXPECT_THAT(EpochsOf(unet3d, 10), ElementsAre(5, 7, 9));
  EXPECT_THAT(EpochsOf(unet3d, 4), IsEmpty());
  EXPECT_THAT(EpochsOf({.steps_between = -1}, 3), ElementsAre(1, 2, 3));
  EXPECT_THAT(BlocksOf(unet3d, 6), ElementsAre(6));
  EXPECT_EQ(CountCheckpoints(unet3d, 4, 6), 0U);
  EXPECT_EQ(CountCheckpoints(unet3d, 5, 6), 1U);
  EXPECT_EQ(CountCheckpoints(unet3d, 10, 6), 3U);
}

TEST(CheckpointTimes, TheCountIsOfWhatIsDue) {
  for (const std::int64_t between : {-1, 0, 1, 2, 5, 9}) {
    for (const std::uint32_t epochs : {1U, 2U, 7U}) {
      for (const std::uint64_t steps : {1U, 4U, 10U}) {
        const CheckpointTimes times{
            .steps_between = between, .after_epoch = 2, .epochs_between = 3};
        EXPECT_EQ(CountCheckpoints(times, epochs, steps),
                  epochs * StepsOf(times, steps).size() +
                      EpochsOf(times, epochs).size())
            << between << " " << epochs << " " << steps;
      }
    }
  }
}

}  // namespace
}  // namespace stoker::emulator
