#pragma once

// <program>_<time>_metadata.json: how a command was called, for the
// reference's report tool. Written also for commands that failed.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/status.h"
#include "metrics/run_record.h"
#include "reporting/json.h"

namespace stoker::reporting {

struct CommandOutput {
  std::string command;
  std::string stdout_file;  // full paths
  std::string stderr_file;
};

struct CommandMetadata {
  // Every option by its long name with '_', in order.
  std::vector<std::pair<std::string, Json>> args;
  bool debug = false;
  std::string run_datetime;  // as in the folder's name
  double runtime_seconds = 0;
  // "closed", "open" or "invalid"; none before rules were checked.
  std::optional<std::string> verification;
  std::vector<CommandOutput> outputs;
  std::string folder;         // of the results
  std::string metadata_file;  // name in it, see MetadataFile()
  std::string program_file;   // the executable that ran
  std::string config_folder;  // where workload files are
  std::string config_file;    // "unet3d_h100.yaml"
  // None: commands that ask no host.
  std::vector<metrics::HostFacts> hosts;
  // Overrides as given, flat dotted keys without "workload.".
  std::vector<std::pair<std::string, Json>> params;
  // The workload file, and with the overrides merged in.
  Json yaml_params = Json::MakeObject();
  Json combined_params = Json::MakeObject();
  std::string executed_command;
  std::string benchmark_type = "training";
  bool warm_up = false;  // a run in front of those that count
};

// Field order as the reference's; `cluster_information` holds hosts, memory
// and cores (quirk Q25). Indent 2.
Json MetadataJson(const CommandMetadata& metadata);

// As <folder>/<metadata_file>. May be written again to replace it.
core::Status WriteMetadata(const CommandMetadata& metadata);

}  // namespace stoker::reporting
