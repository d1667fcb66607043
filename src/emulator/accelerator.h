#pragma once

// One simulated accelerator: computes by sleeping.

#include <cstdint>
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

// When in a computation other work may run: once its time is taken, or also
// after 4 % of the time (2 ms at most, and not where that is less than 30 us),
// when the ranks that share this core have begun theirs.
enum class Meanwhile : std::uint8_t { kAtOnce, kSettled };

// Belongs to one thread.
class Accelerator {
 public:
  // The references outlive the accelerator.
  Accelerator(const TimeSource& source, core::Clock& clock,
              const core::CancelFlag& cancel)
      : source_(source), clock_(clock), sleeper_(clock), cancel_(cancel) {}
  // Sleeps to an absolute deadline; returns early when cancelled. Calls
  // `meanwhile` once on the way, if it is one; what that takes beyond the
  // deadline is not of the computation.
  ComputeTime Compute(const std::function<void()>& meanwhile = {},
                      Meanwhile when = Meanwhile::kAtOnce);

 private:
  TimeSource source_;
  core::Clock& clock_;
  core::PunctualSleeper sleeper_;
  const core::CancelFlag& cancel_;
};

}  // namespace stoker::emulator
