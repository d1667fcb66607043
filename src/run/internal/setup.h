#pragma once

// What training needs before its first step: the dataset as it lies in the
// store, the loaders, the memory they take.

#include <cstdint>
#include <memory>
#include <string>

#include "dataset/names.h"
#include "dataset/shape.h"
#include "emulator/loader.h"
#include "run/phases.h"
#include "run/plan.h"
#include "storage/backend.h"

namespace stoker::run::internal {

// The dataset a run reads, the same on every rank.
struct Dataset {
  dataset::Naming train;
  dataset::Naming valid;
  std::uint64_t distinct = 0;
  dataset::Shapes shapes;  // train files, then valid files
};

// Collective: rank 0 looks, all are told, and each host sees whether it finds
// the same. kInvalidArgument where a host has no memory for the sizes of the
// files. Errors are agreed upon.
core::Result<Dataset> FindDataset(const RankContext& context,
                                  storage::Backend& backend,
                                  const config::LoadedConfig& config,
                                  const RunPlan& plan);

emulator::LoaderData LoaderDataOf(storage::Backend& backend,
                                  const RunPlan& plan, const Dataset& dataset,
                                  bool valid);

// Collective: that all hosts run the same program with the same configuration,
// and have room for the results. Errors are agreed upon.
core::Status CheckBeforeRun(const RankContext& context,
                            const TrainRequest& request, const RunPlan& plan);

// Of this host, within the limit of the container; UINT64_MAX if nobody says.
std::uint64_t AvailableMemory();

// Whether this host has memory for what its ranks are about to take, and files
// enough may be open. kInvalidArgument with figures and remedy.
core::Status CheckHost(std::uint64_t pool_bytes_per_rank, int ranks_on_host,
                       std::uint64_t files_open_per_rank);

}  // namespace stoker::run::internal
