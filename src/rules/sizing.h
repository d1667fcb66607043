#pragma once

// How large a training dataset must be for a score to count, and what a run of
// it asks of each client host. Pure arithmetic.

#include <cstdint>

#include "config/run_config.h"
#include "core/status.h"

namespace stoker::rules {

// The dataset holds at least this many times the clients' memory …
inline constexpr std::uint64_t kMemoryMultiple = 5;
// … and at least this many steps of every accelerator.
inline constexpr std::uint64_t kStepsPerEpoch = 500;
// Above this many files a flat folder gets a hint to use subfolders.
inline constexpr std::uint64_t kFlatFolderFiles = 10000;

struct SizingInput {
  double record_length = 0;  // bytes of a sample; may have a fraction
  std::int64_t samples_per_file = 1;
  std::int64_t batch_size = 1;     // samples per step and accelerator
  std::int64_t accelerators = 1;   // over all hosts
  std::uint64_t memory_bytes = 0;  // of all client hosts together
};

// The SizingInput of a workload; memory in whole GiB for each of `hosts`.
SizingInput SizingInputOf(const config::WorkloadConfig& workload,
                          std::int64_t accelerators, std::int64_t hosts,
                          std::int64_t memory_gib_per_host);

enum class SizingRule : std::uint8_t {
  kMemory,  // kMemoryMultiple times the memory asks for more files
  kSteps,   // kStepsPerEpoch steps do, or both ask for the same
};

struct Sizing {
  std::uint64_t by_memory = 0;  // files, rounded down
  std::uint64_t by_steps = 0;   // files, rounded down
  std::uint64_t files = 0;      // the larger of the two
  std::uint64_t bytes = 0;      // files · nominal file size, rounded down
  SizingRule binds = SizingRule::kSteps;
  // Steps an epoch over `files` has. Rounding down may leave one too few (499,
  // quirk Q28); then `files_for_all_steps` has kStepsPerEpoch, else it equals
  // `files`.
  std::uint64_t steps_per_epoch = 0;
  std::uint64_t files_for_all_steps = 0;
  // Subfolders worth having: 0 (flat), or at least 2 (quirk Q43).
  std::uint64_t subfolders = 0;
};

// Rounds as the reference does: whole numbers divide as integers, a record
// length with a fraction makes the division one of doubles (Python's `//`).
// kInvalidArgument: a count below 1, or a record length that is not a finite
// number of at least one byte.
core::Result<Sizing> SizeDataset(const SizingInput& input);

// What one client host must do while its accelerators are fed. Hosts differ by
// at most one accelerator; this is the fullest one.
struct HostDemand {
  std::int64_t accelerators = 0;
  double bytes_per_second = 0;        // accelerators never wait
  double floor_bytes_per_second = 0;  // utilisation just at metric.au
  double samples_per_second = 0;      // accelerators never wait
  double opens_per_second = 0;        // files opened, accelerators never wait
};

// Per accelerator the nominal rate is batch · record length / mean computation
// time. All rates are 0 where the workload computes for no time at all (then
// any storage is too slow). `accelerators` and `hosts` are at least 1.
HostDemand DemandPerHost(const config::WorkloadConfig& workload,
                         std::int64_t accelerators, std::int64_t hosts);

// Seconds an epoch of `steps` takes when accelerators never wait.
double EpochSeconds(const config::WorkloadConfig& workload,
                    std::uint64_t steps);

// Mean of the distribution, before the absolute value is taken of draws.
double MeanSeconds(const config::TimeSpec& spec);

}  // namespace stoker::rules
