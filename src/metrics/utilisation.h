#pragma once

// The formulas of the score, each in one place, as pure functions. Definitions
// and their sources are in docs/metrics.md.

#include <cstdint>
#include <span>

#include "core/clock.h"
#include "metrics/run_record.h"

namespace stoker::metrics {

// Sums over a block that every figure is made of; additive raw data that one
// rank can send to another instead of all its steps.
struct BlockSums {
  std::uint64_t steps = 0;        // in the block
  core::Nanos wall{};             // end - start
  core::Nanos counted_compute{};  // Σ compute over counted steps
  core::Nanos excluded_proc{};    // Σ proc over excluded steps
  std::uint64_t counted_steps = 0;
  std::uint64_t counted_samples = 0;
  std::uint64_t counted_bytes = 0;
  core::Nanos counted_load{};
  core::Nanos counted_barrier{};
  core::Nanos counted_overshoot{};
  core::Nanos max_overshoot{};
  core::Nanos total_load{};  // of all steps, as the rest
  core::Nanos total_compute{};
  core::Nanos total_barrier{};
  core::Nanos total_overshoot{};
  std::uint64_t total_samples = 0;
  std::uint64_t total_bytes = 0;
  bool closed = false;
};

// Which steps count: the reference applies positions of the whole epoch to
// each block's own list: [exclude_start, epoch_steps - 1 - exclude_end].
struct CountedSteps {
  std::uint64_t epoch_steps = 0;
  std::int64_t exclude_start = 1;
  std::int64_t exclude_end = 0;
};

// Whether step `step` (from 0) counts of a block that is as long as the epoch.
bool Counts(const CountedSteps& counted, std::uint64_t step);

BlockSums SumBlock(const BlockRecord& block, const CountedSteps& counted);

// 100 · Σ counted compute / (wall − Σ excluded proc); 0 when no compute time
// was counted or the block never closed. Percent.
double UtilisationPercent(const BlockSums& sums);
// (steps − 2) / (wall − Σ excluded proc) · batch: the reference's rate, with
// its fixed 2 (may be negative for one step). Samples/s of one rank.
double ReferenceSamplesPerSecond(const BlockSums& sums, std::uint64_t batch);
// counted samples / (wall − Σ excluded proc). Samples/s of one rank.
double CountedSamplesPerSecond(const BlockSums& sums);
// counted payload bytes / (wall − Σ excluded proc). Bytes/s of one rank.
double CountedBytesPerSecond(const BlockSums& sums);
// Evaluation: steps / wall · batch. Samples/s of one rank.
double EvalSamplesPerSecond(const BlockSums& sums, std::uint64_t batch);

// Σ value_b · steps_b / Σ steps_b over blocks; 0 where there are no steps.
double WeightedByBlockSteps(std::span<const double> values,
                            std::span<const std::uint64_t> steps);

// Population mean and standard deviation (ddof 0); 0, 0 of nothing.
struct MeanStdev {
  double mean = 0;
  double stdev = 0;
};
MeanStdev PopulationMeanStdev(std::span<const double> values);

}  // namespace stoker::metrics
