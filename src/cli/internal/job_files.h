#pragma once

// What a command leaves in its result folder beside the figures.

#include <chrono>
#include <string>
#include <vector>

#include "cli/internal/job.h"
#include "core/status.h"
#include "reporting/result_folder.h"

namespace stoker::cli::internal {

reporting::FolderRequest FolderRequestOf(const Job& job);
core::Result<reporting::ResultFolder> MakeJobFolder(const Job& job);

struct JobOutcome {
  reporting::ResultFolder folder{};
  std::chrono::steady_clock::time_point started{};
  std::string verification{};      // "closed", "open", "invalid", ""
  std::string executed_command{};  // "" if none was
  bool captured = false;           // stdout and stderr are in files
  bool warm_up = false;            // not to be counted
};

// <program>_<time>_metadata.json; may be written again.
core::Status WriteJobMetadata(const Job& job, const JobOutcome& outcome);

// dlio_config/*.yaml.
core::Status WriteJobConfig(const Job& job, const std::string& folder);

}  // namespace stoker::cli::internal
