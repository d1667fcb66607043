// The checkpoint commands that do something: run, on ranks; verify and delete,
// in this process.

#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "cli/exit_codes.h"
#include "cli/internal/checkpoint_job.h"
#include "cli/internal/commands.h"
#include "cli/internal/job.h"
#include "cli/internal/launch_command.h"
#include "cli/internal/rank_command.h"
#include "cli/signals.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "core/version.h"
#include "run/checkpoint_phases.h"
#include "run/checkpoint_sizing.h"
#include "run/place.h"

namespace stoker::cli::internal {

namespace {

using core::Code;
using core::Status;

// This process ends by itself so long after Ctrl-C.
constexpr unsigned kGraceSeconds = 8;

run::Admission Admit(const Job& job, const run::CheckpointQuestion& question,
                     const BetweenChoice& between) {
  // A command of the user's own clears what it says it clears.
  const bool clears = between.what == run::Between::kDropCaches ||
                      between.what == run::Between::kCommand;
  return run::AdmitCheckpoints(
      {.question = question,
       .overrides = job.user_overrides,
       .foreign = job.arguments.Flag("foreign"),
       .reference_io = job.arguments.Text("io") == "reference",
       .clears = clears,
       .what_if = job.arguments.Flag("what-if"),
       .division = DivisionOf(job),
       .allow_invalid = job.arguments.Flag("allow-invalid-params")});
}

core::Result<run::CheckpointRequest> RequestOf(const Job& job,
                                               const BetweenChoice& between,
                                               const RankPass& pass) {
  const Arguments& arguments = job.arguments;
  run::CheckpointRequest request{
      .config = &job.config,
      .model = job.model,
      .uri = job.uri,
      .folder = pass.folder,
      .io = arguments.Text("io") == "reference"
                ? checkpoint::IoStyle::kReference
                : checkpoint::IoStyle::kLean,
      .pool_bytes = arguments.Bytes("pool"),
      .between = between.what,
      .between_command = between.command,
      .keep = static_cast<std::uint64_t>(arguments.Integer("keep")),
      .foreign = arguments.Flag("foreign"),
      .warm_up = pass.warm_up,
      .tool = std::string(core::kVersion),
      .command_line = job.command_line()};
  STOKER_ASSIGN(request.io_timeout, IoTimeout(job));
  if (arguments.Given("accelerators")) {
    request.accelerators =
        static_cast<std::uint64_t>(arguments.Integer("accelerators"));
    request.mtbf = core::FromSeconds(arguments.Seconds("mtbf"));
  }
  return request;
}

// Options that the counts in effect leave nothing to do for.
Status CheckAgainstCounts(const Job& job) {
  const config::CheckpointConfig& keys = job.config.workload.checkpoint;
  const std::int64_t keep = job.arguments.Integer("keep");
  if (keep > 0 && keys.num_checkpoints_read > keep) {
    return {Code::kInvalidArgument,
            fmt::format("--keep {}: {} checkpoints are to be read back; "
                        "remedy: --num-checkpoints-read {}, or --keep {}",
                        keep, keys.num_checkpoints_read, keep,
                        keys.num_checkpoints_read)};
  }
  if (job.arguments.Text("between") != "none" &&
      keys.num_checkpoints_read <= 0) {
    return {Code::kInvalidArgument,
            "--between: nothing is restored; leave it out, or give "
            "--num-checkpoints-read"};
  }
  return {};
}

// A signal ends these as it ends a run.
core::CancelFlag& CancelledBySignals() {
  static core::CancelFlag cancel;
  CancelOnSignals(cancel, kGraceSeconds);
  return cancel;
}

}  // namespace

int RunCheckpointCommand(const Job& job) {
  const Status sensible = CheckAgainstCounts(job);
  if (!sensible.ok()) {
    return Fail(sensible, kExitArguments, job.log_format());
  }
  const core::Result<run::CheckpointQuestion> question =
      CheckpointQuestionOf(job);
  if (!question.ok()) {
    return Fail(question.status(), kExitArguments, job.log_format());
  }
  const core::Result<BetweenChoice> between =
      ParseBetween(job.arguments.Text("between"));
  if (!between.ok()) {
    return Fail(between.status(), kExitArguments, job.log_format());
  }
  RankWork work;
  work.admit = [&] { return Admit(job, question.value(), between.value()); };
  work.plan = [&] { return run::DescribeCheckpointPlan(question.value()); };
  work.check = [&]() -> Status {
    STOKER_TRY(run::DescribeCheckpointPlan(question.value()).status());
    return run::CheckStorage(job.uri, job.ranks());
  };
  work.body = [&](const run::RankContext& context,
                  const RankPass& pass) -> Status {
    STOKER_ASSIGN(const run::CheckpointRequest request,
                  RequestOf(job, between.value(), pass));
    return run::RunCheckpointing(context, request);
  };
  return RunOnRanks(job, work);
}

int RunVerifyCommand(const Arguments& arguments) {
  run::Console console({.level = LogLevelOf(arguments),
                        .format = LogFormatOf(arguments),
                        .progress_columns = TerminalColumns()});
  core::SystemClock clock;
  const Status status = run::VerifyCheckpoints(
      console, clock, CancelledBySignals(), arguments.overrides().front());
  return status.ok() ? kExitSuccess : Fail(status, LogFormatOf(arguments));
}

int RunDeleteCommand(const Arguments& arguments) {
  run::Console console(
      {.level = LogLevelOf(arguments), .format = LogFormatOf(arguments)});
  core::SystemClock clock;
  const Status status =
      run::DeleteCheckpoints(console, clock, arguments.overrides().front());
  return status.ok() ? kExitSuccess : Fail(status, LogFormatOf(arguments));
}

}  // namespace stoker::cli::internal
