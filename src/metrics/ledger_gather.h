#pragma once

// The ledger of an epoch at rank 0, from what each rank knows.

#include "comm/communicator.h"
#include "core/status.h"
#include "metrics/ledger.h"

namespace stoker::metrics {

// What one rank knows of an epoch. Of `host` a rank fills in its own sums
// (asked to memory_tier, process_read, requests), the first rank of a host the
// rest as well.
struct RankLedger {
  std::uint32_t epoch = 0;
  HostLedger host;
  storage::Latencies latencies{};
};

// Collective. At rank 0 appends the epoch to `run`, its hosts in order, and
// adds the latencies of all ranks; elsewhere leaves `run` alone. Fails as the
// communicator does; kCorruption if a rank's message does not read.
core::Status GatherLedger(comm::Communicator& comm, const RankLedger& mine,
                          RunLedger& run);

}  // namespace stoker::metrics
