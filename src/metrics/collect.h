#pragma once

// The record of a whole run at rank 0, from what each rank recorded.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "core/histogram.h"
#include "core/status.h"
#include "metrics/cache_outlook.h"
#include "metrics/epoch_summary.h"
#include "metrics/ledger.h"
#include "metrics/recorder.h"
#include "metrics/run_facts.h"
#include "metrics/run_record.h"

namespace stoker::metrics {

struct RankRecord {
  RankFacts facts;
  std::vector<EpochSummary> epochs;
};

// Raw: what was given and measured; every derived number is in RunSummary.
struct RunRecord {
  RunState state = RunState::kRunning;
  std::string cause;  // why it was aborted, else ""
  RunFacts facts;
  WallTime started{};
  WallTime ended{};
  std::vector<HostFacts> hosts;   // in order of their lowest rank
  std::vector<RankRecord> ranks;  // element r is rank r
  std::string op_stream_hash;     // of all ranks; set by the caller
  // Of each counted training step the longest wait for a batch, of all ranks,
  // ns; set by the caller.
  core::Histogram longest_loads;
  // Where the bytes came from; set by the caller, nothing where nobody watched.
  std::optional<RunLedger> ledger;
  std::optional<CacheOutlook> cache;  // with one of ours; set by the caller
};

// Collective. At rank 0: state kComplete, facts, all hosts and ranks; the
// caller adds times, op_stream_hash, longest_loads, ledger and cache.
// Elsewhere: facts only. `host` is used from each host's first rank, its count
// of ranks is filled in here. Fails as the communicator does; kCorruption if a
// rank's message does not read (ranks that run different programs).
core::Result<RunRecord> Collect(comm::Communicator& comm, const RunFacts& facts,
                                const RankFacts& rank, const HostFacts& host,
                                const RankRecorder& recorder);

}  // namespace stoker::metrics
