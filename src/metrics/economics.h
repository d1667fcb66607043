#pragma once

// What checkpoint times mean to a training job that fails now and then.

#include <cstdint>
#include <optional>

#include "core/clock.h"
#include "metrics/checkpoint_summary.h"

namespace stoker::metrics {

struct CheckpointEconomicsInput {
  core::Nanos save{};     // training stands still so long
  core::Nanos restore{};  // 0: not measured, taken for free
  core::Nanos mtbf{};     // mean time between failures of the whole job; > 0
  std::uint64_t accelerators = 1;
};

// Times in seconds. The first-order optimum is Young's (CACM 17(9), 1974), the
// higher-order one Daly's (FGCS 22(3), 2006, eq. 37), the expected run time
// Daly's (ibid., eq. 20).
struct CheckpointEconomics {
  CheckpointEconomicsInput input;
  double young_interval_s = 0;  // of training between checkpoints
  double daly_interval_s = 0;
  double goodput = 0;  // training time / wall time at Daly's interval
  double lost_accelerator_hours_per_day = 0;
  double lost_to_saving = 0;    // fractions of wall time, that sum with goodput
  double lost_to_failures = 0;  // to 1: saving; rework and restores
};

CheckpointEconomics Economics(const CheckpointEconomicsInput& input);

// The input from a run's mean of the longest durations; nothing where nothing
// was saved.
std::optional<CheckpointEconomicsInput> EconomicsInputOf(
    const CheckpointSummary& summary, std::uint64_t accelerators,
    core::Nanos mtbf);

}  // namespace stoker::metrics
