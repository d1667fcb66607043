#pragma once

// The phases of a checkpoint command, each on all ranks.

#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/save.h"
#include "config/load.h"
#include "core/clock.h"
#include "core/status.h"
#include "run/phases.h"

namespace stoker::run {

// What is done between saving and restoring, on every host; before restoring
// where nothing is saved.
enum class Between : std::uint8_t {
  kNone,
  kFlush,       // the checkpoints' own pages are written back and let go
  kDropCaches,  // the kernel drops all clean pages (root)
  kCommand
};

struct CheckpointRequest {
  const config::LoadedConfig* config = nullptr;
  std::string model;   // "llama3-8b"
  std::string uri;     // of the place that holds the step folders
  std::string folder;  // of the results, on every host; exists
  checkpoint::IoStyle io = checkpoint::IoStyle::kLean;
  std::uint64_t pool_bytes = 256ULL << 20;
  core::Nanos io_timeout = std::chrono::seconds(60);
  Between between = Between::kNone;
  std::string between_command;  // of kCommand, for /bin/sh
  std::uint64_t keep = 0;       // checkpoints that stay; 0: all
  bool foreign = false;         // RestoreOptions::foreign
  // For what the measured times mean to a training job; both or none.
  std::uint64_t accelerators = 0;
  core::Nanos mtbf{};  // of the whole job
  bool warm_up = false;
  std::string tool;
  std::string command_line;
};

// Collective. Writes all files of the result folder but the metadata.
core::Status RunCheckpointing(const RankContext& context,
                              const CheckpointRequest& request);

// `checkpointing verify DIR`, `checkpointing delete DIR`: `uri` is a step
// folder or a place that holds some. One process. Verify: kCorruption: a
// checkpoint is not whole, and what is wrong was said.
core::Status VerifyCheckpoints(Console& console, core::Clock& clock,
                               const core::CancelFlag& cancel,
                               const std::string& uri);
core::Status DeleteCheckpoints(Console& console, core::Clock& clock,
                               const std::string& uri);

}  // namespace stoker::run
