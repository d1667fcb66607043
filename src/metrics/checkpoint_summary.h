#pragma once

// Every figure of a checkpoint run, by pure functions. Definitions and their
// sources are in docs/metrics.md.

#include <cstdint>
#include <optional>
#include <vector>

#include "metrics/checkpoint_record.h"
#include "metrics/utilisation.h"

namespace stoker::metrics {

// One checkpoint over all ranks. Rates in bytes/s of CheckpointFacts::
// checkpoint_bytes; 0 where the span is 0.
struct CheckpointFigures {
  CheckpointKind kind = CheckpointKind::kSave;
  std::uint64_t step = 0;
  core::Nanos duration_max{};  // over ranks of end - start
  std::uint32_t slowest_rank = 0;
  double rate_min = 0;         // over ranks of bytes / (end - start)
  core::Nanos strict_span{};   // latest end - earliest start, clocks aligned
  double rate_strict = 0;
  core::Nanos rank0_duration{};
  double rank0_rate = 0;
  core::Nanos fsync_max{};     // over ranks
  core::Nanos stalled_max{};   // over ranks
  core::Nanos content_sum{};   // over ranks; client's own cost
  core::Nanos checksum_sum{};
  core::Nanos cpu_sum{};
  // Restores: of all ranks' file bytes; nothing where no rank could tell.
  std::optional<double> cached_fraction;
  std::optional<std::uint64_t> device_bytes;
  std::uint64_t file_bytes = 0;
  std::uint64_t verified_bytes = 0;
};

// Of all saves, or all restores.
struct CheckpointSeries {
  std::vector<CheckpointFigures> each;  // in order
  MeanStdev duration_max_s;             // s
  MeanStdev rate_min;                   // bytes/s
  MeanStdev rate_strict;
  MeanStdev rank0_duration_s;
  MeanStdev rank0_rate;
};

struct CheckpointSummary {
  CheckpointSeries saves;
  CheckpointSeries restores;
  core::Nanos between_max{};       // over hosts
  core::Nanos clock_error_max{};   // of what the strict spans rest on
  // Some restore found at least a tenth of its bytes in page cache.
  bool restored_from_cache = false;
};

CheckpointSummary SummariseCheckpoints(const CheckpointRecord& record);

}  // namespace stoker::metrics
