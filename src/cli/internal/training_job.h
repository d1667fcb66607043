#pragma once

// One invocation of a training command: arguments, configuration, places.

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

struct TrainingJob {
  std::string program;             // path the program was started by
  std::string command;             // "run"
  std::vector<std::string> words;  // as typed, behind the command
  Arguments arguments;
  std::string workload_folder;
  std::string workload_path;
  std::string workload_name;  // "unet3d_h100"
  std::string model;          // "unet3d"
  std::string accelerator;    // "h100"; "" for datagen
  config::LoadedConfig config;
  std::string data_uri;
  // Of this invocation, for who ends the process; not owned, may be null.
  const HistoryNote* history = nullptr;

  std::int64_t ranks() const;
  std::vector<std::string> hosts() const;
  std::int64_t host_count() const;  // --num-client-hosts, or of --hosts
  run::LogLevel log_level() const;
  run::LogFormat log_format() const;
  std::string command_line() const;
};

// Adds the values of --config-file, which win over the command line's.
core::Status MergeSiteFile(CommandSet command, Arguments& arguments);

// That the arguments name hosts, and a workload: --workload, or a --model that
// there is, with what the command needs beside it. Any failure is a bad
// argument (exit status 2).
core::Status CheckWorkloadArguments(std::string_view program,
                                    std::string_view command,
                                    const Arguments& arguments);

// Finds and loads the workload. The arguments have been checked.
core::Result<TrainingJob> MakeJob(const std::string& program,
                                  std::string_view command,
                                  std::span<const std::string> words,
                                  Arguments arguments);

// The commands; each returns the exit status.
int RunDatasizeCommand(const TrainingJob& job);
int RunConfigviewCommand(const TrainingJob& job);
int RunDatagenCommand(const TrainingJob& job);
int RunTrainingCommand(const TrainingJob& job);

}  // namespace stoker::cli::internal
