#pragma once

// What storage is told of the reads that are to come.

#include <memory>

#include "core/status.h"
#include "run/internal/setup.h"
#include "run/phases.h"
#include "run/plan.h"
#include "storage/read_order.h"

namespace stoker::run::internal {

// Collective. The order in which this rank will read the training files, for
// Backend::HintOrder; null where `backend` makes no use of it, or where it is
// not known: then the plan has one warning more.
core::Result<std::unique_ptr<storage::ReadOrder>> OrderOfReads(
    const RankContext& context, const emulator::LoaderData& data,
    const emulator::LoaderOptions& options, RunPlan& plan);

}  // namespace stoker::run::internal
