#pragma once

// What was measured of one checkpoint on one rank, raw.

#include <cstdint>

#include "core/clock.h"

namespace stoker::metrics {

enum class CheckpointKind : std::uint8_t { kSave, kRestore };

// One checkpoint of one rank. Times are of the rank's own clock; a rank without
// files has first_byte = last_byte = synced = start.
struct CheckpointOp {
  CheckpointKind kind = CheckpointKind::kSave;
  std::uint64_t step = 0;        // of the folder, from 1
  core::TimePoint start{};       // behind the barrier all ranks met at
  core::TimePoint first_byte{};  // save: first request sent; restore: first
                                 // bytes there
  core::TimePoint last_byte{};   // save: last request done; restore: last there
  core::TimePoint synced{};      // save with fsync: the last file's is done
  core::TimePoint end{};
  std::uint64_t files = 0;
  std::uint64_t payload_bytes = 0;  // of tensors
  std::uint64_t file_bytes = 0;     // written or read
  core::Nanos model_part{};         // of end - start: files of the model
  core::Nanos optimizer_part{};     // … of the optimizer
  core::Nanos fsync{};              // inside fsync, summed over files
  // What the client itself cost, beside the storage's own time.
  core::Nanos content{};   // making (save) or comparing (restore) bytes
  core::Nanos checksum{};  // CRC-32
  core::Nanos stalled{};   // save: no request was under way, bytes were not
                           // ready; restore: all were, nobody took them
  core::Nanos cpu{};       // of the process, user and system
  std::uint64_t verified_bytes = 0;  // restore: payload compared
  // Restore: of the files' bytes, in this host's page cache before the first
  // request; known: the back end can tell.
  bool cached_known = false;
  std::uint64_t cached_bytes = 0;
  // Restore: bytes this process made the block layer read (/proc/self/io).
  bool device_known = false;
  std::uint64_t device_bytes = 0;

  core::Nanos duration() const { return end - start; }
  friend bool operator==(const CheckpointOp&, const CheckpointOp&) = default;
};

}  // namespace stoker::metrics
