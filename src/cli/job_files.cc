#include "cli/internal/job_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/text.h"
#include "core/version.h"
#include "reporting/hydra_report.h"
#include "reporting/metadata_report.h"
#include "reporting/record_report.h"

namespace stoker::cli::internal {

namespace {

using reporting::Json;

Json IntegerArg(const Job& job, std::string_view option) {
  const config::CheckpointConfig& checkpoint = job.config.workload.checkpoint;
  if (option == "num-processes") {
    return job.ranks();
  }
  if (option == "num-checkpoints-read") {
    return std::max<std::int64_t>(checkpoint.num_checkpoints_read, 0);
  }
  if (option == "num-checkpoints-write") {
    return std::max<std::int64_t>(checkpoint.num_checkpoints_write, 0);
  }
  return job.arguments.Given(option) ? Json(job.arguments.Integer(option))
                                     : Json();
}

// Every option of the family under its name with '_'. As in the reference
// num_processes is the number of ranks, whichever option gave it, and options
// that were left to the workload have its values.
std::vector<std::pair<std::string, Json>> ArgsOf(const Job& job) {
  std::vector<std::pair<std::string, Json>> args{{"program", job.id.family},
                                                 {"command", job.id.verb}};
  const CommandSet family = job.id.trains() ? kTraining : kCheckpointing;
  for (const Option& option : JobOptions()) {
    if ((option.commands & family) == 0) {
      continue;
    }
    std::string name(option.name);
    std::ranges::replace(name, '-', '_');
    switch (option.kind) {
      case ValueKind::kFlag:
        args.emplace_back(name, job.arguments.Flag(option.name));
        break;
      case ValueKind::kList:
        args.emplace_back(name, job.arguments.List(option.name));
        break;
      case ValueKind::kInteger:
        args.emplace_back(name, IntegerArg(job, option.name));
        break;
      case ValueKind::kText:
      case ValueKind::kNumber:
      case ValueKind::kBytes:
      case ValueKind::kSeconds: {
        const std::string text = job.arguments.Text(option.name);
        args.emplace_back(name, text.empty() ? Json() : Json(text));
        break;
      }
    }
  }
  return args;
}

std::vector<std::pair<std::string, Json>> ParamsOf(const Job& job) {
  std::vector<std::pair<std::string, Json>> params;
  for (const config::EffectiveKey& key : job.config.keys) {
    if (key.is_set && !key.origin.where.starts_with(job.workload_path)) {
      params.emplace_back(key.key, reporting::FromYamlText(key.value));
    }
  }
  return params;
}

Json KeysJson(const config::LoadedConfig& config) {
  std::vector<std::pair<std::string, Json>> flat;
  for (const config::EffectiveKey& key : config.keys) {
    if (key.is_set) {
      flat.emplace_back(key.key, reporting::FromYamlText(key.value));
    }
  }
  return reporting::NestDotted(flat);
}

// The workload file without the overrides; {} if only they make it valid.
Json FileKeysJson(const Job& job) {
  config::LoadOptions options;
  options.workload_path = job.workload_path;
  options.compat = job.config.compat;
  const core::Result<config::LoadedConfig> loaded = config::Load(options);
  return loaded.ok() ? KeysJson(loaded.value()) : Json::MakeObject();
}

// The reference's tool always names both counts.
void AddCounts(const Job& job, std::vector<std::string>& overrides) {
  for (const auto& [option, key] :
       {std::pair{"num-checkpoints-read", "checkpoint.num_checkpoints_read"},
        std::pair{"num-checkpoints-write",
                  "checkpoint.num_checkpoints_write"}}) {
    if (!job.arguments.Given(option)) {
      overrides.push_back(
          fmt::format("++workload.{}={}", key, job.config.Value(key)));
    }
  }
}

}  // namespace

reporting::FolderRequest FolderRequestOf(const Job& job) {
  return {.results_dir = job.arguments.Text("results-dir"),
          .program = std::string(job.id.family),
          .model = job.model,
          .command = job.id.trains() ? std::string(job.id.verb) : "",
          .time = std::chrono::time_point_cast<core::Nanos>(
              std::chrono::system_clock::now())};
}

core::Result<reporting::ResultFolder> MakeJobFolder(const Job& job) {
  return reporting::MakeResultFolder(FolderRequestOf(job));
}

core::Status WriteJobMetadata(const Job& job, const JobOutcome& outcome) {
  reporting::CommandMetadata metadata;
  metadata.args = ArgsOf(job);
  metadata.debug = job.arguments.Flag("debug");
  metadata.run_datetime = outcome.folder.run_time;
  metadata.runtime_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                    outcome.started)
          .count();
  if (!outcome.verification.empty()) {
    metadata.verification = outcome.verification;
  }
  std::error_code ignored;
  const std::filesystem::path folder =
      std::filesystem::absolute(outcome.folder.path, ignored);
  if (outcome.captured) {
    const auto capture = [&](std::string_view stream) {
      return (folder /
              reporting::CaptureFile(job.id.family, job.id.verb, stream))
          .string();
    };
    metadata.outputs.push_back({.command = outcome.executed_command,
                                .stdout_file = capture("stdout"),
                                .stderr_file = capture("stderr")});
  }
  metadata.folder = folder.string();
  metadata.metadata_file =
      reporting::MetadataFile(job.id.family, outcome.folder.run_time);
  metadata.program_file = job.program;
  metadata.config_folder = job.workload_folder;
  metadata.config_file =
      std::filesystem::path(job.workload_path).filename().string();
  if (job.id.verb == "run") {
    metadata.hosts =
        reporting::RecordedHosts((folder / reporting::kRecordFile).string());
  }
  metadata.params = ParamsOf(job);
  metadata.yaml_params = FileKeysJson(job);
  metadata.combined_params = KeysJson(job.config);
  metadata.executed_command = outcome.executed_command;
  metadata.benchmark_type = job.id.family;
  metadata.warm_up = outcome.warm_up;
  return reporting::WriteMetadata(metadata);
}

core::Status WriteJobConfig(const Job& job, const std::string& folder) {
  std::error_code ignored;
  reporting::HydraFiles files;
  files.config_yaml = config::ToYaml(job.config);
  files.workload = job.workload_name;
  files.overrides = job.config.overrides;
  if (job.id.trains() && job.arguments.Given("data-dir")) {
    files.overrides.push_back("++workload.dataset.data_folder=" + job.uri);
  }
  if (!job.id.trains()) {
    AddCounts(job, files.overrides);
  }
  files.output_dir = std::filesystem::absolute(folder, ignored).string();
  files.config_folder = job.workload_folder;
  files.working_dir = std::filesystem::current_path(ignored).string();
  files.tool_version = std::string(core::kVersion);
  return reporting::WriteHydraFiles(files);
}

}  // namespace stoker::cli::internal
