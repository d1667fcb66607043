#pragma once

// Every rank's steps of an epoch at rank 0.

#include <vector>

#include "comm/communicator.h"
#include "core/status.h"
#include "metrics/run_record.h"

namespace stoker::metrics {

// Collective. At rank 0, element r holds the epoch number, blocks and
// evaluation of rank r (nothing else of the record); elsewhere {}. Fails as the
// communicator does; kCorruption if a rank's message does not read.
core::Result<std::vector<EpochRecord>> GatherSteps(comm::Communicator& comm,
                                                   const EpochRecord& mine);

}  // namespace stoker::metrics
