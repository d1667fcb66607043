#pragma once

// dlio_config/{config,overrides,hydra}.yaml: the configuration in the form in
// which the reference's tools look for it.

#include <string>
#include <vector>

#include "core/status.h"

namespace stoker::reporting {

struct HydraFiles {
  // The effective configuration, a YAML document below `workload:`.
  std::string config_yaml;
  // The workload as <model>_<accelerator>: "unet3d_h100". The report tool takes
  // the accelerator from the part after the first '_'.
  std::string workload;
  // As typed, "++workload.a.b=v" and the like. Each holds exactly one '='.
  std::vector<std::string> overrides;
  std::string output_dir;     // full path of the run's folder
  std::string config_folder;  // full path of the workload files
  std::string working_dir;    // where the command was started
  std::string tool_version;
};

// Makes <output_dir>/dlio_config and the three files. overrides.yaml begins
// with "workload=<workload>". Errors name the file.
core::Status WriteHydraFiles(const HydraFiles& files);

}  // namespace stoker::reporting
