#include "emulator/accelerator.h"

#include <algorithm>

namespace stoker::emulator {

ComputeTime Accelerator::Compute(const std::function<void()>& meanwhile,
                                 Meanwhile when) {
  const core::Nanos wanted = source_.Next();
  const core::TimePoint start = clock_.Now();
  const core::TimePoint deadline = start + wanted;
  if (meanwhile) {
    constexpr core::Nanos kMost = std::chrono::milliseconds(2);
    constexpr core::Nanos kLeast = std::chrono::microseconds(30);
    const core::Nanos rest = std::min(kMost, wanted / 25);
    if (when == Meanwhile::kSettled && rest >= kLeast) {
      clock_.SleepUntil(start + rest);
    }
    meanwhile();
  }
  core::TimePoint now = clock_.Now();
  if (now > deadline) {
    return {.taken = wanted, .overshoot = {}};
  }
  // Long sleeps look at the cancel flag in between.
  constexpr core::Nanos kSlice =
      std::chrono::milliseconds(core::kCancelPollMillis);
  while (now < deadline && !cancel_.IsSet()) {
    const core::TimePoint next = std::min(deadline, now + kSlice);
    if (next == deadline) {
      sleeper_.SleepUntil(next);
    } else {
      clock_.SleepUntil(next);
    }
    now = clock_.Now();
  }
  return {.taken = now - start,
          .overshoot = std::max(core::Nanos{0}, now - deadline)};
}

}  // namespace stoker::emulator
