#include "cli/internal/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "cli/internal/checkpoint_job.h"
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
  for (const Option& option : JobOptions()) {
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
  // `storage: {uri: …}` is where the data is, or the checkpoints are, unless an
  // option says so.
  const std::string_view place =
      (command & kCheckpointing) != 0 ? "checkpoint-folder" : "data-dir";
  const std::string name =
      entry.key == "storage.uri" ? std::string(place) : OptionName(entry.key);
  const auto options = JobOptions();
  const auto row = std::ranges::find_if(options, [&](const Option& option) {
    return option.name == name && (option.commands & command) != 0;
  });
  if (row == options.end()) {
    // For another command: one site file serves all.
    return std::ranges::find(options, name, &Option::name) != options.end()
               ? Status()
               : UnknownSiteKey(file, entry, command);
  }
  if (entry.key == "storage.uri" && arguments.Given(place)) {
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

// What follows the model in the name of its workload file.
std::string SuffixOf(const CommandId& id, const Arguments& arguments) {
  if (!id.trains()) {
    return "";
  }
  return id.verb == "datagen" ? "datagen" : arguments.Text("accelerator-type");
}

Status ResolveWorkload(Job& job) {
  const Arguments& arguments = job.arguments;
  const bool has_accelerator = job.id.trains() && job.id.verb != "datagen";
  if (has_accelerator) {
    job.accelerator = arguments.Text("accelerator-type");
  }
  if (arguments.Given("workload")) {
    job.workload_path = arguments.Text("workload");
    job.workload_name =
        std::filesystem::path(job.workload_path).stem().string();
    job.workload_folder =
        std::filesystem::path(job.workload_path).parent_path().string();
    if (job.id.trains() && !arguments.Given("accelerator-type")) {
      job.accelerator = AcceleratorOf(job.workload_name);
    }
    return {};
  }
  STOKER_ASSIGN(job.workload_folder, WorkloadFolder(job.program));
  STOKER_ASSIGN(job.workload_path,
                FindWorkload(job.workload_folder, arguments.Text("model"),
                             SuffixOf(job.id, arguments)));
  job.workload_name = std::filesystem::path(job.workload_path).stem().string();
  return {};
}

config::LoadOptions LoadOptionsOf(const Job& job) {
  config::LoadOptions options;
  options.workload_path = job.workload_path;
  options.compat.v2_0 = job.arguments.Text("compat") == "v2.0";
  options.overrides = job.user_overrides;
  return options;
}

Status LoadTraining(Job& job) {
  STOKER_ASSIGN(job.config, config::Load(LoadOptionsOf(job)));
  job.model = job.arguments.Given("model") ? job.arguments.Text("model")
                                           : job.config.workload.model.name;
  STOKER_ASSIGN(job.uri, run::DatasetUri(job.arguments.Text("data-dir"),
                                         job.model, job.config.workload));
  return {};
}

// As the reference the tool adds overrides of its own, behind the user's.
Status LoadCheckpointing(Job& job) {
  config::LoadOptions options = LoadOptionsOf(job);
  const auto add = [&options](const std::vector<std::string>& more) {
    options.overrides.insert(options.overrides.end(), more.begin(), more.end());
  };
  add(CountOverrides(job.arguments));
  STOKER_ASSIGN(const config::LoadedConfig so_far, config::Load(options));
  job.model = CheckpointModel(job.arguments.Given("model")
                                  ? job.arguments.Text("model")
                                  : so_far.workload.model.name);
  STOKER_ASSIGN(job.uri,
                run::CheckpointUri(job.arguments.Text("checkpoint-folder"),
                                   job.model, so_far.workload));
  add(PlaceOverrides(job.arguments, job.model, job.uri, so_far));
  STOKER_ASSIGN(job.config, config::Load(options));
  return {};
}

}  // namespace

run::LogFormat LogFormatOf(const Arguments& arguments) {
  return arguments.Text("log-format") == "json" ? run::LogFormat::kJson
                                                : run::LogFormat::kText;
}

run::LogLevel LogLevelOf(const Arguments& arguments) {
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

std::int64_t Job::ranks() const {
  for (const std::string_view name :
       {"num-accelerators", "num-processes", "max-accelerators"}) {
    if (arguments.Given(name)) {
      return arguments.Integer(name);
    }
  }
  return 1;
}

std::vector<std::string> Job::hosts() const {
  return SplitHosts(arguments.List("hosts"));
}

std::int64_t Job::host_count() const {
  return arguments.Given("num-client-hosts")
             ? arguments.Integer("num-client-hosts")
             : static_cast<std::int64_t>(hosts().size());
}

std::string Job::command_line() const {
  std::vector<std::string> all{program, std::string(id.family),
                               std::string(id.verb)};
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

Status CheckWorkloadArguments(std::string_view program, const CommandId& id,
                              const Arguments& arguments) {
  if ((id.bit & (kCheckpointVerify | kCheckpointDelete | kCare)) != 0) {
    return CheckPlaceArguments(id, arguments);
  }
  if (id.verb != "configview") {
    STOKER_TRY(CheckHosts(SplitHosts(arguments.List("hosts"))));
  }
  if (!id.trains()) {
    STOKER_TRY(CheckCheckpointArguments(id, arguments));
  }
  if (arguments.Given("workload")) {
    return {};
  }
  if (!arguments.Given("model")) {
    return {Code::kInvalidArgument,
            "--model NAME or --workload FILE is required; `stoker list "
            "workloads` names the models"};
  }
  if (id.trains() && id.verb != "datagen" &&
      !arguments.Given("accelerator-type")) {
    return {Code::kInvalidArgument,
            "--accelerator-type is required with --model, e.g. h100"};
  }
  // A folder that is missing is no fault of these words: MakeJob will tell.
  const core::Result<std::string> folder = WorkloadFolder(std::string(program));
  return folder.ok() ? FindWorkload(folder.value(), arguments.Text("model"),
                                    SuffixOf(id, arguments))
                           .status()
                     : Status();
}

core::Result<Job> MakeJob(const std::string& program, const CommandId& id,
                          std::span<const std::string> words,
                          Arguments arguments) {
  Job job;
  job.program = program;
  job.id = id;
  job.words.assign(words.begin(), words.end());
  job.arguments = std::move(arguments);
  STOKER_TRY(ResolveWorkload(job));
  for (const std::string& param : job.arguments.List("params")) {
    const bool is_signed = param.starts_with('+') || param.starts_with('~');
    job.user_overrides.push_back(is_signed ? param : "++workload." + param);
  }
  const auto& overrides = job.arguments.overrides();
  job.user_overrides.insert(job.user_overrides.end(), overrides.begin(),
                            overrides.end());
  STOKER_TRY(id.trains() ? LoadTraining(job) : LoadCheckpointing(job));
  return job;
}

}  // namespace stoker::cli::internal
