#pragma once

// The records of this module as packed bytes.

#include "metrics/checkpoint_op.h"
#include "metrics/epoch_summary.h"
#include "metrics/internal/packed.h"
#include "metrics/run_facts.h"
#include "metrics/run_record.h"

namespace stoker::metrics {

// Epoch number, blocks, evaluation and meminfo of an epoch: what a summary
// leaves out. Checkpoints are the summary's.
void PackSteps(const EpochRecord& epoch, PackedWriter& out);
void UnpackSteps(PackedReader& in, EpochRecord& epoch);

void PackSummary(const EpochSummary& epoch, PackedWriter& out);
EpochSummary UnpackSummary(PackedReader& in);

void PackOp(const CheckpointOp& op, PackedWriter& out);
CheckpointOp UnpackOp(PackedReader& in);

void PackHost(const HostFacts& host, PackedWriter& out);
HostFacts UnpackHost(PackedReader& in);

void PackRank(const RankFacts& rank, PackedWriter& out);
RankFacts UnpackRank(PackedReader& in);

}  // namespace stoker::metrics
