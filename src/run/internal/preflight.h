#pragma once

// Whether the file systems have room for what a command is about to leave
// there. Space for the data itself is looked at by generators::Generate.

#include <cstdint>
#include <string>

#include "core/status.h"
#include "dataset/names.h"
#include "run/checkpoint_plan.h"
#include "run/plan.h"
#include "storage/backend.h"

namespace stoker::run::internal {

struct ResultsNeed {
  std::uint64_t bytes = 0;
  std::uint64_t files = 0;
};

// About what the result folder of a run takes: a row of steps.csv and its
// share of <rank>_output.json per step and rank, memory tables per epoch and
// rank, and the files of fixed size. Errs on the high side.
ResultsNeed NeedOfResults(const RunPlan& plan, std::uint64_t ranks);

// Of the file system of `folder`, which exists. kIoError with ENOSPC, the
// figures and the remedy.
core::Status CheckResultsRoom(const std::string& folder,
                              const ResultsNeed& need);

// Whether `files` more names fit, of which some may be there already: they are
// counted only where they matter. Errors as above.
core::Status CheckObjectRoom(storage::Backend& backend, std::uint64_t files);

// What saving takes at most at a time, of bytes and of objects (files,
// manifests and step folders). `keep` checkpoints stay, 0: all; one more is
// there while it is being written. `there` of the run's step folders hold
// checkpoints already: these are replaced name by name, each file once the new
// one is whole.
struct CheckpointRoom {
  std::uint64_t bytes = 0;
  std::uint64_t objects = 0;
};
CheckpointRoom RoomOfCheckpoints(const CheckpointPlan& plan, std::uint64_t keep,
                                 std::uint64_t there = 0);

// Whether there is that room where so much is free; UINT64_MAX: unlimited, or
// unknown. kIoError with ENOSPC, the figures and the remedy.
core::Status CheckRoomForCheckpoints(std::uint64_t free_bytes,
                                     std::uint64_t free_objects,
                                     const CheckpointPlan& plan,
                                     std::uint64_t keep,
                                     std::uint64_t there = 0);

}  // namespace stoker::run::internal
