#pragma once

// <r>_output.json and <r>_per_epoch_stats.json, by each rank of itself.

#include <string>

#include "core/status.h"
#include "metrics/recorder.h"
#include "metrics/run_facts.h"
#include "metrics/run_record.h"

namespace stoker::reporting {

// Writes both files into `folder`, one epoch in memory at a time. `rank.rank`
// and `rank.anchor` name the rank and map its times; `host` is the rank's own
// host, with `ranks` set. Not collective. Errors name the file.
core::Status WriteRankReports(const std::string& folder,
                              const metrics::RunFacts& facts,
                              const metrics::RankFacts& rank,
                              const metrics::HostFacts& host,
                              const metrics::RankRecorder& recorder);

}  // namespace stoker::reporting
