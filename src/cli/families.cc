// The families of commands with a workload, and their verbs.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/history.h"
#include "cli/internal/commands.h"
#include "cli/internal/job.h"
#include "cli/options.h"
#include "core/text.h"

namespace stoker::cli {

namespace {

using core::Code;
using core::Status;

struct Verb {
  std::string_view name;
  CommandSet bit;
  std::string_view summary;
  int (*run)(const internal::Job& job);
  // Instead of `run`: takes one place and no workload.
  int (*run_on_place)(const Arguments& arguments) = nullptr;
};

struct Family {
  std::string_view name;
  std::span<const Verb> verbs;

  internal::CommandId Id(const Verb& verb) const {
    return {.family = name, .verb = verb.name, .bit = verb.bit};
  }
};

constexpr std::array<Verb, 4> kTrainingVerbs{{
    {"datasize", kDatasize,
     "How many files a run needs to count, and what it asks of each host.",
     internal::RunDatasizeCommand},
    {"datagen", kDatagen,
     "Writes the dataset of a workload, all processes in parallel.",
     internal::RunDatagenCommand},
    {"run", kRun,
     "Emulates the training of a workload on simulated accelerators and "
     "measures how well the storage keeps them fed.",
     internal::RunTrainingCommand},
    {"configview", kConfigview,
     "Prints the effective configuration, each value with its origin.",
     internal::RunConfigviewCommand},
}};

constexpr std::array<Verb, 5> kCheckpointVerbs{{
    {"datasize", kCheckpointDatasize,
     "What a checkpoint takes of each rank, of hosts and of storage, and "
     "whether caches must be cleared between saving and restoring.",
     internal::RunCheckpointDatasizeCommand},
    {"run", kCheckpointRun,
     "Saves checkpoints of a model from all ranks, restores them, and measures "
     "how long each takes.",
     internal::RunCheckpointCommand},
    {"configview", kCheckpointView,
     "Prints the effective configuration, each value with its origin.",
     internal::RunConfigviewCommand},
    {"verify", kCheckpointVerify,
     "Reads a checkpoint, or all of a place, and compares every byte with what "
     "was saved.",
     nullptr, internal::RunVerifyCommand},
    {"delete", kCheckpointDelete,
     "Removes a checkpoint, or all of a place, whole or not, and no file of "
     "anybody else.",
     nullptr, internal::RunDeleteCommand},
}};

constexpr std::array<Verb, 1> kS3Verbs{{
    {"cleanup", kS3Cleanup,
     "Takes back the uploads below s3://BUCKET/PREFIX that writers began and, "
     "killed, never completed: a server keeps their parts until then.",
     nullptr, internal::RunS3CleanupCommand},
}};

constexpr std::array<Verb, 7> kCacheVerbs{{
    {"format", kCacheFormat,
     "Makes a cache in DIR and takes all the space it will ever use.", nullptr,
     internal::RunCacheFormatCommand},
    {"status", kCacheLook, "What is in the cache of DIR, and who uses it.",
     nullptr, internal::RunCacheStatusCommand},
    {"verify", kCacheLook,
     "Reads every block of the cache of DIR and compares it with its "
     "checksums; damaged ones are let go of.",
     nullptr, internal::RunCacheVerifyCommand},
    {"measure", kCacheLook,
     "How fast the device of the cache of DIR is: writes to free slots, and "
     "reads them, for a second.",
     nullptr, internal::RunCacheMeasureCommand},
    {"clear", kCacheLook, "Empties the cache of DIR.", nullptr,
     internal::RunCacheClearCommand},
    {"warm", kCacheWarm,
     "Reads every object of a place through a cache: cache:DIR,<place>.",
     nullptr, internal::RunCacheWarmCommand},
    {"drain", kCacheWarm,
     "Brings to the store what was written to its cache and is not there yet "
     "(write=back): cache:DIR,<place>.",
     nullptr, internal::RunCacheDrainCommand},
}};

constexpr Family kTrainingFamily{"training", kTrainingVerbs};
constexpr Family kCheckpointFamily{"checkpointing", kCheckpointVerbs};
constexpr Family kS3Family{"s3", kS3Verbs};
constexpr Family kCacheFamily{"cache", kCacheVerbs};

std::string VerbHelp(const Family& family, const Verb& verb) {
  const std::string options = DescribeOptions(JobOptions(), verb.bit);
  if (verb.run_on_place != nullptr) {
    return fmt::format("usage: stoker {} {} DIR|URI [options]\n\n{}\n\n{}",
                       family.name, verb.name, verb.summary, options);
  }
  return fmt::format(
      "usage: stoker {} {} [options] [++workload.key=value ...]\n\n{}\n\n"
      "{}\nOverrides: --params key=value, or key=value (known keys), "
      "+key=value "
      "(new), ++key=value (either), ~key (default again); with or without "
      "'workload.' in front. docs/configuration.md lists the keys.\n",
      family.name, verb.name, verb.summary, options);
}

std::string FamilyHelp(const Family& family) {
  std::string text =
      fmt::format("usage: stoker {} <verb> [options]\n\n", family.name);
  for (const Verb& verb : family.verbs) {
    text += fmt::format("  {:<11} {}\n", verb.name, verb.summary);
  }
  text += fmt::format(
      "\nstoker {} <verb> --help lists the options of a verb.\n", family.name);
  return text;
}

// Before the words are known to be right: they decide how that is told.
run::LogFormat FormatAskedFor(std::span<const std::string> words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--log-format=json" ||
        (words[i] == "--log-format" && i + 1 < words.size() &&
         words[i + 1] == "json")) {
      return run::LogFormat::kJson;
    }
  }
  return run::LogFormat::kText;
}

bool AsksForHelp(std::span<const std::string> words) {
  return std::ranges::any_of(words, [](const std::string& word) {
    return word == "--help" || word == "-h";
  });
}

// How words that are refused are answered.
struct Answer {
  int exit_code = kExitArguments;
  run::LogFormat format = run::LogFormat::kText;
};

// The words behind the verb, with those of a site file, checked.
core::Result<Arguments> ReadArguments(const std::string& program,
                                      const internal::CommandId& id,
                                      std::span<const std::string> words,
                                      Answer& answer) {
  answer = {.format = FormatAskedFor(words)};
  STOKER_ASSIGN(Arguments arguments,
                ParseArguments(JobOptions(), id.bit, words));
  const Status merged = internal::MergeSiteFile(id.bit, arguments);
  if (!merged.ok()) {
    answer.exit_code =
        merged.code() == Code::kNotFound ? kExitNotFound : kExitConfiguration;
    return merged;
  }
  answer.format = internal::LogFormatOf(arguments);
  STOKER_TRY(CheckArguments(JobOptions(), id.bit, arguments));
  STOKER_TRY(internal::CheckWorkloadArguments(program, id, arguments));
  return arguments;
}

int RunVerb(const Family& family, const Verb& verb, const std::string& program,
            std::span<const std::string> words) {
  std::vector<std::string> all{std::string(family.name),
                               std::string(verb.name)};
  all.insert(all.end(), words.begin(), words.end());
  const internal::CommandId id = family.Id(verb);
  Answer answer;
  core::Result<Arguments> arguments = ReadArguments(program, id, words, answer);
  if (!arguments.ok()) {
    return Fail(arguments.status(), answer.exit_code, answer.format);
  }
  const run::LogFormat format = answer.format;
  const HistoryNote note = arguments.value().Given("what-if")
                               ? HistoryNote()
                               : HistoryNote(all, format);
  if (verb.run_on_place != nullptr) {
    return note.Ended(verb.run_on_place(arguments.value()));
  }
  core::Result<internal::Job> job =
      internal::MakeJob(program, id, words, std::move(arguments).value());
  if (!job.ok()) {
    return note.Ended(Fail(job.status(), format));
  }
  job.value().history = &note;
  return note.Ended(verb.run(job.value()));
}

int FamilyCommand(const Family& family, const std::string& program,
                  std::span<const std::string> words) {
  if (words.empty() || words.front() == "--help" || words.front() == "-h") {
    fmt::print(words.empty() ? stderr : stdout, "{}", FamilyHelp(family));
    return words.empty() ? kExitGeneral : kExitSuccess;
  }
  const auto verb = std::ranges::find(family.verbs, words.front(), &Verb::name);
  if (verb == family.verbs.end()) {
    std::vector<std::string_view> names;
    names.reserve(family.verbs.size());
    for (const Verb& known : family.verbs) {
      names.push_back(known.name);
    }
    const std::string_view nearest = core::Nearest(words.front(), names);
    fmt::print(stderr, "stoker: error: unknown verb '{} {}'{}\n{}", family.name,
               words.front(),
               nearest.empty() ? std::string()
                               : fmt::format(", did you mean '{}'?", nearest),
               FamilyHelp(family));
    return kExitArguments;
  }
  if (AsksForHelp(words.subspan(1))) {
    fmt::print("{}", VerbHelp(family, *verb));
    return kExitSuccess;
  }
  return RunVerb(family, *verb, program, words.subspan(1));
}

}  // namespace

int TrainingCommand(const std::string& program,
                    std::span<const std::string> words) {
  return FamilyCommand(kTrainingFamily, program, words);
}

int CheckpointingCommand(const std::string& program,
                         std::span<const std::string> words) {
  return FamilyCommand(kCheckpointFamily, program, words);
}

int S3Command(const std::string& program, std::span<const std::string> words) {
  return FamilyCommand(kS3Family, program, words);
}

int CacheCommand(const std::string& program,
                 std::span<const std::string> words) {
  return FamilyCommand(kCacheFamily, program, words);
}

}  // namespace stoker::cli
