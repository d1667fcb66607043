// The training commands that work on ranks: datagen and run.

#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "cli/exit_codes.h"
#include "cli/internal/commands.h"
#include "cli/internal/job.h"
#include "cli/internal/rank_command.h"
#include "core/version.h"
#include "run/phases.h"
#include "run/place.h"
#include "run/plan.h"
#include "run/sizing_report.h"

namespace stoker::cli::internal {

namespace {

using core::Status;

run::Admission Admit(const Job& job) {
  return run::AdmitRun(
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
       .division = DivisionOf(job),
       .allow_invalid = job.arguments.Flag("allow-invalid-params"),
       .checks = !job.arguments.Flag("no-check"),
       .data_uri = job.uri});
}

core::Result<run::DatagenRequest> DatagenRequestOf(const Job& job) {
  run::DatagenRequest request{.config = &job.config,
                              .data_uri = job.uri,
                              .write_index = job.arguments.Flag("write-index"),
                              .replace = job.arguments.Flag("replace"),
                              .tool = fmt::format("stoker {}", core::kVersion)};
  if (job.id.verb == "datagen") {
    request.content = job.arguments.Text("content");
    request.distinct =
        static_cast<std::uint64_t>(job.arguments.Integer("distinct"));
    STOKER_ASSIGN(request.io_timeout, IoTimeout(job));
  }
  if (job.arguments.Flag("verify")) {
    request.action = run::DatagenAction::kVerify;
  } else if (job.arguments.Flag("delete")) {
    request.action = run::DatagenAction::kDelete;
  }
  return request;
}

Status Generate(const Job& job, const run::RankContext& context) {
  STOKER_ASSIGN(const run::DatagenRequest request, DatagenRequestOf(job));
  return run::RunDatagen(context, request);
}

core::Result<run::Event> DatagenPlan(const Job& job) {
  STOKER_ASSIGN(const run::DatagenRequest request, DatagenRequestOf(job));
  return run::DescribeDatagen(request, job.ranks());
}

Status Train(const Job& job, const run::RankContext& context,
             const RankPass& pass) {
  STOKER_ASSIGN(const core::Nanos io_timeout, IoTimeout(job));
  return run::RunTraining(
      context, {.config = &job.config,
                .model = job.model,
                .accelerator = job.accelerator,
                .data_uri = job.uri,
                .folder = pass.folder,
                .io_timeout = io_timeout,
                .check = !job.arguments.Flag("no-check"),
                .drop_caches = job.arguments.Flag("drop-caches"),
                .warm_up = pass.warm_up,
                .predict = !job.arguments.Flag("no-cache-prediction"),
                .tool = std::string(core::kVersion),
                .command_line = job.command_line()});
}

Status CheckTraining(const Job& job) {
  if (job.config.workload.workflow.train) {
    const auto ranks = static_cast<std::uint32_t>(job.ranks());
    STOKER_TRY(run::MakePlan(job.config, {.ranks = ranks}).status());
  }
  return run::CheckStorage(job.uri, job.ranks());
}

// Options that do not go together.
Status CheckDatagenArguments(const Arguments& arguments) {
  for (const char* action : {"verify", "delete"}) {
    for (const char* detail :
         {"distinct", "content", "write-index", "replace"}) {
      if (arguments.Flag(action) && arguments.Given(detail)) {
        return {core::Code::kInvalidArgument,
                fmt::format("--{} takes all it needs from the dataset's "
                            "manifest; leave --{} out",
                            action, detail)};
      }
    }
  }
  if (arguments.Given("io-timeout") && !arguments.Flag("verify")) {
    return {core::Code::kInvalidArgument,
            "--io-timeout is about reading: give it with --verify, or leave "
            "it out"};
  }
  if (arguments.Flag("verify") && arguments.Flag("delete")) {
    return {core::Code::kInvalidArgument,
            "--verify and --delete: give one of them"};
  }
  return {};
}

}  // namespace

int RunDatagenCommand(const Job& job) {
  const Status checked = CheckDatagenArguments(job.arguments);
  if (!checked.ok()) {
    return Fail(checked, kExitArguments, job.log_format());
  }
  RankWork work;
  if (!job.arguments.Flag("verify") && !job.arguments.Flag("delete")) {
    work.plan = [&job] { return DatagenPlan(job); };
  }
  work.check = [&job] { return run::CheckStorage(job.uri, job.ranks()); };
  work.body = [&job](const run::RankContext& context, const RankPass&) {
    return Generate(job, context);
  };
  return RunOnRanks(job, work);
}

int RunTrainingCommand(const Job& job) {
  const config::WorkflowConfig& asked = job.config.workload.workflow;
  if (!asked.train && !asked.generate_data) {
    return Fail(
        {core::Code::kInvalidArgument,
         fmt::format("{}: neither workflow.train nor "
                     "workflow.generate_data is on, so nothing would "
                     "be done; remedy: turn one on{}",
                     job.workload_path,
                     asked.checkpoint ? ", or stoker checkpointing run" : "")},
        job.log_format());
  }
  RankWork work;
  work.admit = [&job] { return Admit(job); };
  work.plan = [&job] {
    return run::DescribePlan(job.config, job.ranks(), job.host_count(),
                             job.uri);
  };
  work.check = [&job] { return CheckTraining(job); };
  work.body = [&job](const run::RankContext& context,
                     const RankPass& pass) -> Status {
    const config::WorkflowConfig& workflow = job.config.workload.workflow;
    if (workflow.generate_data) {
      STOKER_TRY(Generate(job, context));
    }
    return workflow.train ? Train(job, context, pass) : Status();
  };
  return RunOnRanks(job, work);
}

}  // namespace stoker::cli::internal
