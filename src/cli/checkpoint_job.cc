#include "cli/internal/checkpoint_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cli/launch.h"
#include "core/units.h"

namespace stoker::cli::internal {

namespace {

using core::Code;
using core::Status;

constexpr std::uint64_t kLeastPool = 8 * core::kMiB;

// In single quotes unless Hydra takes it as it is.
std::string OverrideValue(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
      "/-+._%*@?|:";
  if (!text.empty() && text.find_first_not_of(kPlain) == text.npos) {
    return std::string(text);
  }
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') {
      quoted += '\\';
    }
    quoted += c;
  }
  return quoted + "'";
}

bool IsSet(const config::LoadedConfig& config, std::string_view key) {
  const auto found =
      std::ranges::find(config.keys, key, &config::EffectiveKey::key);
  return found != config.keys.end() && found->is_set;
}

}  // namespace

std::string CheckpointModel(std::string_view name) {
  std::string model(name);
  std::ranges::replace(model, '_', '-');
  constexpr std::string_view kOfFiles = "llama-";
  if (model.starts_with(kOfFiles)) {
    model.replace(0, kOfFiles.size(), "llama3-");
  }
  return model;
}

std::vector<std::string> CountOverrides(const Arguments& arguments) {
  std::vector<std::string> overrides;
  for (const auto& [option, key] :
       {std::pair{"num-checkpoints-read", "num_checkpoints_read"},
        std::pair{"num-checkpoints-write", "num_checkpoints_write"}}) {
    if (arguments.Given(option)) {
      overrides.push_back(fmt::format("++workload.checkpoint.{}={}", key,
                                      arguments.Integer(option)));
    }
  }
  return overrides;
}

std::vector<std::string> PlaceOverrides(const Arguments& arguments,
                                        std::string_view model,
                                        const std::string& uri,
                                        const config::LoadedConfig& config) {
  std::vector<std::string> overrides;
  if (arguments.Given("checkpoint-folder")) {
    overrides.push_back("++workload.checkpoint.checkpoint_folder=" +
                        OverrideValue(uri));
  }
  const bool chosen = IsSet(config, "checkpoint.mode") ||
                      IsSet(config, "model.parallelism.data");
  const std::optional<std::int64_t> copies =
      chosen || !arguments.Given("num-processes")
          ? std::nullopt
          : run::SubsetCopies(config, model,
                              arguments.Integer("num-processes"));
  if (copies) {
    overrides.emplace_back("++workload.checkpoint.mode=subset");
    overrides.push_back(
        fmt::format("++workload.model.parallelism.data={}", *copies));
  }
  return overrides;
}

Status CheckCheckpointArguments(const CommandId& id,
                                const Arguments& arguments) {
  std::string mistakes;
  const auto add = [&mistakes](std::string_view text) {
    mistakes += mistakes.empty() ? "" : "\n  ";
    mistakes += text;
  };
  if ((id.bit & (kCheckpointDatasize | kCheckpointRun)) != 0 &&
      arguments.Bytes("pool") < kLeastPool) {
    add(fmt::format("--pool: '{}' is less than {}", arguments.Text("pool"),
                    core::FormatBytes(static_cast<double>(kLeastPool))));
  }
  if (id.bit == kCheckpointRun) {
    const Status between = ParseBetween(arguments.Text("between")).status();
    if (!between.ok()) {
      add(between.message());
    }
    if (arguments.Given("accelerators") != arguments.Given("mtbf")) {
      add("--accelerators and --mtbf: give both, or none");
    }
    const bool only_reads = arguments.Given("num-checkpoints-write") &&
                            arguments.Integer("num-checkpoints-write") == 0;
    if (arguments.Flag("foreign") && !only_reads) {
      add("--foreign is about checkpoints that others wrote: give "
          "--num-checkpoints-write 0, or leave it out");
    }
    if (arguments.Given("keep") && only_reads) {
      add("--keep is about saving: leave it out with --num-checkpoints-write "
          "0");
    }
  }
  return mistakes.empty() ? Status() : Status(Code::kInvalidArgument, mistakes);
}

Status CheckPlaceArguments(const CommandId& id, const Arguments& arguments) {
  if (arguments.overrides().size() == 1) {
    return {};
  }
  const bool of_cache = id.family == "cache";
  const bool through = of_cache && (id.verb == "warm" || id.verb == "drain");
  const std::string_view what = !of_cache ? "a checkpoint or a folder of some"
                                : through ? "a store through a cache"
                                          : "the directory of a cache";
  const std::string_view place = id.family == "s3" ? "s3://BUCKET/PREFIX"
                                 : through         ? "cache:DIR,STORE"
                                                   : "DIR";
  return {Code::kInvalidArgument,
          fmt::format("{} {} takes one place, {}; {} are given: stoker {} {} "
                      "{}",
                      id.family, id.verb, id.family == "s3" ? place : what,
                      arguments.overrides().size(), id.family, id.verb, place)};
}

core::Result<run::CheckpointQuestion> CheckpointQuestionOf(const Job& job) {
  const Arguments& arguments = job.arguments;
  run::CheckpointQuestion question{.config = &job.config,
                                   .model = job.model,
                                   .uri = job.uri,
                                   .pool_bytes = arguments.Bytes("pool")};
  STOKER_ASSIGN(
      question.ranks_of_host,
      RanksOfHosts(job.hosts(), job.ranks(), arguments.Flag("oversubscribe")));
  if (arguments.Given("client-host-memory-in-gb")) {
    question.memory_gib_per_host =
        arguments.Integer("client-host-memory-in-gb");
  }
  if (arguments.Given("keep")) {
    question.keep = static_cast<std::uint64_t>(arguments.Integer("keep"));
  }
  return question;
}

core::Result<BetweenChoice> ParseBetween(std::string_view text) {
  constexpr std::string_view kCommand = "command:";
  if (text == "none") {
    return BetweenChoice{.what = run::Between::kNone};
  }
  if (text == "flush") {
    return BetweenChoice{.what = run::Between::kFlush};
  }
  if (text == "drop-caches") {
    return BetweenChoice{.what = run::Between::kDropCaches};
  }
  if (text.starts_with(kCommand) && text.size() > kCommand.size()) {
    return BetweenChoice{.what = run::Between::kCommand,
                         .command = std::string(text.substr(kCommand.size()))};
  }
  return Status(Code::kInvalidArgument,
                fmt::format("--between: '{}' is none of none, flush, "
                            "drop-caches and command:LINE",
                            text));
}

}  // namespace stoker::cli::internal
