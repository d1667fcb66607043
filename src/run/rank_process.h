#pragma once

// This process as one rank of a command: joining the others, and leaving
// together with them however the command ends.

#include <cstdint>
#include <functional>
#include <string>

#include "core/cancel.h"
#include "core/status.h"
#include "reporting/result_folder.h"
#include "run/phases.h"

namespace stoker::run {

// True if mpirun, mpiexec or srun started this process as a rank.
bool StartedAsRank();

struct RankProcessOptions {
  std::int64_t ranks = 1;  // the command asks for; must be what was started
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  int progress_columns = 0;
};

// What a rank does; `folder` is made by SharedFolder inside.
using RankBody = std::function<core::Status(const RankContext&)>;

// Joins the ranks (MPI, or alone), runs `body` and returns its status. After a
// failure the other ranks are told; this function then does not return but
// ends the process with `exit_code(status)`, once `on_failure` (if any) has
// been called.
struct RankProcessHooks {
  RankBody body;
  std::function<void(const core::Status&)> on_failure;
  std::function<int(const core::Status&)> exit_code;
};
core::Status RunRankProcess(const RankProcessOptions& options,
                            const core::CancelFlag& cancel,
                            const RankProcessHooks& hooks);

// Collective. The result folder of the command, made by rank 0 unless
// `run_dir` names it, and there on every host.
core::Result<reporting::ResultFolder> SharedFolder(
    const RankContext& context, const reporting::FolderRequest& request,
    const std::string& run_dir);

}  // namespace stoker::run
