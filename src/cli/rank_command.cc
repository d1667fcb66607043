#include "cli/internal/rank_command.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/exit_codes.h"
#include "cli/internal/job.h"
#include "cli/internal/job_files.h"
#include "cli/internal/launch_command.h"
#include "cli/launch.h"
#include "cli/loops.h"
#include "cli/signals.h"
#include "core/text.h"
#include "reporting/record_report.h"
#include "run/rank_process.h"

namespace stoker::cli::internal {

namespace {

using core::Status;
using Instant = std::chrono::steady_clock::time_point;

// A rank ends by itself this long after Ctrl-C, the launcher somewhat later.
constexpr unsigned kRankGraceSeconds = 8;
constexpr unsigned kLauncherGraceSeconds = 15;

metrics::WallTime WallNow() {
  return std::chrono::time_point_cast<core::Nanos>(
      std::chrono::system_clock::now());
}

// The result folder of the launcher that started this rank, "" under another.
std::string LaunchedFolder() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read before any thread starts
  const char* told = std::getenv(kFolderVariable);
  return told == nullptr || !run::StartedAsRank() ? std::string() : told;
}

bool UnderOwnLauncher() { return !LaunchedFolder().empty(); }

bool ToldToWarmUp() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read before any thread starts
  const char* told = std::getenv(kWarmUpVariable);
  return told != nullptr && std::string_view(told) == "1";
}

// As told by the launcher; 0 under a foreign mpirun.
int ProgressColumns() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read before any thread starts
  if (const char* told = std::getenv(kProgressVariable)) {
    return static_cast<int>(
        core::ParseInt(told).ok() ? core::ParseInt(told).value() : 0);
  }
  return run::StartedAsRank() ? 0 : TerminalColumns();
}

void Say(const run::Admission& admission, run::Console& console) {
  if (!admission.summary.empty()) {
    console.Info(admission.summary);
  }
  if (!admission.findings.empty()) {
    console.Print(run::LogLevel::kVerbose, admission.findings);
  }
}

struct RankState {
  reporting::ResultFolder folder;
  bool leads = false;
  bool warm_up = false;
};

Status RankBody(const Job& job, const RankWork& work,
                const run::RankContext& context, RankState& state) {
  STOKER_ASSIGN(state.folder, run::SharedFolder(context, FolderRequestOf(job),
                                                LaunchedFolder()));
  state.leads = run::Leads(context);
  if (state.leads) {
    if (!UnderOwnLauncher()) {
      const auto capture = [&](std::string_view stream) {
        return fmt::format(
            "{}/{}", state.folder.path,
            reporting::CaptureFile(job.id.family, job.id.verb, stream));
      };
      context.console->CopyTo(capture("stdout"), capture("stderr"));
    }
    for (const std::string& warning : job.config.warnings) {
      context.console->Warn(warning);
    }
    if (state.warm_up) {
      context.console->Info("warm-up run: it is not counted");
    }
    STOKER_TRY(WriteJobConfig(job, state.folder.path));
  }
  return work.body(context, {state.folder.path, state.warm_up});
}

// Whoever survives says in the record that the run was aborted.
void LeaveTraces(const Job& job, const RankState& state, const Status& status) {
  if (state.folder.path.empty() || job.id.verb != "run") {
    return;
  }
  static_cast<void>(reporting::MarkAborted(
      fmt::format("{}/{}", state.folder.path, reporting::kRecordFile),
      status.message(), WallNow()));
}

// What one rank does, as often as asked, and the metadata of each pass.
class RankJob {
 public:
  RankJob(const Job& job, const RankWork& work, const run::Admission& admission)
      : job_(job), work_(work), admission_(admission) {}

  Status Run(const run::RankContext& context) {
    Say(admission_, *context.console);
    // The launcher repeats the whole; its ranks run once.
    const std::vector<bool> loops =
        UnderOwnLauncher() ? std::vector<bool>{ToldToWarmUp()}
                           : WarmUps(job_.arguments.Integer("loops"),
                                     job_.arguments.Flag("warm-up"));
    std::vector<LoopResult> results;
    for (std::size_t i = 0; i < loops.size(); ++i) {
      const bool warm_up = loops[i];
      if (loops.size() > 1) {
        context.console->Info(LoopStartEvent(i + 1, loops.size(), warm_up));
      }
      started_ = std::chrono::steady_clock::now();
      state_.warm_up = warm_up;
      STOKER_TRY(RankBody(job_, work_, context, state_));
      STOKER_TRY(WriteMetadata());
      if (!UnderOwnLauncher()) {
        context.console->Info(ResultsEvent(state_.folder.path));
        results.push_back(ReadLoop(LoopColumns(job_.id.family),
                                   state_.folder.path, kExitSuccess, warm_up));
      }
    }
    if (job_.id.verb == "run" && results.size() > 1) {
      context.console->Info(LoopsEvent(LoopColumns(job_.id.family), results));
    }
    return {};
  }

  void Failed(const Status& failure) const {
    LeaveTraces(job_, state_, failure);
    static_cast<void>(WriteMetadata());
    if (job_.history != nullptr) {
      job_.history->Ended(ExitCodeOf(failure));
    }
  }

 private:
  // Under a launcher of ours the launcher writes it.
  Status WriteMetadata() const {
    if (UnderOwnLauncher() || !state_.leads) {
      return {};
    }
    return WriteJobMetadata(job_, {.folder = state_.folder,
                                   .started = started_,
                                   .verification = admission_.verification,
                                   .executed_command = job_.command_line(),
                                   .captured = true,
                                   .warm_up = state_.warm_up});
  }

  const Job& job_;
  const RankWork& work_;
  const run::Admission& admission_;
  RankState state_;
  Instant started_{};
};

// Does not return after a failure of ranks.
int RunAsRank(const Job& job, const RankWork& work,
              const core::CancelFlag& cancel, const run::Admission& admission) {
  RankJob rank(job, work, admission);
  const Status status = run::RunRankProcess(
      {.ranks = job.ranks(),
       .level = job.log_level(),
       .format = job.log_format(),
       .progress_columns = ProgressColumns()},
      cancel,
      {.body =
           [&](const run::RankContext& context) { return rank.Run(context); },
       .on_failure = [&](const Status& failure) { rank.Failed(failure); },
       .exit_code = ExitCodeOf});
  return status.ok() ? kExitSuccess : Fail(status, job.log_format());
}

int WhatIf(const Job& job, const RankWork& work) {
  run::Console console({.format = job.log_format()});
  std::string command;
  if (NeedsLaunch(job)) {
    const auto words = LaunchCommand(job);
    if (!words.ok()) {
      return Fail(words.status(), kExitArguments, job.log_format());
    }
    command = QuoteWords(words.value());
  }
  if (work.plan) {
    core::Result<run::Event> plan = work.plan();
    if (!plan.ok()) {
      return Fail(plan.status(), job.log_format());
    }
    plan.value().fields.emplace_back(
        "command", command.empty() ? job.command_line() : command);
    console.Info(plan.value());
  }
  if (!command.empty()) {
    console.Info(run::Event{.name = "command",
                            .text = "command: " + command,
                            .fields = {{"command", command}}});
  }
  return kExitSuccess;
}

// Tasks of srun without PMI would each take themselves for a launcher.
bool StartedByBareSrun() {
  // NOLINTBEGIN(concurrency-mt-unsafe): read before any thread starts
  const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  const bool several = tasks != nullptr && std::string_view(tasks) != "1";
  return !run::StartedAsRank() && several &&
         std::getenv("SLURM_STEP_ID") != nullptr;
  // NOLINTEND(concurrency-mt-unsafe)
}

}  // namespace

core::Result<core::Nanos> IoTimeout(const Job& job) {
  STOKER_ASSIGN(const double seconds,
                core::ParseSeconds(job.arguments.Text("io-timeout")));
  if (seconds <= 0) {
    return Status(core::Code::kInvalidArgument,
                  "--io-timeout: must be more than 0");
  }
  return core::FromSeconds(seconds);
}

run::Division DivisionOf(const Job& job) {
  return job.arguments.Flag("closed") ? run::Division::kClosed
         : job.arguments.Flag("open") ? run::Division::kOpen
                                      : run::Division::kNone;
}

int RunOnRanks(const Job& job, const RankWork& work) {
  if (StartedByBareSrun()) {
    return Fail(Status(core::Code::kInvalidArgument,
                       "srun started several tasks without MPI; remedy: srun "
                       "--mpi=pmix, or one task that launches mpirun itself"),
                kExitArguments, job.log_format());
  }
  run::Admission admission;
  if (work.admit && !UnderOwnLauncher()) {
    admission = work.admit();
    if (!admission.status.ok()) {
      return Fail(admission.status, kExitGeneral, job.log_format());
    }
  }
  const bool what_if = job.arguments.Flag("what-if");
  if (what_if || NeedsLaunch(job)) {
    run::Console console(
        {.level = job.log_level(), .format = job.log_format()});
    Say(admission, console);
  }
  if (what_if) {
    return WhatIf(job, work);
  }
  static core::CancelFlag cancel;  // the signal handler's, so never gone
  if (!NeedsLaunch(job)) {
    CancelOnSignals(cancel, kRankGraceSeconds);
    return RunAsRank(job, work, cancel, admission);
  }
  const core::Status launchable = LaunchCommand(job).status();
  if (!launchable.ok()) {
    return Fail(launchable, kExitArguments, job.log_format());
  }
  const core::Status possible = work.check();
  if (!possible.ok()) {
    return Fail(possible, job.log_format());
  }
  CancelOnSignals(cancel, kLauncherGraceSeconds);
  return Launch(job, cancel, admission);
}

}  // namespace stoker::cli::internal
