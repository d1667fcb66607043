// The commands that only tell: datasize and configview.

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "cli/exit_codes.h"
#include "cli/internal/checkpoint_job.h"
#include "cli/internal/commands.h"
#include "cli/internal/job.h"
#include "cli/internal/job_files.h"
#include "cli/launch.h"
#include "run/checkpoint_sizing.h"
#include "run/sizing_report.h"

namespace stoker::cli::internal {

namespace {

// What else shaped the workload, for the command that datasize suggests.
std::string ChoicesAsTyped(const Job& job) {
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

// The result folder of a command that only tells holds how it was called.
int LeaveMetadata(const Job& job) {
  if (job.arguments.Flag("what-if")) {
    return kExitSuccess;
  }
  const auto started = std::chrono::steady_clock::now();
  core::Result<reporting::ResultFolder> folder = MakeJobFolder(job);
  if (!folder.ok()) {
    return Fail(folder.status(), job.log_format());
  }
  const core::Status written =
      WriteJobMetadata(job, {.folder = folder.value(), .started = started});
  return written.ok() ? kExitSuccess : Fail(written, job.log_format());
}

}  // namespace

int RunDatasizeCommand(const Job& job) {
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
  return LeaveMetadata(job);
}

int RunCheckpointDatasizeCommand(const Job& job) {
  core::Result<run::CheckpointQuestion> question = CheckpointQuestionOf(job);
  if (!question.ok()) {
    return Fail(question.status(), kExitArguments, job.log_format());
  }
  if (!job.arguments.Given("checkpoint-folder")) {
    question.value().uri.clear();  // nothing is said about a place
  }
  question.value().gib_per_second = job.arguments.Number("gib-per-s");
  const core::Result<run::Event> event =
      run::DescribeCheckpointSizing(question.value());
  if (!event.ok()) {
    return Fail(event.status(), job.log_format());
  }
  run::Console({.level = job.log_level(), .format = job.log_format()})
      .Info(event.value());
  return LeaveMetadata(job);
}

int RunConfigviewCommand(const Job& job) {
  for (const config::EffectiveKey& key : job.config.keys) {
    fmt::print("{}: {}  # {}\n", key.key, key.value, key.origin.where);
  }
  for (const std::string& warning : job.config.warnings) {
    fmt::print(stderr, "stoker: warning: {}\n", warning);
  }
  return kExitSuccess;
}

}  // namespace stoker::cli::internal
