#include "cli/internal/training_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "cli/launch.h"
#include "cli/workload_files.h"
#include "core/text.h"
#include "run/place.h"

namespace stoker::cli::internal {

namespace {

using core::Code;
using core::Status;

std::string OptionName(std::string key) {
  std::ranges::replace(key, '_', '-');
  return key;
}

Status UnknownSiteKey(const std::string& file, const config::SiteEntry& entry,
                      CommandSet command) {
  std::vector<std::string> names;
  for (const Option& option : TrainingOptions()) {
    if ((option.commands & command) != 0) {
      names.emplace_back(option.name);
      std::ranges::replace(names.back(), '-', '_');
    }
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  const std::string_view nearest = core::Nearest(entry.key, views);
  return {Code::kInvalidArgument,
          fmt::format("{}:{}: unknown key '{}'{}", file, entry.line, entry.key,
                      nearest.empty()
                          ? std::string("; keys are long option names with "
                                        "'_', params, storage.uri")
                          : fmt::format(", did you mean '{}'?", nearest))};
}

Status MergeEntry(const std::string& file, const config::SiteEntry& entry,
                  CommandSet command, Arguments& arguments) {
  // `storage: {uri: …}` is where the data is, unless --data-dir says so.
  const std::string name =
      entry.key == "storage.uri" ? "data-dir" : OptionName(entry.key);
  const auto options = TrainingOptions();
  const auto row = std::ranges::find(options, name, &Option::name);
  if (row == options.end()) {
    return UnknownSiteKey(file, entry, command);
  }
  if ((row->commands & command) == 0) {
    return {};  // for another command: one site file serves all
  }
  if (entry.key == "storage.uri" && arguments.Given("data-dir")) {
    return {};
  }
  if (row->kind == ValueKind::kFlag) {
    const std::string value =
        entry.values.empty() ? std::string() : entry.values.front();
    if (value != "true" && value != "false") {
      return {Code::kInvalidArgument,
              fmt::format("{}:{}: {} is true or false, not '{}'", file,
                          entry.line, entry.key, value)};
    }
    if (value == "true") {
      arguments.Set(name, {});
    }
    return {};
  }
  std::vector<std::string> values = entry.values;
  if (name == "params") {
    values = arguments.List("params");
    values.insert(values.end(), entry.values.begin(), entry.values.end());
  }
  arguments.Set(name, std::move(values));
  return {};
}

// "h100" of "unet3d_h100".
std::string AcceleratorOf(const std::string& workload_name) {
  const std::size_t at = workload_name.find('_');
  return at == std::string::npos ? std::string() : workload_name.substr(at + 1);
}

Status ResolveWorkload(TrainingJob& job) {
  const Arguments& arguments = job.arguments;
  if (arguments.Given("workload")) {
    job.workload_path = arguments.Text("workload");
    job.workload_name =
        std::filesystem::path(job.workload_path).stem().string();
    job.workload_folder =
        std::filesystem::path(job.workload_path).parent_path().string();
    job.accelerator = arguments.Given("accelerator-type")
                          ? arguments.Text("accelerator-type")
                          : AcceleratorOf(job.workload_name);
    return {};
  }
  const bool datagen = job.command == "datagen";
  job.accelerator = datagen ? "" : arguments.Text("accelerator-type");
  STOKER_ASSIGN(job.workload_folder, WorkloadFolder(job.program));
  STOKER_ASSIGN(job.workload_path,
                FindWorkload(job.workload_folder, arguments.Text("model"),
                             datagen ? "datagen" : job.accelerator));
  job.workload_name = std::filesystem::path(job.workload_path).stem().string();
  return {};
}

}  // namespace

run::LogFormat LogFormatOf(const Arguments& arguments) {
  return arguments.Text("log-format") == "json" ? run::LogFormat::kJson
                                                : run::LogFormat::kText;
}

std::int64_t TrainingJob::ranks() const {
  for (const std::string_view name :
       {"num-accelerators", "num-processes", "max-accelerators"}) {
    if (arguments.Given(name)) {
      return arguments.Integer(name);
    }
  }
  return 1;
}

std::vector<std::string> TrainingJob::hosts() const {
  return SplitHosts(arguments.List("hosts"));
}

std::int64_t TrainingJob::host_count() const {
  return arguments.Given("num-client-hosts")
             ? arguments.Integer("num-client-hosts")
             : static_cast<std::int64_t>(hosts().size());
}

run::LogLevel TrainingJob::log_level() const {
  if (arguments.Flag("debug")) {
    return run::LogLevel::kDebug;
  }
  if (arguments.Flag("verbose")) {
    return run::LogLevel::kVerbose;
  }
  static const std::map<std::string, run::LogLevel, std::less<>> kLevels{
      {"ERROR", run::LogLevel::kError},
      {"WARNING", run::LogLevel::kWarning},
      {"INFO", run::LogLevel::kInfo},
      {"VERBOSE", run::LogLevel::kVerbose},
      {"DEBUG", run::LogLevel::kDebug}};
  return kLevels.at(arguments.Text("stream-log-level"));
}

run::LogFormat TrainingJob::log_format() const {
  return LogFormatOf(arguments);
}

std::string TrainingJob::command_line() const {
  std::vector<std::string> all{program, "training", command};
  all.insert(all.end(), words.begin(), words.end());
  return QuoteWords(all);
}

Status MergeSiteFile(CommandSet command, Arguments& arguments) {
  if (!arguments.Given("config-file")) {
    return {};
  }
  const std::string file = arguments.Text("config-file");
  STOKER_ASSIGN(const std::vector<config::SiteEntry> entries,
                config::LoadSiteFile(file));
  std::string mistakes;
  for (const config::SiteEntry& entry : entries) {
    const Status status = MergeEntry(file, entry, command, arguments);
    if (!status.ok()) {
      mistakes += mistakes.empty() ? "" : "\n  ";
      mistakes += status.message();
    }
  }
  return mistakes.empty() ? Status() : Status(Code::kInvalidArgument, mistakes);
}

Status CheckWorkloadArguments(std::string_view program,
                              std::string_view command,
                              const Arguments& arguments) {
  if (command != "configview") {
    STOKER_TRY(CheckHosts(SplitHosts(arguments.List("hosts"))));
  }
  if (arguments.Given("workload")) {
    return {};
  }
  if (!arguments.Given("model")) {
    return {Code::kInvalidArgument,
            "--model NAME or --workload FILE is required; `stoker list "
            "workloads` names the models"};
  }
  if (command != "datagen" && !arguments.Given("accelerator-type")) {
    return {Code::kInvalidArgument,
            "--accelerator-type is required with --model, e.g. h100"};
  }
  // A folder that is missing is no fault of these words: MakeJob will tell.
  const core::Result<std::string> folder = WorkloadFolder(std::string(program));
  return folder.ok() ? FindWorkload(folder.value(), arguments.Text("model"),
                                    command == "datagen"
                                        ? "datagen"
                                        : arguments.Text("accelerator-type"))
                           .status()
                     : Status();
}

core::Result<TrainingJob> MakeJob(const std::string& program,
                                  std::string_view command,
                                  std::span<const std::string> words,
                                  Arguments arguments) {
  TrainingJob job;
  job.program = program;
  job.command = command;
  job.words.assign(words.begin(), words.end());
  job.arguments = std::move(arguments);
  STOKER_TRY(ResolveWorkload(job));
  config::LoadOptions options;
  options.workload_path = job.workload_path;
  options.compat.v2_0 = job.arguments.Text("compat") == "v2.0";
  for (const std::string& param : job.arguments.List("params")) {
    const bool is_signed = param.starts_with('+') || param.starts_with('~');
    options.overrides.push_back(is_signed ? param : "++workload." + param);
  }
  const auto& overrides = job.arguments.overrides();
  options.overrides.insert(options.overrides.end(), overrides.begin(),
                           overrides.end());
  STOKER_ASSIGN(job.config, config::Load(options));
  job.model = job.arguments.Given("model") ? job.arguments.Text("model")
                                           : job.config.workload.model.name;
  STOKER_ASSIGN(job.data_uri, run::DatasetUri(job.arguments.Text("data-dir"),
                                              job.model, job.config.workload));
  return job;
}

}  // namespace stoker::cli::internal
