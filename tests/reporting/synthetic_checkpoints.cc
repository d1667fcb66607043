#include "tests/reporting/synthetic_checkpoints.h"

#include <chrono>
#include <optional>

#include "core/check.h"
#include "core/units.h"
#include "metrics/checkpoint_summary.h"
#include "tests/reporting/synthetic_run.h"

namespace stoker::testing {
namespace {

using metrics::CheckpointKind;

constexpr std::uint32_t kRanks = 4;

core::Nanos Millis(std::int64_t count) {
  return std::chrono::milliseconds(count);
}

metrics::CheckpointOp MakeOp(std::uint64_t step, core::TimePoint start,
                             core::Nanos duration) {
  metrics::CheckpointOp op;
  op.step = step;
  op.start = start;
  op.first_byte = start + Millis(10);
  op.last_byte = start + duration - Millis(200);
  op.synced = op.last_byte;
  op.end = start + duration;
  op.files = 2;
  op.payload_bytes = core::kGiB;
  op.file_bytes = core::kGiB + 1000;
  op.model_part = Millis(300);
  op.optimizer_part = duration - Millis(310);
  op.cpu = Millis(700);
  return op;
}

// `number` is 1 or 2; `start` on the rank's own clock.
metrics::CheckpointOp MakeSave(std::uint64_t number, std::uint32_t rank,
                               core::TimePoint start) {
  const core::Nanos straggler = Millis(number == 1 ? 4000 : 5000);
  metrics::CheckpointOp op =
      MakeOp(number, start, rank < 3 ? Millis(2000) : straggler);
  op.synced = op.end - Millis(50);
  op.fsync = Millis(150);
  op.content = Millis(100);
  op.checksum = Millis(300);
  op.stalled = Millis(50);
  return op;
}

metrics::CheckpointOp MakeRestore(std::uint64_t number, std::uint32_t rank,
                                  core::TimePoint start) {
  metrics::CheckpointOp op =
      MakeOp(number, start, Millis(rank < 3 ? 1000 : 1250));
  op.kind = CheckpointKind::kRestore;
  op.content = Millis(200);
  op.stalled = Millis(100);
  op.verified_bytes = core::kGiB;
  op.cached_known = true;
  op.cached_bytes = number == 2 && rank < 2 ? op.file_bytes : 0;
  op.device_known = true;
  op.device_bytes = op.file_bytes - op.cached_bytes;
  return op;
}

metrics::CheckpointRankRecord MakeRank(std::uint32_t rank) {
  const core::Nanos ahead = rank < 2 ? Millis(0) : Millis(100000);
  metrics::CheckpointRankRecord record;
  record.rank = rank;
  record.node = rank / 2;
  record.local_rank = rank % 2;
  record.pool_bytes = 256 * core::kMiB;
  record.anchor = SyntheticAnchor();
  record.anchor.run += ahead;
  record.clock_offset = -ahead;
  record.clock_error =
      rank < 2 ? core::Nanos{} : core::Nanos(std::chrono::microseconds(5));
  const core::TimePoint zero = record.anchor.run;
  for (const std::uint64_t number : {1U, 2U}) {
    const auto late = static_cast<std::int64_t>(20000 * (number - 1));
    record.ops.push_back(
        MakeSave(number, rank, zero + Millis(10000 + late + 100 * rank)));
  }
  for (const std::uint64_t number : {1U, 2U}) {
    const auto late = static_cast<std::int64_t>(20000 * (number - 1));
    record.ops.push_back(
        MakeRestore(number, rank, zero + Millis(100000 + late)));
  }
  if (record.local_rank == 0) {
    record.between = {.what = "drop-caches",
                      .duration = Millis(1500 + 500 * rank)};
  }
  return record;
}

}  // namespace

metrics::CheckpointFacts SyntheticCheckpointFacts() {
  metrics::CheckpointFacts facts;
  facts.model = "llama3-8b";
  facts.num_processes = kRanks;
  facts.num_hosts = 2;
  facts.data = kRanks;
  facts.zero_stage = 3;
  facts.parameters = 300000000;
  facts.model_bytes = core::kGiB;
  facts.optimizer_bytes = 3 * core::kGiB;
  facts.checkpoint_bytes = 4 * core::kGiB;
  facts.stored_bytes = 4 * (core::kGiB + 1000);
  facts.files = 8;
  facts.saves = 2;
  facts.restores = 2;
  facts.format = "torchzip";
  facts.io = "lean";
  facts.verify = "full";
  facts.fsync = true;
  facts.between = "drop-caches";
  facts.seconds_between_checkpoints = 5;
  facts.save_id = 0xAB;
  facts.clear_needed = true;
  facts.largest_bytes_per_host = 2 * core::kGiB;
  facts.storage_uri = "file:///data/llama3-8b";
  facts.backend = "file";
  facts.engine = "uring";
  facts.tool_version = "0.1.0";
  facts.command_line = "stoker checkpointing run --model llama3-8b";
  return facts;
}

metrics::CheckpointRecord SyntheticCheckpoints() {
  metrics::CheckpointRecord record;
  record.state = metrics::RunState::kComplete;
  record.facts = SyntheticCheckpointFacts();
  record.started = SyntheticAnchor().wall;
  record.ended = record.started + std::chrono::seconds(125);
  metrics::HostFacts host = SyntheticHost();
  record.hosts.push_back(host);
  host.hostname = "node2";
  host.memory_bytes = 2 * core::kGiB;
  record.hosts.push_back(host);
  for (std::uint32_t rank = 0; rank < kRanks; ++rank)
    record.ranks.push_back(MakeRank(rank));
  return record;
}

metrics::CheckpointRecord SyntheticRestores() {
  metrics::CheckpointRecord record = SyntheticCheckpoints();
  record.facts.saves = 0;
  for (metrics::CheckpointRankRecord& rank : record.ranks)
    rank.ops.erase(rank.ops.begin(), rank.ops.begin() + 2);
  return record;
}

metrics::CheckpointEconomics SyntheticEconomics() {
  const std::optional<metrics::CheckpointEconomicsInput> input =
      metrics::EconomicsInputOf(
          metrics::SummariseCheckpoints(SyntheticCheckpoints()), 1024,
          std::chrono::hours(10));
  STOKER_CHECK(input.has_value());
  return metrics::Economics(*input);
}

}  // namespace stoker::testing
