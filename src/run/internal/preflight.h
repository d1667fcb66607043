#pragma once

// Whether the file systems have room for what a command is about to leave
// there. Space for the data itself is looked at by generators::Generate.

#include <cstdint>
#include <string>

#include "core/status.h"
#include "dataset/names.h"
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

}  // namespace stoker::run::internal
