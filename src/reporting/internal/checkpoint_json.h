#pragma once

// What several reports tell of checkpoints, those of training runs as well.

#include <cstdint>
#include <string_view>

#include "metrics/checkpoint_record.h"
#include "metrics/checkpoint_summary.h"
#include "metrics/run_facts.h"
#include "reporting/json.h"

namespace stoker::reporting {

std::string_view KindName(metrics::CheckpointKind kind);  // "save", "restore"
// As the reference calls them: "save", "load".
std::string_view ReferenceKindName(metrics::CheckpointKind kind);

// record.json: raw.
Json OpJson(const metrics::CheckpointOp& op);
// Null without a cache of ours.
Json CacheTierJson(const metrics::CacheTierRecord& cache);
// <r>_per_epoch_stats.json; `bytes` are of the whole checkpoint.
Json StatsJson(std::uint64_t bytes, const metrics::TimeAnchor& anchor,
               const metrics::CheckpointOp& op);
// "metric" of summary.json: the four of a kind, rank 0's; "GB" means GiB. null
// where nothing was measured.
void AddStandardSeries(metrics::CheckpointKind kind,
                       const metrics::CheckpointSeries& series, Json& json);

// The dataset that the reference's reports tell of though a checkpoint run has
// none: its defaults, 8 files of one sample of 64 KiB.
metrics::RunFacts DefaultDataset(const metrics::CheckpointFacts& facts);

}  // namespace stoker::reporting
