#pragma once

// One invocation of a command with a workload: arguments, configuration,
// places.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/history.h"
#include "cli/options.h"
#include "config/load.h"
#include "core/status.h"
#include "run/console.h"

namespace stoker::cli::internal {

run::LogFormat LogFormatOf(const Arguments& arguments);
run::LogLevel LogLevelOf(const Arguments& arguments);

// A verb of a family of commands, and its options.
struct CommandId {
  std::string_view family;  // "training", "checkpointing"
  std::string_view verb;    // "run"
  CommandSet bit = 0;

  bool trains() const { return family == "training"; }
};

struct Job {
  std::string program;  // path the program was started by
  CommandId id;
  std::vector<std::string> words;  // as typed, behind the command
  Arguments arguments;
  std::string workload_folder;
  std::string workload_path;
  std::string workload_name;  // "unet3d_h100", "llama3_8b"
  std::string model;          // "unet3d", "llama3-8b"
  std::string accelerator;    // "h100"; "" for datagen and checkpoints
  config::LoadedConfig config;
  // Of the overrides in `config` those of the user.
  std::vector<std::string> user_overrides;
  std::string uri;  // of the dataset, or of the model's checkpoints
  // Of this invocation, for who ends the process; not owned, may be null.
  const HistoryNote* history = nullptr;

  std::int64_t ranks() const;
  std::vector<std::string> hosts() const;
  std::int64_t host_count() const;  // --num-client-hosts, or of --hosts
  run::LogLevel log_level() const { return LogLevelOf(arguments); }
  run::LogFormat log_format() const { return LogFormatOf(arguments); }
  std::string command_line() const;
};

// Adds the values of --config-file, which win over the command line's.
core::Status MergeSiteFile(CommandSet command, Arguments& arguments);

// That the arguments name hosts, and a workload: --workload, or a --model that
// there is, with what the command needs beside it; or, for commands on a place,
// that place. Any failure is a bad argument (exit status 2).
core::Status CheckWorkloadArguments(std::string_view program,
                                    const CommandId& id,
                                    const Arguments& arguments);

// Finds and loads the workload. The arguments have been checked.
core::Result<Job> MakeJob(const std::string& program, const CommandId& id,
                          std::span<const std::string> words,
                          Arguments arguments);

}  // namespace stoker::cli::internal
