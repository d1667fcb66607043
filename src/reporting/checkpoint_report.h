#pragma once

// A checkpoint run as files and text: the reference's under their names,
// record.json and checkpoints.csv as ours. docs/metrics.md has every field.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "metrics/checkpoint_record.h"
#include "metrics/checkpoint_summary.h"
#include "metrics/economics.h"
#include "reporting/json.h"

namespace stoker::reporting {

inline constexpr std::string_view kCheckpointsFile = "checkpoints.csv";

// Everything below that writes fails with an error that names the file.

// record.json: raw, nothing derived; state as the record says. At the start
// facts and start time are enough. MarkAborted and RecordedHosts of
// record_report.h work on it.
Json CheckpointRecordJson(const metrics::CheckpointRecord& record);
core::Status WriteCheckpointRecord(const std::string& path,
                                   const metrics::CheckpointRecord& record);

// summary.json, the reference's keys first (rank 0's view; of saves null where
// nothing was saved, of loads left out), then ours below "stoker". At least one
// host.
Json CheckpointSummaryJson(
    const metrics::CheckpointRecord& record,
    const metrics::CheckpointSummary& summary,
    const std::optional<metrics::CheckpointEconomics>& economics);
core::Status WriteCheckpointSummary(
    const std::string& path, const metrics::CheckpointRecord& record,
    const metrics::CheckpointSummary& summary,
    const std::optional<metrics::CheckpointEconomics>& economics);

// {rank}_output.json and {rank}_per_epoch_stats.json, by each rank of itself;
// `rank.rank` names it, `host` is its own host, with `ranks` set.
core::Status WriteCheckpointRankReports(
    const std::string& folder, const metrics::CheckpointFacts& facts,
    const metrics::CheckpointRankRecord& rank, const metrics::HostFacts& host);

// checkpoints.csv: a line per rank and checkpoint.
core::Status WriteCheckpointsCsv(const std::string& path,
                                 const metrics::CheckpointRecord& record);

// What makes figures doubtful, a sentence each; for console and log.
std::vector<std::string> CheckpointWarnings(
    const metrics::CheckpointRecord& record,
    const metrics::CheckpointSummary& summary);

// The reference's final block: framed lines that start with "[METRIC]".
std::string CheckpointMetricBlock(const metrics::CheckpointRecord& record,
                                  const metrics::CheckpointSummary& summary);
// The reference's block, then ours, as printed at the end.
std::string CheckpointBlock(
    const metrics::CheckpointRecord& record,
    const metrics::CheckpointSummary& summary,
    const std::optional<metrics::CheckpointEconomics>& economics,
    const std::string& folder);

}  // namespace stoker::reporting
