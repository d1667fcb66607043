#pragma once

// One simulated accelerator: computes by sleeping.

#include <functional>

#include "core/cancel.h"
#include "core/clock.h"
#include "emulator/time_source.h"

namespace stoker::emulator {

// What one step of computation took.
struct ComputeTime {
  core::Nanos taken{};      // measured, overshoot included
  core::Nanos overshoot{};  // beyond the time asked for
};

// Belongs to one thread.
class Accelerator {
 public:
  // The references outlive the accelerator.
  Accelerator(const TimeSource& source, core::Clock& clock,
              const core::CancelFlag& cancel)
      : source_(source), clock_(clock), sleeper_(clock), cancel_(cancel) {}
  // Sleeps to an absolute deadline; returns early when cancelled.
  ComputeTime Compute() { return Compute({}); }
  // Calls `settled` once on the way: after 1 % of the time, 2 ms at most, or
  // before it falls asleep where that is less than 30 us.
  ComputeTime Compute(const std::function<void()>& settled);

 private:
  TimeSource source_;
  core::Clock& clock_;
  core::PunctualSleeper sleeper_;
  const core::CancelFlag& cancel_;
};

}  // namespace stoker::emulator
