#pragma once

// A checkpoint run as files and text: the reference's under their names,
// record.json and checkpoints.csv as ours. docs/metrics.md has every field.

#include <optional>
#include <string>

#include "core/status.h"
#include "metrics/checkpoint_record.h"
#include "metrics/checkpoint_summary.h"
#include "metrics/economics.h"

namespace stoker::reporting {

inline constexpr std::string_view kCheckpointsFile = "checkpoints.csv";

// record.json: raw, nothing derived; state as the record says.
core::Status WriteCheckpointRecord(const std::string& path,
                                   const metrics::CheckpointRecord& record);
// summary.json, the reference's keys first (rank 0's view; those without a
// measurement are left out), then ours.
core::Status WriteCheckpointSummary(
    const std::string& path, const metrics::CheckpointRecord& record,
    const metrics::CheckpointSummary& summary,
    const std::optional<metrics::CheckpointEconomics>& economics);
// {rank}_output.json and {rank}_per_epoch_stats.json.
core::Status WriteCheckpointRankReports(
    const std::string& folder, const metrics::CheckpointFacts& facts,
    const metrics::CheckpointRankRecord& rank, const metrics::HostFacts& host);
// checkpoints.csv: a line per rank and checkpoint.
core::Status WriteCheckpointsCsv(const std::string& path,
                                 const metrics::CheckpointRecord& record);
// The reference's block, then ours, as printed at the end.
std::string CheckpointBlock(
    const metrics::CheckpointRecord& record,
    const metrics::CheckpointSummary& summary,
    const std::optional<metrics::CheckpointEconomics>& economics,
    const std::string& folder);

}  // namespace stoker::reporting
