#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/history.h"
#include "cli/internal/training_job.h"
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
  int (*run)(const internal::TrainingJob& job);
};

constexpr std::array<Verb, 4> kVerbs{{
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

std::string VerbHelp(const Verb& verb) {
  return fmt::format(
      "usage: stoker training {} [options] [++workload.key=value ...]\n\n{}\n\n"
      "{}\nOverrides: --params key=value, or key=value (known keys), "
      "+key=value "
      "(new), ++key=value (either), ~key (default again); with or without "
      "'workload.' in front. docs/configuration.md lists the keys.\n",
      verb.name, verb.summary, DescribeOptions(TrainingOptions(), verb.bit));
}

std::string FamilyHelp() {
  std::string text = "usage: stoker training <verb> [options]\n\n";
  for (const Verb& verb : kVerbs) {
    text += fmt::format("  {:<11} {}\n", verb.name, verb.summary);
  }
  text += "\nstoker training <verb> --help lists the options of a verb.\n";
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

int RunVerb(const Verb& verb, const std::string& program,
            std::span<const std::string> words) {
  core::Result<Arguments> arguments =
      ParseArguments(TrainingOptions(), verb.bit, words);
  if (!arguments.ok()) {
    return Fail(arguments.status(), kExitArguments, FormatAskedFor(words));
  }
  const Status merged = internal::MergeSiteFile(verb.bit, arguments.value());
  if (!merged.ok()) {
    return Fail(
        merged,
        merged.code() == Code::kNotFound ? kExitNotFound : kExitConfiguration,
        FormatAskedFor(words));
  }
  const run::LogFormat format = internal::LogFormatOf(arguments.value());
  const Status checked =
      CheckArguments(TrainingOptions(), verb.bit, arguments.value());
  if (!checked.ok()) {
    return Fail(checked, kExitArguments, format);
  }
  const Status named =
      internal::CheckWorkloadArguments(program, verb.name, arguments.value());
  if (!named.ok()) {
    return Fail(named, kExitArguments, format);
  }
  const bool what_if =
      verb.name != "configview" && arguments.value().Flag("what-if");
  std::vector<std::string> all{"training", std::string(verb.name)};
  all.insert(all.end(), words.begin(), words.end());
  const HistoryNote note = what_if ? HistoryNote() : HistoryNote(all, format);
  core::Result<internal::TrainingJob> job = internal::MakeJob(
      program, verb.name, words, std::move(arguments).value());
  if (!job.ok()) {
    return note.Ended(Fail(job.status(), format));
  }
  job.value().history = &note;
  return note.Ended(verb.run(job.value()));
}

}  // namespace

int TrainingCommand(const std::string& program,
                    std::span<const std::string> words) {
  if (words.empty() || words.front() == "--help" || words.front() == "-h") {
    fmt::print(words.empty() ? stderr : stdout, "{}", FamilyHelp());
    return words.empty() ? kExitGeneral : kExitSuccess;
  }
  const auto verb = std::ranges::find(kVerbs, words.front(), &Verb::name);
  if (verb == kVerbs.end()) {
    std::vector<std::string_view> names;
    names.reserve(kVerbs.size());
    for (const Verb& known : kVerbs) {
      names.push_back(known.name);
    }
    const std::string_view nearest = core::Nearest(words.front(), names);
    fmt::print(stderr, "stoker: error: unknown verb 'training {}'{}\n{}",
               words.front(),
               nearest.empty() ? std::string()
                               : fmt::format(", did you mean '{}'?", nearest),
               FamilyHelp());
    return kExitArguments;
  }
  if (AsksForHelp(words.subspan(1))) {
    fmt::print("{}", VerbHelp(*verb));
    return kExitSuccess;
  }
  return RunVerb(*verb, program, words.subspan(1));
}

}  // namespace stoker::cli
