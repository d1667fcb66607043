#include "metrics/internal/checkpoint_codec.h"

#include "metrics/internal/record_codec.h"

namespace stoker::metrics {

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
  out.U64(rank.cache.known ? 1 : 0);
  out.U64(rank.cache.staged_bytes);
  out.U64(rank.cache.uploaded_bytes);
  out.Span(rank.cache.drain);
  out.U64(rank.cache.restored_device_bytes);
  out.U64(rank.cache.restored_memory_bytes);
  out.U64(rank.cache.restored_store_bytes);
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
  rank.cache.known = in.U64() != 0;
  rank.cache.staged_bytes = in.U64();
  rank.cache.uploaded_bytes = in.U64();
  rank.cache.drain = in.Span();
  rank.cache.restored_device_bytes = in.U64();
  rank.cache.restored_memory_bytes = in.U64();
  rank.cache.restored_store_bytes = in.U64();
  return rank;
}

}  // namespace stoker::metrics
