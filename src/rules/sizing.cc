#include "rules/sizing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "core/units.h"

namespace stoker::rules {

namespace {

using core::Code;
using core::Result;
using core::Status;

// Integers a double holds exactly.
constexpr double kExactDouble = 9007199254740992.0;  // 2^53

bool IsWhole(double value) {
  return value < kExactDouble && std::trunc(value) == value;
}

// Python's `a // b` of two floats, a ≥ 0 and b > 0: the remainder first, so
// that rounding of the quotient cannot carry it over the next whole number.
double FloorDivide(double a, double b) {
  const double quotient = (a - std::fmod(a, b)) / b;
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

std::uint64_t CeilDivide(std::uint64_t a, std::uint64_t b) {
  return (a + b - 1) / b;
}

Status CheckCount(std::int64_t value, std::string_view name) {
  if (value >= 1) return {};
  return {Code::kInvalidArgument,
          fmt::format("cannot size the dataset: {} is {}, must be at least 1",
                      name, value)};
}

Status CheckInput(const SizingInput& input) {
  STOKER_TRY(
      CheckCount(input.samples_per_file, "dataset.num_samples_per_file"));
  STOKER_TRY(CheckCount(input.batch_size, "reader.batch_size"));
  STOKER_TRY(CheckCount(input.accelerators, "the number of accelerators"));
  if (!std::isfinite(input.record_length) || input.record_length < 1) {
    return {Code::kInvalidArgument,
            fmt::format("cannot size the dataset: dataset.record_length_bytes "
                        "is {}, must be at least 1",
                        input.record_length)};
  }
  return {};
}

}  // namespace

SizingInput SizingInputOf(const config::WorkloadConfig& workload,
                          std::int64_t accelerators, std::int64_t hosts,
                          std::int64_t memory_gib_per_host) {
  return {.record_length = workload.dataset.record_length_bytes,
          .samples_per_file = workload.dataset.num_samples_per_file,
          .batch_size = workload.reader.batch_size,
          .accelerators = accelerators,
          .memory_bytes = static_cast<std::uint64_t>(memory_gib_per_host) *
                          core::kGiB * static_cast<std::uint64_t>(hosts)};
}

Result<Sizing> SizeDataset(const SizingInput& input) {
  STOKER_TRY(CheckInput(input));
  const auto per_file = static_cast<std::uint64_t>(input.samples_per_file);
  const std::uint64_t samples_per_step =
      static_cast<std::uint64_t>(input.batch_size) *
      static_cast<std::uint64_t>(input.accelerators);
  const std::uint64_t wanted_bytes = kMemoryMultiple * input.memory_bytes;
  const std::uint64_t wanted_samples = kStepsPerEpoch * samples_per_step;
  const double file_bytes =
      static_cast<double>(input.samples_per_file) * input.record_length;

  Sizing sizing;
  sizing.by_steps = wanted_samples / per_file;
  if (IsWhole(input.record_length) && IsWhole(file_bytes)) {
    const auto whole_file = static_cast<std::uint64_t>(file_bytes);
    sizing.by_memory = wanted_bytes / whole_file;
    sizing.files = std::max(sizing.by_memory, sizing.by_steps);
    sizing.bytes = sizing.files * whole_file;
  } else {
    sizing.by_memory = static_cast<std::uint64_t>(
        FloorDivide(static_cast<double>(wanted_bytes), file_bytes));
    sizing.files = std::max(sizing.by_memory, sizing.by_steps);
    sizing.bytes = static_cast<std::uint64_t>(
        static_cast<double>(sizing.files) * file_bytes);
  }
  sizing.binds = sizing.by_memory > sizing.by_steps ? SizingRule::kMemory
                                                    : SizingRule::kSteps;
  sizing.steps_per_epoch = sizing.files * per_file / samples_per_step;
  sizing.files_for_all_steps =
      std::max(sizing.files, CeilDivide(wanted_samples, per_file));
  if (sizing.files > kFlatFolderFiles) {
    sizing.subfolders =
        std::max<std::uint64_t>(2, sizing.files / kFlatFolderFiles);
  }
  return sizing;
}

HostDemand DemandPerHost(const config::WorkloadConfig& workload,
                         std::int64_t accelerators, std::int64_t hosts) {
  HostDemand demand;
  demand.accelerators = (accelerators + hosts - 1) / hosts;
  const auto count = static_cast<double>(demand.accelerators);
  const double step_seconds = MeanSeconds(workload.train.computation_time);
  if (!(step_seconds > 0)) return demand;
  demand.samples_per_second =
      count * static_cast<double>(workload.reader.batch_size) / step_seconds;
  demand.bytes_per_second =
      demand.samples_per_second * workload.dataset.record_length_bytes;
  demand.floor_bytes_per_second = demand.bytes_per_second * workload.metric.au;
  // The pytorch shape opens a file for each sample, the tensorflow shape reads
  // a file's samples in one go.
  const bool opens_per_sample =
      workload.reader.data_loader == config::DataLoader::kPytorch;
  demand.opens_per_second =
      demand.samples_per_second /
      (opens_per_sample
           ? 1.0
           : static_cast<double>(workload.dataset.num_samples_per_file));
  return demand;
}

double EpochSeconds(const config::WorkloadConfig& workload,
                    std::uint64_t steps) {
  return static_cast<double>(steps) *
         MeanSeconds(workload.train.computation_time);
}

double MeanSeconds(const config::TimeSpec& spec) {
  using Kind = config::TimeSpec::Kind;
  switch (spec.kind) {
    case Kind::kNone:
      return 0;
    case Kind::kConstant:
    case Kind::kNormal:
      return spec.mean;
    case Kind::kUniform:
      return (spec.min + spec.max) / 2;
    case Kind::kGamma:
      return spec.shape * spec.scale;
    case Kind::kExponential:
      return spec.scale;
    case Kind::kPoisson:
      return spec.lam;
  }
  return 0;
}

}  // namespace stoker::rules
