#pragma once

// Where workload files are.

#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace stoker::cli {

// The folder of workload files: $STOKER_WORKLOADS, else "workloads" beside the
// build folder of the program, share/stoker/workloads of its installation, or
// the current folder. kNotFound names where was looked.
core::Result<std::string> WorkloadFolder(const std::string& program);

// Names without ".yaml", sorted.
core::Result<std::vector<std::string>> ListWorkloads(const std::string& folder);

// "<model>_<suffix>.yaml" in `folder`, or "<model>.yaml" without a suffix; '-'
// of the model becomes '_'. kNotFound names the ones there are and the nearest.
core::Result<std::string> FindWorkload(const std::string& folder,
                                       std::string_view model,
                                       std::string_view suffix);

}  // namespace stoker::cli
