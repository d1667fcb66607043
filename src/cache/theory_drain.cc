#include "cache/theory_drain.h"

#include <algorithm>
#include <limits>

#include "core/check.h"

namespace stoker::cache {
namespace {

double Devices(const DrainModel& model) {
  STOKER_CHECK(model.nodes > 0 && model.cache_write_bytes_per_s > 0);
  return model.nodes * model.cache_write_bytes_per_s;
}

// Of what is written at the devices' rate, the share that the store, draining
// meanwhile, does not take.
double Piling(const DrainModel& model) {
  return std::max(0.0, 1 - model.store_write_bytes_per_s / Devices(model));
}

}  // namespace

double AckSeconds(const DrainModel& model, AckLevel level) {
  // Data before the record that says they are there.
  constexpr double kFlushes = 2;
  const double local =
      model.checkpoint_bytes / Devices(model) + kFlushes * model.flush_s;
  switch (level) {
    case AckLevel::kLocal:
      break;
    case AckLevel::kLocalPeer:
      return std::max(local, model.checkpoint_bytes /
                                 (model.nodes * model.peer_bytes_per_s));
    case AckLevel::kBacking:
      return model.drain_while_writing ? std::max(local, DrainSeconds(model))
                                       : local + DrainSeconds(model);
  }
  return local;
}

double DrainSeconds(const DrainModel& model) {
  STOKER_CHECK(model.store_write_bytes_per_s > 0);
  return model.checkpoint_bytes / model.store_write_bytes_per_s;
}

double SafeSeconds(const DrainModel& model, AckLevel level) {
  const bool lost_with_node = level == AckLevel::kLocal;
  return AckSeconds(model, lost_with_node ? AckLevel::kBacking : level);
}

double PeakDirtyBytes(const DrainModel& model) {
  return model.checkpoint_bytes *
         (model.drain_while_writing ? Piling(model) : 1);
}

bool Sustainable(const DrainModel& model, double interval_s) {
  return interval_s >= DrainSeconds(model) &&
         model.dirty_bytes >= PeakDirtyBytes(model);
}

double CheckpointsAtCacheSpeed(const DrainModel& model) {
  const double piled = model.checkpoint_bytes * Piling(model);
  if (piled <= 0) return std::numeric_limits<double>::infinity();
  return model.dirty_bytes / piled;
}

double BackToBackSeconds(const DrainModel& model, double checkpoints) {
  STOKER_CHECK(checkpoints >= 0);
  const double fast = std::min(checkpoints, CheckpointsAtCacheSpeed(model));
  return fast * model.checkpoint_bytes / Devices(model) +
         (checkpoints - fast) * DrainSeconds(model);
}

double RecoverySeconds(const DrainModel& model, bool same_nodes,
                       double undrained_bytes) {
  STOKER_CHECK(undrained_bytes >= 0);
  if (same_nodes) {
    return model.checkpoint_bytes /
           (model.nodes * model.cache_read_bytes_per_s);
  }
  return undrained_bytes / model.store_write_bytes_per_s +
         model.checkpoint_bytes / (model.nodes * model.store_read_bytes_per_s);
}

double ReadBytesPerSecondBeside(double store_bytes_per_s,
                                double drain_bytes_per_s) {
  return std::max(0.0, store_bytes_per_s - drain_bytes_per_s);
}

}  // namespace stoker::cache
