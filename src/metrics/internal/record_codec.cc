#include "metrics/internal/record_codec.h"

#include <fmt/format.h>

#include <utility>

namespace stoker::metrics {
namespace {

// What one item takes at least; every number is 8 bytes.
constexpr std::size_t kStepBytes = 80;
constexpr std::size_t kPairBytes = 16;
constexpr std::size_t kBlockBytes = 32;
constexpr std::size_t kSumsBytes = 160;

using Pairs = std::vector<std::pair<std::string, std::string>>;

void PackPairs(const Pairs& pairs, PackedWriter& out) {
  out.U64(pairs.size());
  for (const auto& [key, value] : pairs) {
    out.Text(key);
    out.Text(value);
  }
}

Pairs UnpackPairs(PackedReader& in) {
  Pairs pairs(in.Count(kPairBytes));
  for (auto& [key, value] : pairs) {
    key = in.Text();
    value = in.Text();
  }
  return pairs;
}

void PackBlock(const BlockRecord& block, PackedWriter& out) {
  out.Point(block.start);
  out.Point(block.end);
  out.U64(block.closed ? 1 : 0);
  out.U64(block.steps.size());
  for (const StepRecord& step : block.steps) {
    out.Span(step.load);
    out.Span(step.compute);
    out.Span(step.proc);
    out.Span(step.barrier);
    out.Span(step.overshoot);
    out.U64(step.samples);
    out.U64(step.bytes);
    out.Span(step.cpu);
    out.Span(step.cpu_main);
    out.Span(step.checking);
  }
}

BlockRecord UnpackBlock(PackedReader& in) {
  BlockRecord block;
  block.start = in.Point();
  block.end = in.Point();
  block.closed = in.Bool();
  block.steps.resize(in.Count(kStepBytes));
  for (StepRecord& step : block.steps) {
    step.load = in.Span();
    step.compute = in.Span();
    step.proc = in.Span();
    step.barrier = in.Span();
    step.overshoot = in.Span();
    step.samples = in.U32();
    step.bytes = in.U64();
    step.cpu = in.Span();
    step.cpu_main = in.Span();
    step.checking = in.Span();
  }
  return block;
}

void PackSums(const BlockSummary& block, PackedWriter& out) {
  const BlockSums& sums = block.sums;
  out.Point(block.start);
  out.Point(block.end);
  out.U64(sums.closed ? 1 : 0);
  out.U64(sums.steps);
  out.Span(sums.wall);
  out.Span(sums.counted_compute);
  out.Span(sums.excluded_proc);
  out.U64(sums.counted_steps);
  out.U64(sums.counted_samples);
  out.U64(sums.counted_bytes);
  out.Span(sums.counted_load);
  out.Span(sums.counted_barrier);
  out.Span(sums.counted_overshoot);
  out.Span(sums.max_overshoot);
  out.Span(sums.total_load);
  out.Span(sums.total_compute);
  out.Span(sums.total_barrier);
  out.Span(sums.total_overshoot);
  out.U64(sums.total_samples);
  out.U64(sums.total_bytes);
}

BlockSummary UnpackSums(PackedReader& in) {
  BlockSummary block;
  BlockSums& sums = block.sums;
  block.start = in.Point();
  block.end = in.Point();
  sums.closed = in.Bool();
  sums.steps = in.U64();
  sums.wall = in.Span();
  sums.counted_compute = in.Span();
  sums.excluded_proc = in.Span();
  sums.counted_steps = in.U64();
  sums.counted_samples = in.U64();
  sums.counted_bytes = in.U64();
  sums.counted_load = in.Span();
  sums.counted_barrier = in.Span();
  sums.counted_overshoot = in.Span();
  sums.max_overshoot = in.Span();
  sums.total_load = in.Span();
  sums.total_compute = in.Span();
  sums.total_barrier = in.Span();
  sums.total_overshoot = in.Span();
  sums.total_samples = in.U64();
  sums.total_bytes = in.U64();
  return block;
}

void PackLoader(const LoaderCounters& loader, PackedWriter& out) {
  out.U64(loader.files_opened);
  out.U64(loader.samples_delivered);
  out.U64(loader.payload_bytes_delivered);
  out.U64(loader.bytes_discarded);
  out.U64(loader.samples_discarded);
  out.U64(loader.unexpected_sizes);
  out.U64(loader.reads.reads);
  out.U64(loader.reads.size_queries);
  out.U64(loader.reads.bytes);
  out.U64(loader.reads.errors);
  out.U64(loader.reads.bytes_from_cache);
  out.U64(loader.reads.bytes_from_memory);
  out.Span(loader.reads.latency_sum);
  out.Span(loader.reads.latency_max);
  out.Span(loader.checking);
}

LoaderCounters UnpackLoader(PackedReader& in) {
  LoaderCounters loader;
  loader.files_opened = in.U64();
  loader.samples_delivered = in.U64();
  loader.payload_bytes_delivered = in.U64();
  loader.bytes_discarded = in.U64();
  loader.samples_discarded = in.U64();
  loader.unexpected_sizes = in.U64();
  loader.reads.reads = in.U64();
  loader.reads.size_queries = in.U64();
  loader.reads.bytes = in.U64();
  loader.reads.errors = in.U64();
  loader.reads.bytes_from_cache = in.U64();
  loader.reads.bytes_from_memory = in.U64();
  loader.reads.latency_sum = in.Span();
  loader.reads.latency_max = in.Span();
  loader.checking = in.Span();
  return loader;
}

void PackHost(const HostFacts& host, PackedWriter& out) {
  out.Text(host.hostname);
  out.U64(host.cpu_count);
  out.U64(host.memory_bytes);
  out.Text(host.processor_name);
  PackPairs(host.cpuinfo, out);
  PackPairs(host.meminfo, out);
  out.U64(host.ranks);
}

HostFacts UnpackHost(PackedReader& in) {
  HostFacts host;
  host.hostname = in.Text();
  host.cpu_count = in.U32();
  host.memory_bytes = in.U64();
  host.processor_name = in.Text();
  host.cpuinfo = UnpackPairs(in);
  host.meminfo = UnpackPairs(in);
  host.ranks = in.U32();
  return host;
}

}  // namespace

void PackSteps(const EpochRecord& epoch, PackedWriter& out) {
  out.U64(epoch.epoch);
  out.U64(epoch.blocks.size());
  for (const BlockRecord& block : epoch.blocks) PackBlock(block, out);
  out.U64(epoch.eval ? 1 : 0);
  if (epoch.eval) PackBlock(*epoch.eval, out);
  PackPairs(epoch.meminfo, out);
}

void UnpackSteps(PackedReader& in, EpochRecord& epoch) {
  epoch.epoch = in.U32();
  epoch.blocks.resize(in.Count(kBlockBytes));
  for (BlockRecord& block : epoch.blocks) block = UnpackBlock(in);
  epoch.eval.reset();
  if (in.Bool()) epoch.eval = UnpackBlock(in);
  epoch.meminfo = UnpackPairs(in);
}

void PackSummary(const EpochSummary& epoch, PackedWriter& out) {
  out.U64(epoch.epoch);
  out.Point(epoch.start);
  out.Point(epoch.train_end);
  out.Point(epoch.end);
  out.U64(epoch.blocks.size());
  for (const BlockSummary& block : epoch.blocks) PackSums(block, out);
  out.U64(epoch.saves.size());
  for (const CheckpointOp& op : epoch.saves) PackOp(op, out);
  out.U64(epoch.eval ? 1 : 0);
  if (epoch.eval) PackSums(*epoch.eval, out);
  PackLoader(epoch.train_loader, out);
  PackLoader(epoch.eval_loader, out);
  out.Span(epoch.cpu.user);
  out.Span(epoch.cpu.system);
  out.Span(epoch.cpu.main);
}

EpochSummary UnpackSummary(PackedReader& in) {
  EpochSummary epoch;
  epoch.epoch = in.U32();
  epoch.start = in.Point();
  epoch.train_end = in.Point();
  epoch.end = in.Point();
  epoch.blocks.resize(in.Count(kSumsBytes));
  for (BlockSummary& block : epoch.blocks) block = UnpackSums(in);
  epoch.saves.resize(in.Count(kOpBytes));
  for (CheckpointOp& op : epoch.saves) op = UnpackOp(in);
  if (in.Bool()) epoch.eval = UnpackSums(in);
  epoch.train_loader = UnpackLoader(in);
  epoch.eval_loader = UnpackLoader(in);
  epoch.cpu.user = in.Span();
  epoch.cpu.system = in.Span();
  epoch.cpu.main = in.Span();
  return epoch;
}

void PackOp(const CheckpointOp& op, PackedWriter& out) {
  out.U64(op.kind == CheckpointKind::kRestore ? 1 : 0);
  out.U64(op.step);
  out.Point(op.start);
  out.Point(op.first_byte);
  out.Point(op.last_byte);
  out.Point(op.synced);
  out.Point(op.end);
  out.U64(op.files);
  out.U64(op.payload_bytes);
  out.U64(op.file_bytes);
  out.Span(op.model_part);
  out.Span(op.optimizer_part);
  out.Span(op.fsync);
  out.Span(op.content);
  out.Span(op.checksum);
  out.Span(op.stalled);
  out.Span(op.cpu);
  out.U64(op.verified_bytes);
  out.U64(op.cached_known ? 1 : 0);
  out.U64(op.cached_bytes);
  out.U64(op.device_known ? 1 : 0);
  out.U64(op.device_bytes);
}

CheckpointOp UnpackOp(PackedReader& in) {
  CheckpointOp op;
  op.kind = in.Bool() ? CheckpointKind::kRestore : CheckpointKind::kSave;
  op.step = in.U64();
  op.start = in.Point();
  op.first_byte = in.Point();
  op.last_byte = in.Point();
  op.synced = in.Point();
  op.end = in.Point();
  op.files = in.U64();
  op.payload_bytes = in.U64();
  op.file_bytes = in.U64();
  op.model_part = in.Span();
  op.optimizer_part = in.Span();
  op.fsync = in.Span();
  op.content = in.Span();
  op.checksum = in.Span();
  op.stalled = in.Span();
  op.cpu = in.Span();
  op.verified_bytes = in.U64();
  op.cached_known = in.Bool();
  op.cached_bytes = in.U64();
  op.device_known = in.Bool();
  op.device_bytes = in.U64();
  return op;
}

void PackAnchor(const TimeAnchor& anchor, PackedWriter& out) {
  out.Span(anchor.wall.time_since_epoch());
  out.Point(anchor.run);
}

TimeAnchor UnpackAnchor(PackedReader& in) {
  TimeAnchor anchor;
  anchor.wall = WallTime(in.Span());
  anchor.run = in.Point();
  return anchor;
}

void PackLedHost(bool leads, const HostFacts& host, PackedWriter& out) {
  out.U64(leads ? 1 : 0);
  if (leads) PackHost(host, out);
}

core::Status TakeLedHost(PackedReader& in, std::size_t rank, std::uint32_t node,
                         std::vector<HostFacts>& hosts) {
  const bool leads = in.Bool();
  HostFacts host;
  if (leads) host = UnpackHost(in);
  if (!in.complete() || node >= hosts.size()) {
    return core::Status(
        core::Code::kCorruption,
        fmt::format("the measurements of rank {} do not read; does every host "
                    "run the same version?",
                    rank));
  }
  const std::uint32_t ranks = hosts[node].ranks + 1;
  if (leads) hosts[node] = std::move(host);
  hosts[node].ranks = ranks;
  return {};
}

void PackRank(const RankFacts& rank, PackedWriter& out) {
  out.U64(rank.rank);
  out.U64(rank.node);
  out.U64(rank.local_rank);
  out.U64(rank.op_stream_hash);
  out.U64(rank.pool_bytes);
  out.Text(rank.engine);
  PackAnchor(rank.anchor, out);
}

RankFacts UnpackRank(PackedReader& in) {
  RankFacts rank;
  rank.rank = in.U32();
  rank.node = in.U32();
  rank.local_rank = in.U32();
  rank.op_stream_hash = in.U64();
  rank.pool_bytes = in.U64();
  rank.engine = in.Text();
  rank.anchor = UnpackAnchor(in);
  return rank;
}

}  // namespace stoker::metrics
