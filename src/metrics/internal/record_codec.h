#pragma once

// The records of this module as packed bytes.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/status.h"
#include "metrics/checkpoint_op.h"
#include "metrics/epoch_summary.h"
#include "metrics/internal/packed.h"
#include "metrics/run_facts.h"
#include "metrics/run_record.h"

namespace stoker::metrics {

// The rank that the records of all come to.
inline constexpr int kRoot = 0;

// Epoch number, blocks, evaluation and meminfo of an epoch: what a summary
// leaves out. Checkpoints are the summary's.
void PackSteps(const EpochRecord& epoch, PackedWriter& out);
void UnpackSteps(PackedReader& in, EpochRecord& epoch);

void PackSummary(const EpochSummary& epoch, PackedWriter& out);
EpochSummary UnpackSummary(PackedReader& in);

// What an op takes.
inline constexpr std::size_t kOpBytes = 176;
void PackOp(const CheckpointOp& op, PackedWriter& out);
CheckpointOp UnpackOp(PackedReader& in);

void PackAnchor(const TimeAnchor& anchor, PackedWriter& out);
TimeAnchor UnpackAnchor(PackedReader& in);

// One host's facts once: by the rank that leads it.
void PackLedHost(bool leads, const HostFacts& host, PackedWriter& out);
// What PackLedHost wrote, the last of the message of `rank` on host `node`:
// counts the rank into that element of `hosts`. kCorruption names the rank if
// the message does not read to its end or has no such host.
core::Status TakeLedHost(PackedReader& in, std::size_t rank, std::uint32_t node,
                         std::vector<HostFacts>& hosts);

void PackRank(const RankFacts& rank, PackedWriter& out);
RankFacts UnpackRank(PackedReader& in);

}  // namespace stoker::metrics
