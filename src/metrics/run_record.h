#pragma once

// What was measured, raw. No derived number lives here.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "metrics/checkpoint_op.h"
#include "storage/latencies.h"
#include "storage/read_queue.h"

namespace stoker::metrics {

// One step of one rank. All spans from the rank's own clock.
struct StepRecord {
  core::Nanos load{};       // start_loading → batch available
  core::Nanos compute{};    // just before the sleep → just after
  core::Nanos proc{};       // start_loading → after the sleep
  core::Nanos barrier{};    // after the sleep → all ranks arrived
  core::Nanos overshoot{};  // compute beyond the time asked for
  std::uint32_t samples = 0;
  std::uint64_t bytes = 0;  // payload of the batch
  // CPU time since the step before.
  core::Nanos cpu{};       // of the process
  core::Nanos cpu_main{};  // of that, the accelerator's thread
  core::Nanos checking{};  // of that, estimated: looking at what arrived
};

// A stretch of steps between checkpoints, or an evaluation.
struct BlockRecord {
  core::TimePoint start{};
  core::TimePoint end{};
  bool closed = false;
  std::vector<StepRecord> steps;
};

// What the loader did in one epoch of one rank.
struct LoaderCounters {
  std::uint64_t files_opened = 0;
  std::uint64_t samples_delivered = 0;
  std::uint64_t payload_bytes_delivered = 0;
  // Read ahead and thrown away at the epoch's end.
  std::uint64_t bytes_discarded = 0;
  std::uint64_t samples_discarded = 0;
  // Samples whose size is not the one the configuration implies.
  std::uint64_t unexpected_sizes = 0;
  storage::ReadCounters reads;  // of the epoch
  // Of the epoch; whoever sums up for the ledger takes them out of the record.
  storage::Latencies read_latencies;
  // CPU time of all pumps, estimated from a part, that went into looking at
  // what arrived: layout, checksums, comparison.
  core::Nanos checking{};
};

// CPU time of the process in a span (getrusage).
struct CpuTime {
  core::Nanos user{};
  core::Nanos system{};
  core::Nanos main{};  // of both, the accelerator's thread
};

struct EpochRecord {
  std::uint32_t epoch = 0;  // from 1
  core::TimePoint start{};
  core::TimePoint train_end{};  // end_train: blocks and checkpoints done
  core::TimePoint end{};        // after evaluation
  std::vector<BlockRecord> blocks;
  // Element i followed block i; there may be blocks without.
  std::vector<CheckpointOp> saves;
  std::optional<BlockRecord> eval;
  LoaderCounters train_loader;
  LoaderCounters eval_loader;
  CpuTime cpu;
  // /proc/meminfo when the epoch began; filled by RankRecorder, {} without.
  std::vector<std::pair<std::string, std::string>> meminfo;
};

// Facts of a host, by the rank that leads it.
struct HostFacts {
  std::string hostname;
  std::uint32_t cpu_count = 0;     // logical
  std::uint64_t memory_bytes = 0;  // MemTotal
  std::string processor_name;      // may be ""
  // As the reference collects them: last values of /proc/cpuinfo lines with
  // exactly one colon, key "processor" dropped; /proc/meminfo. In file order.
  std::vector<std::pair<std::string, std::string>> cpuinfo;
  std::vector<std::pair<std::string, std::string>> meminfo;
  std::uint32_t ranks = 0;  // of this run on the host
};

enum class RunState : std::uint8_t { kRunning, kComplete, kAborted };

}  // namespace stoker::metrics
