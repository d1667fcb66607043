#pragma once

// What checkpoints take and ask for, before any is written: the answer of
// `checkpointing datasize`, of --what-if, and the rules' word on a run.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.h"
#include "core/status.h"
#include "run/console.h"
#include "run/sizing_report.h"

namespace stoker::run {

// Copies of the whole model (model.parallelism.data) where the reference would
// write a subset on so many ranks: fewer than CLOSED asks for, and the model
// does not fit a node. None: it would write the whole.
std::optional<std::int64_t> SubsetCopies(const config::LoadedConfig& config,
                                         std::string_view model,
                                         std::int64_t ranks);

struct CheckpointQuestion {
  const config::LoadedConfig* config = nullptr;
  std::string model{};                         // "llama3-8b"
  std::vector<std::uint32_t> ranks_of_host{};  // in blocks; at least one host
  std::int64_t memory_gib_per_host = 0;        // 0: not given
  std::string uri{};                           // of the place
  std::uint64_t pool_bytes = 0;                // of each rank
  std::uint64_t keep = 0;                      // 0: all
  double gib_per_second = 0;                   // of the storage; 0: not given
};

// Bytes of ranks, hosts and run, files, memory, whether caches must be cleared,
// and what fits the place: named "datasize". Looks at the free space of the
// place unless `uri` is empty; what does not fit, or cannot be looked at, is
// said, not an error.
core::Result<Event> DescribeCheckpointSizing(
    const CheckpointQuestion& question);

// The same, named "plan", for --what-if: nothing is looked at.
core::Result<Event> DescribeCheckpointPlan(const CheckpointQuestion& question);

struct CheckpointAdmissionRequest {
  CheckpointQuestion question{};
  std::span<const std::string> overrides{};  // as typed by the user
  bool foreign = false;
  bool reference_io = false;
  bool clears = false;  // all caches between saving and restoring
  bool what_if = false;
  Division division = Division::kNone;
  bool allow_invalid = false;
};

// The rules' word on a run before it starts; nothing on one that cannot be
// planned: whoever plans it says why.
Admission AdmitCheckpoints(const CheckpointAdmissionRequest& request);

}  // namespace stoker::run
