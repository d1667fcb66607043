#pragma once

// What a checkpoint run tells about its beginning, its checkpoints and its end.

#include <cstdint>
#include <optional>
#include <string>

#include "metrics/checkpoint_record.h"
#include "metrics/checkpoint_summary.h"
#include "metrics/economics.h"
#include "run/console.h"

namespace stoker::run::internal {

// Named "run_start".
Event CheckpointStartEvent(const metrics::CheckpointFacts& facts,
                           std::uint64_t pool_bytes);
// Named "save_done" or "restore_done": rank 0's own view, as it is known before
// the ranks are asked.
Event CheckpointDoneEvent(const metrics::CheckpointFacts& facts,
                          const metrics::CheckpointOp& op);
// Named "progress"; of rank 0's files.
struct CheckpointProgress {
  metrics::CheckpointKind kind{};
  std::uint64_t number = 0;  // of `count`
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;  // of `all`
  std::uint64_t all = 0;
  core::Nanos elapsed{};
};
Event CheckpointProgressEvent(const CheckpointProgress& progress);
// Named "summary"; text: the console report.
Event CheckpointSummaryEvent(
    const metrics::CheckpointRecord& record,
    const metrics::CheckpointSummary& summary,
    const std::optional<metrics::CheckpointEconomics>& economics,
    const std::string& folder);

}  // namespace stoker::run::internal
