// The commands that only tell: datasize and configview.

#include <fmt/format.h>

#include <chrono>
#include <string>

#include "cli/exit_codes.h"
#include "cli/internal/job_files.h"
#include "cli/internal/training_job.h"
#include "run/sizing_report.h"

namespace stoker::cli::internal {

namespace {

int Fail(const core::Status& status) {
  fmt::print(stderr, "stoker: error: {}\n", status.message());
  return ExitCodeOf(status);
}

std::string ParamsAsTyped(const TrainingJob& job) {
  std::string text;
  for (const std::string& param : job.arguments.List("params")) {
    text += text.empty() ? " --params" : "";
    text += " " + param;
  }
  return text;
}

}  // namespace

int RunDatasizeCommand(const TrainingJob& job) {
  std::string host_list;
  for (const std::string& host : job.hosts()) {
    host_list += (host_list.empty() ? "" : ",") + host;
  }
  const core::Result<std::string> text = run::DescribeDatasize(
      {.config = &job.config,
       .model = job.model,
       .accelerators = job.ranks(),
       .hosts = job.host_count(),
       .memory_gib_per_host = job.arguments.Integer("client-host-memory-in-gb"),
       .data_dir = job.arguments.Text("data-dir"),
       .results_dir = job.arguments.Text("results-dir"),
       .params = ParamsAsTyped(job),
       .host_list = host_list});
  if (!text.ok()) {
    return Fail(text.status());
  }
  fmt::print("{}", text.value());
  if (job.arguments.Flag("what-if")) {
    return kExitSuccess;
  }
  const auto started = std::chrono::steady_clock::now();
  core::Result<reporting::ResultFolder> folder = MakeJobFolder(job);
  if (!folder.ok()) {
    return Fail(folder.status());
  }
  const core::Status written =
      WriteJobMetadata(job, {.folder = folder.value(), .started = started});
  return written.ok() ? kExitSuccess : Fail(written);
}

int RunConfigviewCommand(const TrainingJob& job) {
  for (const config::EffectiveKey& key : job.config.keys) {
    fmt::print("{}: {}  # {}\n", key.key, key.value, key.origin.where);
  }
  for (const std::string& warning : job.config.warnings) {
    fmt::print(stderr, "stoker: warning: {}\n", warning);
  }
  return kExitSuccess;
}

}  // namespace stoker::cli::internal
