// The commands that work on ranks: datagen and run. Started by a user they
// launch mpirun on this program; started by mpirun they are a rank.

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "cli/exit_codes.h"
#include "cli/internal/job_files.h"
#include "cli/internal/training_job.h"
#include "cli/launch.h"
#include "cli/signals.h"
#include "core/text.h"
#include "core/version.h"
#include "reporting/record_report.h"
#include "run/phases.h"
#include "run/place.h"
#include "run/plan.h"
#include "run/rank_process.h"
#include "run/sizing_report.h"

namespace stoker::cli::internal {

namespace {

using core::Status;
using Instant = std::chrono::steady_clock::time_point;

// The launcher tells its ranks the width of the terminal: their own stdout
// always looks like one.
constexpr const char* kProgressVariable = "STOKER_PROGRESS_COLUMNS";
// … and the result folder it made.
constexpr const char* kFolderVariable = "STOKER_RESULT_FOLDER";
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

// Columns of the terminal on stdout, 0 if it is none.
int TerminalColumns() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0 ||
      ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) {
    return 0;
  }
  constexpr int kUsual = 80;
  return size.ws_col > 0 ? size.ws_col : kUsual;
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

// --- The rules, before a run
// --------------------------------------------------

run::Admission Admit(const TrainingJob& job) {
  const run::Admission admission = run::AdmitRun(
      {.config = &job.config,
       .model = job.model,
       .accelerator = job.accelerator,
       .accelerators = job.ranks(),
       .hosts = job.host_count(),
       .memory_gib_per_host =
           job.arguments.Given("client-host-memory-in-gb")
               ? job.arguments.Integer("client-host-memory-in-gb")
               : 0,
       .what_if = job.arguments.Flag("what-if"),
       .division = job.arguments.Flag("closed") ? run::Division::kClosed
                   : job.arguments.Flag("open") ? run::Division::kOpen
                                                : run::Division::kNone,
       .allow_invalid = job.arguments.Flag("allow-invalid-params"),
       .checks = !job.arguments.Flag("no-check"),
       .data_uri = job.data_uri});
  return admission;
}

void Say(const run::Admission& admission, run::Console& console) {
  if (!admission.summary.empty()) {
    console.Info(admission.summary);
  }
  if (!admission.findings.empty()) {
    console.Print(run::LogLevel::kVerbose, admission.findings);
  }
}

// --- As a rank
// ----------------------------------------------------------------

core::Result<core::Nanos> IoTimeout(const TrainingJob& job) {
  STOKER_ASSIGN(const double seconds,
                core::ParseSeconds(job.arguments.Text("io-timeout")));
  if (seconds <= 0) {
    return Status(core::Code::kInvalidArgument,
                  "--io-timeout: must be more than 0");
  }
  return core::FromSeconds(seconds);
}

run::DatagenRequest DatagenRequestOf(const TrainingJob& job) {
  run::DatagenRequest request{.config = &job.config,
                              .data_uri = job.data_uri,
                              .write_index = job.arguments.Flag("write-index"),
                              .tool = fmt::format("stoker {}", core::kVersion)};
  if (job.command == "datagen") {
    request.content = job.arguments.Text("content");
    request.distinct =
        static_cast<std::uint64_t>(job.arguments.Integer("distinct"));
  }
  if (job.arguments.Flag("verify")) {
    request.action = run::DatagenAction::kVerify;
  } else if (job.arguments.Flag("delete")) {
    request.action = run::DatagenAction::kDelete;
  }
  return request;
}

Status Generate(const TrainingJob& job, const run::RankContext& context) {
  return run::RunDatagen(context, DatagenRequestOf(job));
}

Status Train(const TrainingJob& job, const run::RankContext& context,
             const std::string& folder) {
  STOKER_ASSIGN(const core::Nanos io_timeout, IoTimeout(job));
  return run::RunTraining(context, {.config = &job.config,
                                    .model = job.model,
                                    .accelerator = job.accelerator,
                                    .data_uri = job.data_uri,
                                    .folder = folder,
                                    .io_timeout = io_timeout,
                                    .check = !job.arguments.Flag("no-check"),
                                    .tool = std::string(core::kVersion),
                                    .command_line = job.command_line()});
}

run::Event ResultsEvent(const std::string& folder,
                        std::string_view what = "results") {
  return {.name = "results",
          .text = fmt::format("{}: {}", what, folder),
          .fields = {{"results", folder}}};
}

struct RankState {
  reporting::ResultFolder folder;
  bool leads = false;
};

Status RankBody(const TrainingJob& job, const run::RankContext& context,
                RankState& state) {
  STOKER_ASSIGN(state.folder, run::SharedFolder(context, FolderRequestOf(job),
                                                LaunchedFolder()));
  state.leads = run::Leads(context);
  if (state.leads) {
    if (!UnderOwnLauncher()) {
      const auto capture = [&](std::string_view stream) {
        return fmt::format(
            "{}/{}", state.folder.path,
            reporting::CaptureFile("training", job.command, stream));
      };
      context.console->CopyTo(capture("stdout"), capture("stderr"));
    }
    for (const std::string& warning : job.config.warnings) {
      context.console->Warn(warning);
    }
    STOKER_TRY(WriteJobConfig(job, state.folder.path));
  }
  const config::WorkflowConfig& workflow = job.config.workload.workflow;
  if (job.command == "datagen" || workflow.generate_data) {
    STOKER_TRY(Generate(job, context));
  }
  if (job.command == "run" && workflow.train) {
    STOKER_TRY(Train(job, context, state.folder.path));
  }
  return {};
}

// Whoever survives says in the record that the run was aborted.
void LeaveTraces(const TrainingJob& job, const RankState& state,
                 const Status& status) {
  if (state.folder.path.empty() || job.command != "run") {
    return;
  }
  static_cast<void>(reporting::MarkAborted(
      fmt::format("{}/{}", state.folder.path, reporting::kRecordFile),
      status.message(), WallNow()));
}

// What one rank does, as often as asked, and the metadata of each pass.
class RankJob {
 public:
  RankJob(const TrainingJob& job, const run::Admission& admission)
      : job_(job), admission_(admission) {}

  Status Run(const run::RankContext& context) {
    // The launcher repeats the whole; its ranks run once.
    const std::int64_t loops =
        UnderOwnLauncher() ? 1 : job_.arguments.Integer("loops");
    Say(admission_, *context.console);
    for (std::int64_t loop = 0; loop < loops; ++loop) {
      started_ = std::chrono::steady_clock::now();
      STOKER_TRY(RankBody(job_, context, state_));
      STOKER_TRY(WriteMetadata());
      if (!UnderOwnLauncher()) {
        context.console->Info(ResultsEvent(state_.folder.path));
      }
    }
    return {};
  }

  void Failed(const Status& failure) const {
    LeaveTraces(job_, state_, failure);
    static_cast<void>(WriteMetadata());
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
                                   .captured = true});
  }

  const TrainingJob& job_;
  const run::Admission& admission_;
  RankState state_;
  Instant started_{};
};

// Does not return after a failure of ranks.
int RunAsRank(const TrainingJob& job, const core::CancelFlag& cancel,
              const run::Admission& admission) {
  RankJob rank(job, admission);
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

// --- As the launcher
// ----------------------------------------------------------

std::string LauncherProgram(const TrainingJob& job) {
  const std::string name = job.arguments.Text("mpi-bin");
  const char* variable = name == "mpirun" ? "MPI_RUN_BIN" : "MPI_EXEC_BIN";
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read before any thread starts
  const char* named = std::getenv(variable);
  return named != nullptr ? named : name;
}

std::string RankProgram(const TrainingJob& job) {
  if (job.arguments.Given("dlio-bin-path")) {
    return (std::filesystem::path(job.arguments.Text("dlio-bin-path")) /
            "stoker")
        .string();
  }
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? job.program : self.string();
}

core::Result<std::vector<std::string>> LaunchCommand(const TrainingJob& job) {
  LaunchPlan plan;
  plan.mpi_bin = LauncherProgram(job);
  plan.ranks = job.ranks();
  STOKER_ASSIGN(plan.host_slots, AssignSlots(job.hosts(), job.ranks()));
  plan.oversubscribe = job.arguments.Flag("oversubscribe");
  plan.allow_run_as_root = job.arguments.Flag("allow-run-as-root");
  for (const std::string& text : job.arguments.List("mpi-params")) {
    STOKER_ASSIGN(const std::vector<std::string> words, SplitWords(text));
    plan.mpi_params.insert(plan.mpi_params.end(), words.begin(), words.end());
  }
  plan.exported = {kProgressVariable, kFolderVariable};
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read before any thread starts
  if (std::getenv("STOKER_WORKLOADS") != nullptr) {
    plan.exported.emplace_back("STOKER_WORKLOADS");
  }
  plan.program = {RankProgram(job), "training", job.command};
  for (const std::string& word : job.words) {
    if (word != "--what-if") {
      plan.program.push_back(word);
    }
  }
  return MpiCommand(plan);
}

// Open MPI refuses root with a status that says nothing.
std::string_view RootHint(const TrainingJob& job) {
  return ::geteuid() == 0 && !job.arguments.Flag("allow-run-as-root")
             ? "; if it refuses to run as root: --allow-run-as-root"
             : "";
}

int LaunchOnce(const TrainingJob& job, const core::CancelFlag& cancel,
               const run::Admission& admission) {
  const Instant started = std::chrono::steady_clock::now();
  core::Result<reporting::ResultFolder> folder = MakeJobFolder(job);
  if (!folder.ok()) {
    return Fail(folder.status(), job.log_format());
  }
  std::error_code error;
  const std::string run_dir =
      std::filesystem::absolute(folder.value().path, error).string();
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread yet
  ::setenv(kFolderVariable, run_dir.c_str(), 1);
  const auto command = LaunchCommand(job);
  if (!command.ok()) {
    return Fail(command.status(), job.log_format());
  }
  const auto capture = [&](std::string_view stream) {
    return fmt::format("{}/{}", run_dir,
                       reporting::CaptureFile("training", job.command, stream));
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
                             .captured = true});
  if (!child.ok()) {
    return Fail(child.status(), job.log_format());
  }
  const ChildResult& result = child.value();
  if (result.exit_code != kExitSuccess) {
    const std::string cause = !result.first_error.empty() ? result.first_error
                              : cancel.IsSet()
                                  ? std::string("the run was stopped")
                                  : fmt::format("{} {}{}", command.value()[0],
                                                result.status, RootHint(job));
    static_cast<void>(reporting::MarkAborted(
        fmt::format("{}/{}", run_dir, reporting::kRecordFile), cause,
        WallNow()));
    run::Console console({.format = job.log_format()});
    console.Info(ResultsEvent(folder.value().path, "results so far"));
    console.Error(cause);
    return result.exit_code;
  }
  if (!metadata.ok()) {
    return Fail(metadata, job.log_format());
  }
  run::Console({.level = job.log_level(), .format = job.log_format()})
      .Info(ResultsEvent(folder.value().path));
  return kExitSuccess;
}

bool IsLocalOnly(const TrainingJob& job) {
  const std::vector<std::string> hosts = job.hosts();
  return hosts.size() == 1 &&
         (hosts[0] == "127.0.0.1" || hosts[0] == "localhost");
}

bool NeedsLaunch(const TrainingJob& job) {
  return !run::StartedAsRank() && job.arguments.Text("exec-type") == "mpi" &&
         (job.ranks() > 1 || !IsLocalOnly(job));
}

std::string WithoutLastBreak(std::string text) {
  if (text.ends_with('\n')) {
    text.pop_back();
  }
  return text;
}

int WhatIf(const TrainingJob& job) {
  run::Console console({.format = job.log_format()});
  if (job.command == "run") {
    const core::Result<std::string> plan = run::DescribePlan(
        job.config, job.ranks(), job.host_count(), job.data_uri);
    if (!plan.ok()) {
      return Fail(plan.status(), job.log_format());
    }
    console.Info(
        run::Event{.name = "plan", .text = WithoutLastBreak(plan.value())});
  } else if (!job.arguments.Flag("verify") && !job.arguments.Flag("delete")) {
    const core::Result<std::string> plan =
        run::DescribeDatagen(DatagenRequestOf(job), job.ranks());
    if (!plan.ok()) {
      return Fail(plan.status(), job.log_format());
    }
    console.Info(
        run::Event{.name = "plan", .text = WithoutLastBreak(plan.value())});
  }
  if (NeedsLaunch(job)) {
    const auto command = LaunchCommand(job);
    if (!command.ok()) {
      return Fail(command.status(), kExitArguments, job.log_format());
    }
    console.Info(
        run::Event{.name = "command",
                   .text = "command: " + QuoteWords(command.value()),
                   .fields = {{"command", QuoteWords(command.value())}}});
  }
  return kExitSuccess;
}

// What each rank would refuse is refused once, before anything is started.
core::Status CheckBeforeLaunch(const TrainingJob& job) {
  if (job.command == "run" && job.config.workload.workflow.train) {
    const auto ranks = static_cast<std::uint32_t>(job.ranks());
    STOKER_TRY(run::MakePlan(job.config, {.ranks = ranks}).status());
  }
  return run::CheckStorage(job.data_uri, job.ranks());
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

int RunOnRanks(const TrainingJob& job) {
  if (StartedByBareSrun()) {
    return Fail(Status(core::Code::kInvalidArgument,
                       "srun started several tasks without MPI; remedy: srun "
                       "--mpi=pmix, or one task that launches mpirun itself"),
                kExitArguments, job.log_format());
  }
  run::Admission admission;
  if (job.command == "run" && !UnderOwnLauncher()) {
    admission = Admit(job);
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
    return WhatIf(job);
  }
  static core::CancelFlag cancel;  // the signal handler's, so never gone
  if (!NeedsLaunch(job)) {
    CancelOnSignals(cancel, kRankGraceSeconds);
    return RunAsRank(job, cancel, admission);
  }
  const core::Status launchable = LaunchCommand(job).status();
  if (!launchable.ok()) {
    return Fail(launchable, kExitArguments, job.log_format());
  }
  const core::Status possible = CheckBeforeLaunch(job);
  if (!possible.ok()) {
    return Fail(possible, job.log_format());
  }
  CancelOnSignals(cancel, kLauncherGraceSeconds);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread yet
  ::setenv(kProgressVariable, std::to_string(TerminalColumns()).c_str(), 1);
  for (std::int64_t loop = 0; loop < job.arguments.Integer("loops"); ++loop) {
    const int exit_code = LaunchOnce(job, cancel, admission);
    if (exit_code != kExitSuccess) {
      return exit_code;
    }
  }
  return kExitSuccess;
}

}  // namespace

int RunDatagenCommand(const TrainingJob& job) {
  if (job.arguments.Flag("verify") && job.arguments.Flag("delete")) {
    return Fail({core::Code::kInvalidArgument,
                 "--verify and --delete: give one of them"},
                kExitArguments, job.log_format());
  }
  return RunOnRanks(job);
}
int RunTrainingCommand(const TrainingJob& job) { return RunOnRanks(job); }

}  // namespace stoker::cli::internal
