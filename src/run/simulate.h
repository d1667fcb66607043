#pragma once

// A training run in virtual time, to tell what a real one should come to.

#include "core/cancel.h"
#include "core/status.h"
#include "run/phases.h"

namespace stoker::run {

// Runs `request` with `ranks` ranks on one host, each a thread, in virtual
// time: what takes time is computing and a simulated store, and nothing of the
// client. data_uri is a store without data ("model:?...,null:"); the results go
// to its folder. Errors as RunTraining.
core::Result<metrics::RunSummary> SimulateTraining(
    const TrainRequest& request, int ranks, const core::CancelFlag& cancel);

}  // namespace stoker::run
