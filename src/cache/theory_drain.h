#pragma once

// Times of checkpoints that a cache acknowledges and drains to the store
// afterwards. Pure functions, safe for concurrent use.

#include <cstdint>

namespace stoker::cache {

// Where a checkpoint lies when the writer is told that it is safe.
enum class AckLevel : std::uint8_t {
  kLocal,      // on the device of each node that wrote a part
  kLocalPeer,  // and on that of another node
  kBacking,    // in the store
};

// Every rate > 0. Infinite rates are those that never limit.
struct DrainModel {
  double checkpoint_bytes = 0;  // of all nodes together
  std::uint32_t nodes = 1;      // each writes as much; > 0
  // Of one node:
  double cache_write_bytes_per_s = 0;
  double cache_read_bytes_per_s = 0;
  double peer_bytes_per_s = 0;        // over the network, each way
  double store_read_bytes_per_s = 0;  // of what another node can get
  double flush_s = 0;  // one flush of the device; data and log need one each
  // Of all nodes together:
  double store_write_bytes_per_s = 0;
  double dirty_bytes = 0;  // what may be acknowledged and not yet drained
  // Whether what is written is sent on at once, or when the write is done.
  bool drain_while_writing = false;
};

// From the first byte to the acknowledgement: kLocal, bytes / (nodes C_w) and
// two flushes; kLocalPeer, the longer of that and bytes / (nodes peer), which
// leaves out what the peers' copies cost their devices (halve C_w where they
// go to the same ones); kBacking, kLocal and then DrainSeconds, or the longer
// of the two where drain_while_writing.
double AckSeconds(const DrainModel& model, AckLevel level);

// bytes / B_w: what the store takes.
double DrainSeconds(const DrainModel& model);

// From the first byte until it survives the loss of a node that wrote it: as
// for kBacking where the acknowledgement is kLocal, else AckSeconds.
double SafeSeconds(const DrainModel& model, AckLevel level);

// The most that is acknowledged and not drained, of one checkpoint: all of it,
// or bytes (1 - B_w / (nodes C_w)) where drain_while_writing.
double PeakDirtyBytes(const DrainModel& model);

// Whether a checkpoint every `interval_s` (start to start) never waits for
// drains: DrainSeconds fits into it, PeakDirtyBytes into dirty_bytes.
bool Sustainable(const DrainModel& model, double interval_s);

// How many written back to back go at the device's rate, the store draining
// meanwhile: dirty_bytes / (bytes (1 - B_w / (nodes C_w))). The later ones go
// at the store's. Infinite where the store is as fast as the devices.
double CheckpointsAtCacheSpeed(const DrainModel& model);

// Until the last of `checkpoints` written back to back is on the devices,
// without flushes.
double BackToBackSeconds(const DrainModel& model, double checkpoints);

// To read a checkpoint of which the store still lacks `undrained_bytes`: bytes
// / (nodes C_r) on the nodes that wrote it; on others, the rest of the drain
// and then bytes / (nodes B_r).
double RecoverySeconds(const DrainModel& model, bool same_nodes,
                       double undrained_bytes);

// What a drain leaves of a store whose reads and writes share a rate; >= 0.
double ReadBytesPerSecondBeside(double store_bytes_per_s,
                                double drain_bytes_per_s);

}  // namespace stoker::cache
