#include "emulator/checkpoint_times.h"

namespace stoker::emulator {

bool DueAfterStep(const CheckpointTimes& times, std::uint64_t step) {
  return times.steps_between > 0 && step > 0 &&
         step % static_cast<std::uint64_t>(times.steps_between) == 0;
}

bool DueAfterEpoch(const CheckpointTimes& times, std::uint32_t epoch) {
  return times.steps_between < 0 && epoch >= times.after_epoch &&
         (epoch - times.after_epoch) % times.epochs_between == 0;
}

std::uint64_t LastStepOfBlock(const CheckpointTimes& times, std::uint64_t done,
                              std::uint64_t steps) {
  if (times.steps_between <= 0) {
    return steps;
  }
  const auto between = static_cast<std::uint64_t>(times.steps_between);
  const std::uint64_t left = between - done % between;
  return left < steps - done ? done + left : steps;
}

std::uint64_t CountCheckpoints(const CheckpointTimes& times,
                               std::uint32_t epochs, std::uint64_t steps) {
  if (times.steps_between > 0) {
    return epochs * (steps / static_cast<std::uint64_t>(times.steps_between));
  }
  if (times.steps_between == 0 || epochs < times.after_epoch) {
    return 0;
  }
  return 1 + (epochs - times.after_epoch) / times.epochs_between;
}

}  // namespace stoker::emulator
