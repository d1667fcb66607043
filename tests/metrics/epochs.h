#pragma once

// Epochs made of numbers that are easy to add up by hand.

#include <cstdint>
#include <vector>

#include "core/clock.h"
#include "metrics/run_record.h"

namespace stoker::testing {

inline core::Nanos Millis(std::int64_t count) {
  return std::chrono::milliseconds(count);
}

inline core::TimePoint AtMillis(std::int64_t count) {
  return core::TimePoint(Millis(count));
}

// A step without a barrier: load = proc - compute. 5 ms of CPU time, 1 ms of
// them the accelerator's, 3 ms checks.
inline metrics::StepRecord Step(std::int64_t proc_ms, std::int64_t compute_ms,
                                std::uint32_t samples = 7,
                                std::uint64_t bytes = 700) {
  return {.load = Millis(proc_ms - compute_ms),
          .compute = Millis(compute_ms),
          .proc = Millis(proc_ms),
          .barrier = {},
          .overshoot = {},
          .samples = samples,
          .bytes = bytes,
          .cpu = Millis(5),
          .cpu_main = Millis(1),
          .checking = Millis(3)};
}

inline metrics::BlockRecord Block(std::int64_t start_ms, std::int64_t wall_ms,
                                  std::vector<metrics::StepRecord> steps) {
  return {.start = AtMillis(start_ms),
          .end = AtMillis(start_ms + wall_ms),
          .closed = true,
          .steps = std::move(steps)};
}

// 3.6 s, four steps: process 2.0, 0.5, 0.5, 0.5 s, compute 0.4 s each.
inline metrics::BlockRecord FourSteps(std::int64_t start_ms = 0) {
  return Block(
      start_ms, 3600,
      {Step(2000, 400), Step(500, 400), Step(500, 400), Step(500, 400)});
}

// One block of FourSteps, 4 s in all, 1 s of CPU time: 50 ms of the
// accelerator, 250 ms checks.
inline metrics::EpochRecord FourStepEpoch(std::uint32_t epoch,
                                          std::int64_t start_ms = 0) {
  metrics::EpochRecord record;
  record.epoch = epoch;
  record.start = AtMillis(start_ms);
  record.train_end = AtMillis(start_ms + 3800);
  record.end = AtMillis(start_ms + 4000);
  record.blocks = {FourSteps(start_ms + 100)};
  record.train_loader.checking = Millis(250);
  record.cpu = {.user = Millis(700), .system = Millis(300), .main = Millis(50)};
  return record;
}

}  // namespace stoker::testing
