#pragma once

// An epoch of one rank without its steps: what ranks send to each other.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/clock.h"
#include "metrics/checkpoint_op.h"
#include "metrics/run_record.h"
#include "metrics/utilisation.h"

namespace stoker::metrics {

struct BlockSummary {
  core::TimePoint start{};
  core::TimePoint end{};
  BlockSums sums;
};

struct EpochSummary {
  std::uint32_t epoch = 0;  // from 1
  core::TimePoint start{};
  core::TimePoint train_end{};
  core::TimePoint end{};
  std::vector<BlockSummary> blocks;
  std::vector<CheckpointOp> saves;  // as in EpochRecord
  std::optional<BlockSummary> eval;
  LoaderCounters train_loader;
  LoaderCounters eval_loader;
  CpuTime cpu;
};

}  // namespace stoker::metrics
