#pragma once

// What is known about a run before it starts, and about a rank. Facts as given
// or configured, no measurement.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "core/clock.h"
#include "metrics/utilisation.h"

namespace stoker::metrics {

using WallTime =
    std::chrono::time_point<std::chrono::system_clock, core::Nanos>;

// The same moment on a rank's run clock and on its host's wall clock.
struct TimeAnchor {
  WallTime wall{};
  core::TimePoint run{};

  WallTime ToWall(core::TimePoint at) const { return wall + (at - run); }
};

// Checkpoints of a training run, as planned.
struct TrainingCheckpoints {
  std::uint64_t count = 0;  // of the whole run
  std::uint64_t bytes = 0;  // of one, as the reference reports it, or of all
                            // copies where each rank saves one
  std::uint64_t files = 0;  // of one
  std::uint64_t stored_bytes = 0;  // of these
  std::string storage_uri;         // holds the step folders
  std::string format;              // "torchzip", …
  bool fsync = false;
  bool all_ranks = false;  // each rank saves the model, not only the first
};

// The same on every rank; made by the run layer from plan and configuration.
struct RunFacts {
  std::string model;                   // "unet3d"
  std::string accelerator;             // "h100"
  std::uint32_t num_accelerators = 1;  // ranks
  std::uint32_t num_hosts = 1;
  std::uint32_t epochs = 0;           // asked for
  std::uint64_t batch_size = 1;       // samples per step and rank
  std::uint64_t batch_size_eval = 1;  // samples per step and rank
  std::uint64_t num_files_train = 0;
  std::uint64_t num_files_eval = 0;
  // Files of each set as it lies in the store; the first num_files_* are used.
  std::uint64_t dataset_files_train = 0;
  std::uint64_t dataset_files_eval = 0;
  std::uint64_t num_samples_per_file = 1;
  // > 0: so many contents, the other names are links to them.
  std::uint64_t distinct_contents = 0;
  double record_length_bytes = 0;     // nominal: as configured
  std::uint64_t steps_per_epoch = 0;  // of each rank
  std::uint64_t eval_steps = 0;       // of each rank and evaluation
  std::int64_t exclude_start_steps = 1;
  std::int64_t exclude_end_steps = 0;
  double au_target = 0;          // fraction
  std::string computation_time;  // as configured, s
  std::string eval_time;         // as configured, s
  bool evaluation = false;
  std::string storage_uri;
  std::string backend;        // scheme: "file", "mem", …
  std::string storage_notes;  // as storage::NotesOn, "" for real storage
  std::string engine;         // "uring", "threads" or ""
  std::string loader_model;   // "dlio-v2"
  std::string data_loader;    // "pytorch", "tensorflow"
  std::string format;         // "npz", …
  std::uint32_t read_threads = 0;
  std::optional<TrainingCheckpoints> checkpoints;  // if it saves any
  bool compat_v2_0 = false;
  std::int64_t seed = 0;
  bool content_checks = false;
  bool warm_up = false;  // made before the runs that count
  std::string tool_version;
  std::string command_line;
};

// One rank's own. Collect fills in rank, node and local_rank.
struct RankFacts {
  std::uint32_t rank = 0;
  std::uint32_t node = 0;
  std::uint32_t local_rank = 0;
  std::uint64_t op_stream_hash = 0;
  std::uint64_t pool_bytes = 0;  // memory taken for reading
  std::string engine;            // as its queue says
  TimeAnchor anchor;
};

// Of one checkpoint, as the reference reports it; 0 without.
inline std::uint64_t BytesOfCheckpoint(const RunFacts& facts) {
  return facts.checkpoints ? facts.checkpoints->bytes : 0;
}

// The counted steps of training and of evaluation.
inline CountedSteps TrainCounted(const RunFacts& facts) {
  return {.epoch_steps = facts.steps_per_epoch,
          .exclude_start = facts.exclude_start_steps,
          .exclude_end = facts.exclude_end_steps};
}
inline CountedSteps EvalCounted(const RunFacts& facts) {
  return {.epoch_steps = facts.eval_steps,
          .exclude_start = facts.exclude_start_steps,
          .exclude_end = facts.exclude_end_steps};
}

}  // namespace stoker::metrics
