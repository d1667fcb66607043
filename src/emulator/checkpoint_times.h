#pragma once

// After which steps and epochs a training run saves a checkpoint. Pure
// functions; the rules are those of DLIO.

#include <cstdint>

namespace stoker::emulator {

// Steps and epochs count from 1. As they stand here: never.
struct CheckpointTimes {
  // > 0: after each that many steps of an epoch, counted anew in every epoch;
  // 0: never; < 0: at the end of epochs.
  std::int64_t steps_between = 0;
  std::uint32_t after_epoch = 1;
  std::uint32_t epochs_between = 1;  // at least 1
};

// `step`: of its epoch.
bool DueAfterStep(const CheckpointTimes& times, std::uint64_t step);
bool DueAfterEpoch(const CheckpointTimes& times, std::uint32_t epoch);

// The last step of the block that follows step `done` of an epoch of `steps`
// steps; done < steps.
std::uint64_t LastStepOfBlock(const CheckpointTimes& times, std::uint64_t done,
                              std::uint64_t steps);

// Of a whole run.
std::uint64_t CountCheckpoints(const CheckpointTimes& times,
                               std::uint32_t epochs, std::uint64_t steps);

}  // namespace stoker::emulator
