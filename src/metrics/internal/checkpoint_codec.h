#pragma once

// Checkpoint records of a rank as packed bytes.

#include "metrics/checkpoint_record.h"
#include "metrics/internal/packed.h"

namespace stoker::metrics {

void PackCheckpoints(const CheckpointRankRecord& rank, PackedWriter& out);
CheckpointRankRecord UnpackCheckpoints(PackedReader& in);

}  // namespace stoker::metrics
