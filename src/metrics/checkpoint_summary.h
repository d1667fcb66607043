#pragma once

// Every figure of a checkpoint run, by pure functions. Definitions and their
// sources are in docs/metrics.md.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "metrics/checkpoint_record.h"
#include "metrics/ledger.h"
#include "metrics/utilisation.h"

namespace stoker::metrics {

// One checkpoint as all ranks did it. Pointers into the record.
struct CheckpointOps {
  struct OfRank {
    const CheckpointRankRecord* rank = nullptr;
    const CheckpointOp* op = nullptr;
  };
  CheckpointKind kind = CheckpointKind::kSave;
  std::uint64_t step = 0;
  // In order of ranks; a rank that does not have the checkpoint is missing.
  std::vector<OfRank> ranks;
};

// In the order they were done. The same step done again is another checkpoint.
std::vector<CheckpointOps> GroupByCheckpoint(const CheckpointRecord& record);

// Bytes/s; 0 where the span is 0.
double CheckpointRate(std::uint64_t bytes, core::Nanos span);

// What bound the slowest rank: waiting for its own process, being slow alone,
// or else the storage. Thresholds in docs/metrics.md.
enum class CheckpointBound : std::uint8_t { kStorage, kClient, kRank };
// "storage", "client", "one slow rank"
std::string_view BoundName(CheckpointBound bound);

// One checkpoint over all ranks. Rates in bytes/s of CheckpointFacts::
// checkpoint_bytes; 0 where the span is 0.
struct CheckpointFigures {
  CheckpointKind kind = CheckpointKind::kSave;
  std::uint64_t step = 0;
  core::Nanos duration_max{};  // over ranks of end - start
  std::uint32_t slowest_rank = 0;
  double rate_min = 0;        // over ranks of bytes / (end - start)
  core::Nanos strict_span{};  // latest end - earliest start, clocks aligned
  double rate_strict = 0;
  core::Nanos rank0_duration{};
  double rank0_rate = 0;
  core::Nanos fsync_max{};    // over ranks
  core::Nanos stalled_max{};  // over ranks
  core::Nanos content_sum{};  // over ranks; client's own cost
  core::Nanos checksum_sum{};
  core::Nanos cpu_sum{};
  // Restores: of all ranks' file bytes; nothing where no rank could tell.
  std::optional<double> cached_fraction;
  std::optional<std::uint64_t> device_bytes;
  std::uint64_t file_bytes = 0;
  std::uint64_t verified_bytes = 0;
  core::Nanos slowest_stalled{};  // of the slowest rank
  // The slowest rank moved its own bytes at less than two thirds of the median
  // rank's rate.
  bool one_slow_rank = false;
};

// How a restore found its bytes, by what of them was in the page cache of the
// hosts that read them; kUnknown where no rank could tell.
CacheState CacheStateOf(const CheckpointFigures& restore);

// Of all saves, or all restores.
struct CheckpointSeries {
  std::vector<CheckpointFigures> each;  // in order
  MeanStdev duration_max_s;             // s
  MeanStdev rate_min;                   // bytes/s
  MeanStdev rate_strict;
  MeanStdev rank0_duration_s;
  MeanStdev rank0_rate;
  CheckpointBound bound = CheckpointBound::kStorage;
  std::uint32_t slowest_rank = 0;  // the slowest one most often
  core::Nanos cpu_sum{};           // over ranks and checkpoints
  double cpu_s_per_gib = 0;        // CPU s per GiB of files; 0 of none
};

struct CheckpointSummary {
  CheckpointSeries saves;
  CheckpointSeries restores;
  core::Nanos between_max{};      // over hosts
  core::Nanos clock_error_max{};  // of what the strict spans rest on
  // Some restore found at least a tenth of its bytes in page cache.
  bool restored_from_cache = false;
  // Sums over ranks of what a cache of ours did; `drain` is the longest.
  CacheTierRecord cache;
};

// A rank that lacks a checkpoint is left out of its figures; where rank 0 does,
// rank 0's figures of it are 0.
CheckpointSummary SummariseCheckpoints(const CheckpointRecord& record);

}  // namespace stoker::metrics
