#pragma once

// All numbers of a checkpoint run, worked out before it starts, from the
// configuration and the number of ranks. Immutable; pure.

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/archive.h"
#include "checkpoint/model.h"
#include "checkpoint/restore.h"
#include "config/load.h"
#include "core/status.h"

namespace stoker::run {

// Neighbouring ranks that save equal amounts.
struct RankClass {
  std::uint32_t first = 0;
  std::uint32_t last = 0;             // included
  checkpoint::CheckpointBytes bytes;  // of each of these ranks
  std::uint64_t stored_bytes = 0;     // of the files of each

  std::uint32_t ranks() const { return last - first + 1; }
};

struct CheckpointPlan {
  checkpoint::ModelSpec model;
  checkpoint::Layout layout;
  bool subset = false;
  checkpoint::FileFormat format = checkpoint::FileFormat::kTorchZip;
  checkpoint::Verify verify = checkpoint::Verify::kNone;
  std::uint64_t saves = 0;
  std::uint64_t restores = 0;
  bool fsync = false;  // never with --compat v2.0, as the reference
  bool rank_sync = false;
  bool rank_shift = false;  // never with --compat v2.0, as the reference
  bool random = true;
  double seconds_between_checkpoints = 0;  // before each, the first included
  // Sums of one checkpoint.
  std::uint64_t parameters = 0;
  checkpoint::CheckpointBytes bytes;
  std::uint64_t reported_bytes = 0;
  std::uint64_t stored_bytes = 0;  // of the files, what stands around tensors
                                   // included
  std::vector<RankClass> classes;  // by rank; all ranks
  std::vector<std::string> warnings;
};

// kInvalidArgument says which keys contradict each other or the number of
// ranks, and what would do.
core::Result<CheckpointPlan> MakeCheckpointPlan(
    const config::LoadedConfig& config, std::uint32_t ranks);

// Payload bytes of each host with ranks in blocks (as mpirun places them);
// element i is host i.
std::vector<std::uint64_t> BytesPerHost(
    const CheckpointPlan& plan,
    const std::vector<std::uint32_t>& ranks_of_host);

}  // namespace stoker::run
