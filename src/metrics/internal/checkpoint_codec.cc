#include "metrics/internal/checkpoint_codec.h"

#include "metrics/internal/record_codec.h"

namespace stoker::metrics {
namespace {

// 22 numbers of 8 bytes.
constexpr std::size_t kOpBytes = 176;

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

}  // namespace

void PackCheckpoints(const CheckpointRankRecord& rank, PackedWriter& out) {
  out.U64(rank.rank);
  out.U64(rank.node);
  out.U64(rank.local_rank);
  out.U64(rank.pool_bytes);
  PackAnchor(rank.anchor, out);
  out.Span(rank.clock_offset);
  out.Span(rank.clock_error);
  out.U64(rank.ops.size());
  for (const CheckpointOp& op : rank.ops) PackOp(op, out);
  out.Text(rank.between.what);
  out.Span(rank.between.duration);
}

CheckpointRankRecord UnpackCheckpoints(PackedReader& in) {
  CheckpointRankRecord rank;
  rank.rank = in.U32();
  rank.node = in.U32();
  rank.local_rank = in.U32();
  rank.pool_bytes = in.U64();
  rank.anchor = UnpackAnchor(in);
  rank.clock_offset = in.Span();
  rank.clock_error = in.Span();
  rank.ops.resize(in.Count(kOpBytes));
  for (CheckpointOp& op : rank.ops) op = UnpackOp(in);
  rank.between.what = in.Text();
  rank.between.duration = in.Span();
  return rank;
}

}  // namespace stoker::metrics
