#pragma once

// A command on ranks, seen from the launcher: mpirun is started on this
// program, as often as asked.

#include <string>
#include <string_view>
#include <vector>

#include "cli/internal/job.h"
#include "core/cancel.h"
#include "run/console.h"
#include "run/sizing_report.h"

namespace stoker::cli::internal {

// What a launcher tells its ranks, by environment variables. Their own stdout
// always looks like a terminal, so the width is told.
inline constexpr const char* kProgressVariable = "STOKER_PROGRESS_COLUMNS";
inline constexpr const char* kFolderVariable = "STOKER_RESULT_FOLDER";
inline constexpr const char* kWarmUpVariable = "STOKER_WARM_UP";

// "results: FOLDER" for the console.
run::Event ResultsEvent(const std::string& folder,
                        std::string_view what = "results");

// Columns of the terminal on stdout, 0 if it is none.
int TerminalColumns();

// Whether the command needs mpirun, and this process is not started by it.
bool NeedsLaunch(const Job& job);

// The words that start the ranks. kInvalidArgument: hosts, slots or mpi-params
// that cannot be.
core::Result<std::vector<std::string>> LaunchCommand(const Job& job);

// Starts the ranks once per loop and returns the worst exit status. A loop
// that failed on the way (6, 7) does not keep the next from running; what
// would fail again, or was interrupted, does.
int Launch(const Job& job, const core::CancelFlag& cancel,
           const run::Admission& admission);

}  // namespace stoker::cli::internal
