#pragma once

// What a training run tells about its beginning, its checkpoints, its epochs
// and its end.

#include <cstdint>
#include <span>
#include <string_view>

#include "metrics/collect.h"
#include "metrics/epoch_summary.h"
#include "metrics/run_facts.h"
#include "metrics/summary.h"
#include "run/console.h"

namespace stoker::run::internal {

// `pool_bytes`: memory each rank took for reading.
Event StartEvent(const metrics::RunFacts& facts, std::uint64_t pool_bytes);

// What the cache is expected to do; "cache_expectation".
Event ExpectationEvent(const metrics::CacheOutlook& outlook);

// Rank 0's part of a checkpoint.
Event SaveEvent(const metrics::RunFacts& facts, std::uint32_t epoch,
                const metrics::CheckpointOp& save);

// Element r of `ranks` is rank r's; at least one, each with a block.
Event EpochEvent(const metrics::RunFacts& facts,
                 std::span<const metrics::EpochSummary> ranks);

// Text: the console report. Fields: "metric" of summary.json and the folder.
Event SummaryEvent(const metrics::RunRecord& record,
                   const metrics::RunSummary& summary, std::string_view folder);

}  // namespace stoker::run::internal
