#pragma once

// Bringing the ranks' checkpoint records together.

#include "comm/communicator.h"
#include "core/clock.h"
#include "core/status.h"
#include "metrics/checkpoint_record.h"

namespace stoker::metrics {

// How far this rank's clock is from rank 0's: rank 0's time is this rank's plus
// `offset`, off by at most `error`.
struct ClockOffset {
  core::Nanos offset{};
  core::Nanos error{};
};

// Collective. By barriers that each rank stamps before and after: no rank
// leaves before rank 0 has entered, nor rank 0 before every rank has, which
// bounds the offset from both sides (after Cristian 1989); the narrowest bounds
// of many count. Holds for the time of the call: clocks drift. Ranks of rank
// 0's host share its clock: 0, 0. Fails as the communicator does; kCorruption
// where rank 0's stamps do not read.
core::Result<ClockOffset> AlignClocks(comm::Communicator& comm,
                                      core::Clock& clock);

// Collective. The record at rank 0 (state complete), without times of start and
// end; elsewhere the facts alone. Fills in rank, node and local_rank, and ranks
// of the hosts. Fails as Collect.
core::Result<CheckpointRecord> CollectCheckpoints(
    comm::Communicator& comm, const CheckpointFacts& facts,
    const CheckpointRankRecord& mine, const HostFacts& host);

}  // namespace stoker::metrics
