#include "metrics/utilisation.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace stoker::metrics {
namespace {

struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// The positions list[start:stop] selects in Python from `length` items:
// negative positions count from the end, the rest is cut to the list. The
// reference's figures for odd settings depend on it.
Range Slice(std::int64_t start, std::int64_t stop, std::size_t length) {
  const auto count = static_cast<std::int64_t>(length);
  const auto place = [count](std::int64_t at) {
    return std::clamp(at < 0 ? at + count : at, std::int64_t{0}, count);
  };
  const std::int64_t begin = place(start);
  return {.begin = static_cast<std::size_t>(begin),
          .end = static_cast<std::size_t>(std::max(begin, place(stop)))};
}

std::span<const StepRecord> Part(std::span<const StepRecord> steps,
                                 Range range) {
  return steps.subspan(range.begin, range.end - range.begin);
}

core::Nanos SumProc(std::span<const StepRecord> steps) {
  core::Nanos sum{};
  for (const StepRecord& step : steps) sum += step.proc;
  return sum;
}

// The time every figure of a block is divided by.
core::Nanos CountedTime(const BlockSums& sums) {
  return sums.wall - sums.excluded_proc;
}

// 0 where there is nothing to divide by, so that no report holds a NaN.
double PerSecond(double amount, core::Nanos time) {
  return time == core::Nanos{} ? 0.0 : amount / core::Seconds(time);
}

}  // namespace

bool Counts(const CountedSteps& counted, std::uint64_t step) {
  const auto steps = static_cast<std::int64_t>(counted.epoch_steps);
  const Range range = Slice(counted.exclude_start, steps - counted.exclude_end,
                            static_cast<std::size_t>(counted.epoch_steps));
  return step >= range.begin && step < range.end;
}

BlockSums SumBlock(const BlockRecord& block, const CountedSteps& counted) {
  const std::span<const StepRecord> steps = block.steps;
  const auto length = static_cast<std::int64_t>(steps.size());
  const std::int64_t stop =
      static_cast<std::int64_t>(counted.epoch_steps) - counted.exclude_end;

  BlockSums sums;
  sums.closed = block.closed;
  sums.steps = steps.size();
  if (block.closed) sums.wall = block.end - block.start;
  sums.excluded_proc =
      SumProc(Part(steps, Slice(0, counted.exclude_start, steps.size()))) +
      SumProc(Part(steps, Slice(stop, length, steps.size())));
  for (const StepRecord& step : steps) {
    sums.total_load += step.load;
    sums.total_compute += step.compute;
    sums.total_barrier += step.barrier;
    sums.total_overshoot += step.overshoot;
    sums.total_samples += step.samples;
    sums.total_bytes += step.bytes;
  }
  for (const StepRecord& step :
       Part(steps, Slice(counted.exclude_start, stop, steps.size()))) {
    ++sums.counted_steps;
    sums.counted_compute += step.compute;
    sums.counted_samples += step.samples;
    sums.counted_bytes += step.bytes;
    sums.counted_load += step.load;
    sums.counted_barrier += step.barrier;
    sums.counted_overshoot += step.overshoot;
    sums.max_overshoot = std::max(sums.max_overshoot, step.overshoot);
  }
  return sums;
}

double UtilisationPercent(const BlockSums& sums) {
  if (!sums.closed || sums.counted_compute == core::Nanos{}) return 0;
  return PerSecond(100.0 * core::Seconds(sums.counted_compute),
                   CountedTime(sums));
}

double ReferenceSamplesPerSecond(const BlockSums& sums, std::uint64_t batch) {
  if (!sums.closed) return 0;
  const double steps = static_cast<double>(sums.steps) - 2.0;
  return PerSecond(steps * static_cast<double>(batch), CountedTime(sums));
}

double CountedSamplesPerSecond(const BlockSums& sums) {
  if (!sums.closed) return 0;
  return PerSecond(static_cast<double>(sums.counted_samples),
                   CountedTime(sums));
}

double CountedBytesPerSecond(const BlockSums& sums) {
  if (!sums.closed) return 0;
  return PerSecond(static_cast<double>(sums.counted_bytes), CountedTime(sums));
}

double EvalSamplesPerSecond(const BlockSums& sums, std::uint64_t batch) {
  if (!sums.closed) return 0;
  return PerSecond(static_cast<double>(sums.steps) * static_cast<double>(batch),
                   sums.wall);
}

double WeightedByBlockSteps(std::span<const double> values,
                            std::span<const std::uint64_t> steps) {
  double weighted = 0;
  double weight = 0;
  for (std::size_t i = 0; i < values.size() && i < steps.size(); ++i) {
    weighted += values[i] * static_cast<double>(steps[i]);
    weight += static_cast<double>(steps[i]);
  }
  return weight > 0 ? weighted / weight : 0.0;
}

MeanStdev PopulationMeanStdev(std::span<const double> values) {
  if (values.empty()) return {};
  const auto count = static_cast<double>(values.size());
  const double mean =
      std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {.mean = mean, .stdev = std::sqrt(squares / count)};
}

}  // namespace stoker::metrics
