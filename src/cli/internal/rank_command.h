#pragma once

// A command on ranks, of whichever family. Started by a user it launches
// mpirun on this program; started by mpirun it is a rank.

#include <functional>
#include <string>

#include "cli/internal/job.h"
#include "core/clock.h"
#include "core/status.h"
#include "run/console.h"
#include "run/phases.h"
#include "run/sizing_report.h"

namespace stoker::cli::internal {

// One of the times a command is done.
struct RankPass {
  std::string folder;  // of the results, on every host
  bool warm_up = false;
};

// What makes one command on ranks differ from another.
struct RankWork {
  // The rules' word, before anything is started; empty: nothing is judged.
  std::function<run::Admission()> admit{};
  // What --what-if tells beside the command; empty: nothing.
  std::function<core::Result<run::Event>()> plan{};
  // What each rank would refuse, asked once before ranks are started.
  std::function<core::Status()> check{};
  // A rank's part; the result folder and what every command leaves there exist.
  std::function<core::Status(const run::RankContext&, const RankPass&)> body;
};

// Returns the exit status. Does not return after a failure of ranks.
int RunOnRanks(const Job& job, const RankWork& work);

// Of --io-timeout. kInvalidArgument unless above 0.
core::Result<core::Nanos> IoTimeout(const Job& job);

// Of --open and --closed.
run::Division DivisionOf(const Job& job);

}  // namespace stoker::cli::internal
