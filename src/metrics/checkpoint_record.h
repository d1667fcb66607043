#pragma once

// What was measured of saving and restoring checkpoints, raw.

#include <cstdint>
#include <string>
#include <vector>

#include "core/clock.h"
#include "metrics/checkpoint_op.h"
#include "metrics/run_facts.h"
#include "metrics/run_record.h"

namespace stoker::metrics {

// What happened between saving and restoring, on one host.
struct BetweenRecord {
  std::string what;  // "none", "flush", "drop-caches", "command"
  core::Nanos duration{};
};

// What a cache of ours in front of the store did, on one rank. Bytes.
struct CacheTierRecord {
  bool known = false;                // there is one
  std::uint64_t staged_bytes = 0;    // saves acknowledged by its device
  std::uint64_t uploaded_bytes = 0;  // and brought to the store by this rank
  // From the end of the last save until the store had everything.
  core::Nanos drain{};
  // Restores, by what served them.
  std::uint64_t restored_device_bytes = 0;
  std::uint64_t restored_memory_bytes = 0;
  std::uint64_t restored_store_bytes = 0;
  friend bool operator==(const CacheTierRecord&,
                         const CacheTierRecord&) = default;
};

// The same on every rank, known before the run.
struct CheckpointFacts {
  std::string model;  // "llama3-8b"
  std::uint32_t num_processes = 1;
  std::uint32_t num_hosts = 1;
  std::uint32_t tensor = 1;
  std::uint32_t pipeline = 1;
  std::uint32_t data = 1;
  std::uint32_t zero_stage = 0;
  bool subset = false;
  std::uint64_t parameters = 0;
  std::uint64_t model_bytes = 0;       // payload of all ranks
  std::uint64_t optimizer_bytes = 0;   // payload of all ranks
  std::uint64_t checkpoint_bytes = 0;  // as the reference reports it
  std::uint64_t stored_bytes = 0;      // of the files of one checkpoint
  std::uint64_t files = 0;             // of one checkpoint
  std::uint64_t saves = 0;             // asked for
  std::uint64_t restores = 0;
  std::string format;  // "torchzip", …
  std::string io;      // "lean", "reference"
  std::string verify;  // "none", "sample", "full"
  bool fsync = false;
  bool rank_sync = false;
  bool rank_shift = false;
  bool compat_v2_0 = false;
  std::string between;  // "none", "flush", "drop-caches", "command"
  double seconds_between_checkpoints = 0;
  std::uint64_t save_id = 0;  // of the bytes written
  // Whether the rules ask for cleared caches between save and restore, and
  // what that was judged by: bytes.
  bool clear_needed = false;
  std::uint64_t largest_bytes_per_host = 0;
  std::string storage_uri;
  std::string backend;
  std::string storage_notes;  // as RunFacts
  std::string engine;
  bool warm_up = false;
  std::string tool_version;
  std::string command_line;
};

struct CheckpointRankRecord {
  std::uint32_t rank = 0;
  std::uint32_t node = 0;
  std::uint32_t local_rank = 0;
  std::uint64_t pool_bytes = 0;
  TimeAnchor anchor;
  // To be added to this rank's times to have rank 0's; off by at most `error`.
  core::Nanos clock_offset{};
  core::Nanos clock_error{};
  std::vector<CheckpointOp> ops;  // in the order they were done
  BetweenRecord between;          // by the rank that leads a host
  CacheTierRecord cache;

  core::TimePoint OnRankZero(core::TimePoint at) const {
    return at + clock_offset;
  }
};

struct CheckpointRecord {
  RunState state = RunState::kRunning;
  CheckpointFacts facts;
  WallTime started{};
  WallTime ended{};
  std::vector<HostFacts> hosts;
  std::vector<CheckpointRankRecord> ranks;  // element r is rank r
};

}  // namespace stoker::metrics
