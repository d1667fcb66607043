#include "cli/internal/launch_command.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/exit_codes.h"
#include "cli/internal/job_files.h"
#include "cli/launch.h"
#include "cli/loops.h"
#include "reporting/record_report.h"
#include "run/rank_process.h"

namespace stoker::cli::internal {

namespace {

using core::Status;
using Instant = std::chrono::steady_clock::time_point;

std::string LauncherProgram(const Job& job) {
  const std::string name = job.arguments.Text("mpi-bin");
  const char* variable = name == "mpirun" ? "MPI_RUN_BIN" : "MPI_EXEC_BIN";
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read before any thread starts
  const char* named = std::getenv(variable);
  return named != nullptr ? named : name;
}

std::string RankProgram(const Job& job) {
  if (job.arguments.Given("dlio-bin-path")) {
    return (std::filesystem::path(job.arguments.Text("dlio-bin-path")) /
            "stoker")
        .string();
  }
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? job.program : self.string();
}

// Open MPI refuses root with a status that says nothing.
std::string_view RootHint(const Job& job) {
  return ::geteuid() == 0 && !job.arguments.Flag("allow-run-as-root")
             ? "; if it refuses to run as root: --allow-run-as-root"
             : "";
}

void TellRanks(const char* variable, const std::string& value) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread yet
  ::setenv(variable, value.c_str(), 1);
}

// The first cause, told last, and in the record of a run that left one.
int Failed(const Job& job, const ChildResult& result,
           const core::CancelFlag& cancel, const std::string& launcher,
           const std::string& folder) {
  const std::string cause =
      !result.first_error.empty() ? result.first_error
      : cancel.IsSet()
          ? std::string("the run was stopped")
          : fmt::format("{} {}{}", launcher, result.status, RootHint(job));
  static_cast<void>(reporting::MarkAborted(
      fmt::format("{}/{}", folder, reporting::kRecordFile), cause,
      std::chrono::time_point_cast<core::Nanos>(
          std::chrono::system_clock::now()),
      result.is_cause && !cancel.IsSet()));
  run::Console console({.format = job.log_format()});
  console.Info(ResultsEvent(folder, "results so far"));
  console.Error(cause);
  return result.exit_code;
}

LoopResult LaunchOnce(const Job& job, const core::CancelFlag& cancel,
                      const run::Admission& admission, bool warm_up) {
  const Instant started = std::chrono::steady_clock::now();
  core::Result<reporting::ResultFolder> folder = MakeJobFolder(job);
  if (!folder.ok()) {
    return {.exit_status = Fail(folder.status(), job.log_format())};
  }
  std::error_code error;
  const std::string run_dir =
      std::filesystem::absolute(folder.value().path, error).string();
  TellRanks(kFolderVariable, run_dir);
  TellRanks(kWarmUpVariable, warm_up ? "1" : "0");
  const auto command = LaunchCommand(job);
  if (!command.ok()) {
    return {.folder = folder.value().path,
            .exit_status = Fail(command.status(), job.log_format())};
  }
  const auto capture = [&](std::string_view stream) {
    return fmt::format(
        "{}/{}", run_dir,
        reporting::CaptureFile(job.id.family, job.id.verb, stream));
  };
  const core::Result<ChildResult> child =
      RunChild(command.value(),
               {.stdout_file = capture("stdout"),
                .stderr_file = capture("stderr"),
                .format = job.log_format()},
               cancel);
  const Status metadata =
      WriteJobMetadata(job, {.folder = folder.value(),
                             .started = started,
                             .verification = admission.verification,
                             .executed_command = QuoteWords(command.value()),
                             .captured = true,
                             .warm_up = warm_up});
  int exit_status = kExitSuccess;
  if (!child.ok()) {
    exit_status = Fail(child.status(), job.log_format());
  } else if (child.value().exit_code != kExitSuccess) {
    exit_status = Failed(job, child.value(), cancel, command.value()[0],
                         folder.value().path);
  } else if (!metadata.ok()) {
    exit_status = Fail(metadata, job.log_format());
  } else {
    run::Console({.level = job.log_level(), .format = job.log_format()})
        .Info(ResultsEvent(folder.value().path));
  }
  return ReadLoop(LoopColumns(job.id.family), folder.value().path, exit_status,
                  warm_up);
}

bool IsLocalOnly(const Job& job) {
  const std::vector<std::string> hosts = job.hosts();
  return hosts.size() == 1 &&
         (hosts[0] == "127.0.0.1" || hosts[0] == "localhost");
}

}  // namespace

run::Event ResultsEvent(const std::string& folder, std::string_view what) {
  return {.name = "results",
          .text = fmt::format("{}: {}", what, folder),
          .fields = {{"results", folder}}};
}

int TerminalColumns() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0 ||
      ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) {
    return 0;
  }
  constexpr int kUsual = 80;
  return size.ws_col > 0 ? size.ws_col : kUsual;
}

bool NeedsLaunch(const Job& job) {
  return !run::StartedAsRank() && job.arguments.Text("exec-type") == "mpi" &&
         (job.ranks() > 1 || !IsLocalOnly(job));
}

core::Result<std::vector<std::string>> LaunchCommand(const Job& job) {
  LaunchPlan plan;
  plan.mpi_bin = LauncherProgram(job);
  plan.ranks = job.ranks();
  plan.oversubscribe = job.arguments.Flag("oversubscribe");
  STOKER_ASSIGN(plan.host_slots,
                AssignSlots(job.hosts(), job.ranks(), plan.oversubscribe));
  plan.allow_run_as_root = job.arguments.Flag("allow-run-as-root");
  for (const std::string& text : job.arguments.List("mpi-params")) {
    STOKER_ASSIGN(const std::vector<std::string> words, SplitWords(text));
    plan.mpi_params.insert(plan.mpi_params.end(), words.begin(), words.end());
  }
  plan.exported = ExportedNames(::environ);
  plan.program = {RankProgram(job), std::string(job.id.family),
                  std::string(job.id.verb)};
  for (const std::string& word : job.words) {
    if (word != "--what-if") {
      plan.program.push_back(word);
    }
  }
  return MpiCommand(plan);
}

int Launch(const Job& job, const core::CancelFlag& cancel,
           const run::Admission& admission) {
  TellRanks(kProgressVariable, std::to_string(TerminalColumns()));
  const std::vector<bool> loops =
      WarmUps(job.arguments.Integer("loops"), job.arguments.Flag("warm-up"));
  run::Console console({.level = job.log_level(), .format = job.log_format()});
  std::vector<LoopResult> results;
  int worst = kExitSuccess;
  for (std::size_t i = 0; i < loops.size(); ++i) {
    if (loops.size() > 1) {
      console.Info(LoopStartEvent(i + 1, loops.size(), loops[i]));
    }
    results.push_back(LaunchOnce(job, cancel, admission, loops[i]));
    const int status = results.back().exit_status;
    worst = std::max(worst, status);
    if (status != kExitSuccess && status != kExitFailure &&
        status != kExitTimeout) {
      break;
    }
  }
  if (job.id.verb == "run" && results.size() > 1) {
    console.Info(LoopsEvent(LoopColumns(job.id.family), results));
  }
  return worst;
}

}  // namespace stoker::cli::internal
