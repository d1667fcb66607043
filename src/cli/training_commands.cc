// The commands that only tell: datasize and configview.

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "cli/exit_codes.h"
#include "cli/internal/job_files.h"
#include "cli/internal/training_job.h"
#include "cli/launch.h"
#include "run/sizing_report.h"

namespace stoker::cli::internal {

namespace {

// What else shaped the workload, for the command that datasize suggests.
std::string ChoicesAsTyped(const TrainingJob& job) {
  std::vector<std::string> words;
  for (const std::string_view name : {"workload", "compat", "config-file"}) {
    if (job.arguments.Given(name)) {
      words.push_back(fmt::format("--{}", name));
      words.push_back(job.arguments.Text(name));
    }
  }
  const std::vector<std::string> params = job.arguments.List("params");
  if (!params.empty()) {
    words.emplace_back("--params");
    words.insert(words.end(), params.begin(), params.end());
  }
  const auto& overrides = job.arguments.overrides();
  words.insert(words.end(), overrides.begin(), overrides.end());
  return words.empty() ? std::string() : " " + QuoteWords(words);
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
       .params = ChoicesAsTyped(job),
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
