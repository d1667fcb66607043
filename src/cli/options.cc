#include "cli/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <exception>
#include <utility>

#include "core/check.h"
#include "core/text.h"

namespace stoker::cli {

namespace po = boost::program_options;

namespace {

using core::Code;
using core::Status;

constexpr CommandSet kMpi = kDatasize | kDatagen | kRun;

constexpr std::array kOptions = {
    Option{"hosts", "-s", ValueKind::kList, "HOST[:SLOTS]...", "127.0.0.1",
           kMpi, 0,
           "client hosts, each once; one word may hold several, "
           "comma-separated; with :SLOTS (ranks it takes) on one, all need "
           "it"},
    Option{"model", "-m", ValueKind::kText, "NAME", "", kTraining, 0,
           "workload model: unet3d, resnet50, cosmoflow, retinanet"},
    Option{"workload", "", ValueKind::kText, "FILE", "", kTraining, 0,
           "a workload file (DLIO format) instead of the one named by --model "
           "and --accelerator-type"},
    Option{
        "accelerator-type", "-g", ValueKind::kText, "TYPE", "",
        kDatasize | kRun | kConfigview, 0,
        "accelerator to emulate: h100, a100, b200, mi355 where a workload file "
        "exists"},
    Option{"num-accelerators", "-na", ValueKind::kInteger, "N", "",
           kRun | kConfigview, kRun, "accelerators (MPI ranks) of the run"},
    Option{"max-accelerators", "-ma", ValueKind::kInteger, "N", "", kDatasize,
           kDatasize, "largest number of accelerators to size for"},
    Option{"num-processes", "-np", ValueKind::kInteger, "N", "", kDatagen,
           kDatagen, "processes that write the dataset"},
    Option{"client-host-memory-in-gb", "-cm", ValueKind::kInteger, "GIB", "",
           kDatasize | kRun, kDatasize,
           "memory of each client host in GiB; sets the least dataset size"},
    Option{"num-client-hosts", "-nc", ValueKind::kInteger, "N", "",
           kDatasize | kRun, 0,
           "number of client hosts; the number of --hosts if absent"},
    Option{"data-dir", "-dd", ValueKind::kText, "DIR|URI", "", kTraining, 0,
           "where the dataset is; '/<model>' is appended unless it ends with "
           "a model's name; the workload's dataset.data_folder if absent"},
    Option{"params", "-p", ValueKind::kList, "KEY=VALUE...", "", kTraining, 0,
           "workload keys to set, e.g. reader.read_threads=8; repeatable"},
    Option{"results-dir", "-rd", ValueKind::kText, "DIR", "results", kTraining,
           0, "folder of all results"},
    Option{"config-file", "-c", ValueKind::kText, "FILE", "", kTraining, 0,
           "site file (YAML) of option values; wins over the command line"},
    Option{"exec-type", "-et", ValueKind::kText, "mpi|docker", "mpi", kMpi, 0,
           "mpi: launch with mpirun; docker: this process alone, one rank",
           true},
    Option{"mpi-bin", "", ValueKind::kText, "mpirun|mpiexec", "mpirun", kMpi, 0,
           "launcher; MPI_RUN_BIN and MPI_EXEC_BIN name another program for "
           "it",
           true},
    Option{"mpi-params", "", ValueKind::kList, "WORDS...", "", kMpi, 0,
           "more options for the launcher, e.g. --mpi-params \"--bind-to "
           "core\"; repeatable"},
    Option{"oversubscribe", "", ValueKind::kFlag, "", "", kMpi, 0,
           "allow more ranks than the slots of --hosts"},
    Option{"allow-run-as-root", "", ValueKind::kFlag, "", "", kMpi, 0,
           "let mpirun run as root"},
    Option{"dlio-bin-path", "-dp", ValueKind::kText, "DIR", "", kMpi, 0,
           "folder of the stoker program on the hosts; this program's own if "
           "absent"},
    Option{"loops", "", ValueKind::kInteger, "N", "1", kRun | kDatagen, 0,
           "repeat the command, each time with a result folder of its own; "
           "several runs end with a table of what they reached"},
    Option{"warm-up", "", ValueKind::kFlag, "", "", kRun, 0,
           "one more run in front, marked in its record and left out of the "
           "table"},
    Option{"open", "", ValueKind::kFlag, "", "", kMpi, 0,
           "refuse what not even the OPEN division allows"},
    Option{"closed", "", ValueKind::kFlag, "", "", kMpi, 0,
           "refuse what the CLOSED division does not allow"},
    Option{"allow-invalid-params", "-aip", ValueKind::kFlag, "", "", kMpi, 0,
           "run although the rules are broken"},
    Option{"compat", "", ValueKind::kText, "v2.0|none", "none", kTraining, 0,
           "v2.0: the old behaviour wherever docs/quirks.md offers it", true},
    Option{"io-timeout", "", ValueKind::kText, "TIME", "60s", kRun | kDatagen,
           0, "a read that takes longer ends the run, or datagen --verify"},
    Option{"no-check", "", ValueKind::kFlag, "", "", kRun, 0,
           "do not verify the checksums the file formats carry"},
    Option{"distinct", "", ValueKind::kInteger, "K", "0", kDatagen, 0,
           "write K different contents, the other names are hard links to "
           "them; 0: all different"},
    Option{"content", "", ValueKind::kText, "counter|dlio", "counter", kDatagen,
           0,
           "counter: every byte depends on file, sample and offset; dlio: the "
           "bytes the reference writes with as many processes",
           true},
    Option{"verify", "", ValueKind::kFlag, "", "", kDatagen, 0,
           "write nothing: read the dataset that is there and compare every "
           "byte"},
    Option{"delete", "", ValueKind::kFlag, "", "", kDatagen, 0,
           "write nothing: remove the dataset that is there, finished or not, "
           "and no file of anybody else"},
    Option{"write-index", "", ValueKind::kFlag, "", "", kDatagen, 0,
           "tfrecord: write the text index of each file as well"},
    Option{"replace", "", ValueKind::kFlag, "", "", kDatagen, 0,
           "remove files of the dataset's names that neither a manifest nor a "
           "marker vouches for; without it they are refused"},
    Option{"what-if", "", ValueKind::kFlag, "", "", kMpi, 0,
           "print what would be done, and do nothing"},
    Option{"stream-log-level", "", ValueKind::kText,
           "ERROR|WARNING|INFO|VERBOSE|DEBUG", "INFO", kTraining, 0,
           "how much is printed", true},
    Option{"log-format", "", ValueKind::kText, "text|json", "text",
           kRun | kDatagen, 0,
           "json: everything printed is one JSON object a line, progress too",
           true},
    Option{"verbose", "", ValueKind::kFlag, "", "", kTraining, 0,
           "as --stream-log-level VERBOSE"},
    Option{"debug", "", ValueKind::kFlag, "", "", kTraining, 0,
           "as --stream-log-level DEBUG"},
};

constexpr std::array kHistoryOptions = {
    Option{"limit", "-n", ValueKind::kInteger, "N", "", kHistory, 0,
           "the last N invocations only"},
    Option{"id", "-i", ValueKind::kInteger, "ID", "", kHistory, 0,
           "one invocation, in full"},
};

const Option* Find(std::span<const Option> options, CommandSet command,
                   std::string_view name) {
  const auto found = std::ranges::find_if(options, [&](const Option& option) {
    return option.name == name && (option.commands & command) != 0;
  });
  return found == options.end() ? nullptr : &*found;
}

// "-np", "-np=4" → "--num-processes…"; "--param" → "--params".
std::string LongForm(std::span<const Option> options, CommandSet command,
                     const std::string& word) {
  const std::size_t equals = word.find('=');
  const std::string_view head = std::string_view(word).substr(0, equals);
  const std::string tail =
      equals == std::string::npos ? std::string() : word.substr(equals);
  if (head == "--param") {
    return "--params" + tail;
  }
  for (const Option& option : options) {
    if (!option.short_form.empty() && head == option.short_form &&
        (option.commands & command) != 0) {
      return fmt::format("--{}{}", option.name, tail);
    }
  }
  return word;
}

// Hydra's forms with a sign; "-+" and the like are options.
bool IsSignedOverride(std::string_view word) {
  return word.starts_with('+') || word.starts_with('~');
}

Status UnknownOption(std::span<const Option> options, CommandSet command,
                     const std::string& text) {
  std::vector<std::string_view> names;
  for (const Option& option : options) {
    if ((option.commands & command) != 0) {
      names.push_back(option.name);
    }
  }
  std::string_view bare = text;
  bare.remove_prefix(std::min(bare.find_first_not_of('-'), bare.size()));
  bare = bare.substr(0, bare.find('='));
  std::string_view nearest = core::Nearest(bare, names);
  if (nearest.empty()) {
    const auto longer = std::ranges::find_if(
        names, [&](std::string_view name) { return name.starts_with(bare); });
    nearest = longer == names.end() || bare.empty() ? "" : *longer;
  }
  return {
      Code::kInvalidArgument,
      nearest.empty()
          ? fmt::format("unknown option '{}'; --help lists the options", text)
          : fmt::format("unknown option '{}'; did you mean --{}?", text,
                        nearest)};
}

po::options_description Describe(std::span<const Option> options,
                                 CommandSet command) {
  po::options_description description;
  for (const Option& option : options) {
    if ((option.commands & command) == 0) {
      continue;
    }
    const std::string name(option.name);
    switch (option.kind) {
      case ValueKind::kFlag:
        description.add_options()(name.c_str(), "");
        break;
      case ValueKind::kList:
        description.add_options()(
            name.c_str(),
            po::value<std::vector<std::string>>()->multitoken()->composing(),
            "");
        break;
      case ValueKind::kText:
      case ValueKind::kInteger:
        description.add_options()(name.c_str(), po::value<std::string>(), "");
        break;
    }
  }
  description.add_options()("override", po::value<std::vector<std::string>>(),
                            "");
  return description;
}

}  // namespace

std::span<const Option> TrainingOptions() { return kOptions; }

std::span<const Option> HistoryOptions() { return kHistoryOptions; }

bool Arguments::Flag(std::string_view name) const { return Given(name); }

void Arguments::Set(std::string_view name, std::vector<std::string> values) {
  given_[std::string(name)] = std::move(values);
}

namespace {

std::string_view FallbackOf(std::string_view name) {
  for (const std::span<const Option> table :
       {TrainingOptions(), HistoryOptions()}) {
    const auto found = std::ranges::find(table, name, &Option::name);
    if (found != table.end()) {
      return found->fallback;
    }
  }
  STOKER_CHECK(false);
  return {};
}

// "--mpi-params '--bind-to none'": as in the reference a word with a blank in
// it is a value, whatever it begins with.
bool IsDashedValue(const std::vector<std::string>& before,
                   const std::string& word) {
  return word.starts_with('-') && !before.empty() &&
         before.back() == "--mpi-params" && word.find(' ') != std::string::npos;
}

}  // namespace

std::string Arguments::Text(std::string_view name) const {
  const auto found = given_.find(name);
  return found == given_.end() || found->second.empty()
             ? std::string(FallbackOf(name))
             : found->second.back();
}

std::int64_t Arguments::Integer(std::string_view name) const {
  const core::Result<std::int64_t> value = core::ParseInt(Text(name));
  return value.ok() ? value.value() : 0;
}

std::vector<std::string> Arguments::List(std::string_view name) const {
  const auto found = given_.find(name);
  if (found != given_.end()) {
    return found->second;
  }
  const std::string_view fallback = FallbackOf(name);
  return fallback.empty() ? std::vector<std::string>()
                          : std::vector<std::string>{std::string(fallback)};
}

core::Result<Arguments> ParseArguments(std::span<const Option> options,
                                       CommandSet command,
                                       std::span<const std::string> words) {
  Arguments arguments;
  std::vector<std::string> plain;
  for (const std::string& word : words) {
    if (IsSignedOverride(word)) {
      // Parsed with the rest, so that overrides keep their order.
      plain.push_back(fmt::format("--override={}", word));
      continue;
    }
    if (IsDashedValue(plain, word)) {
      plain.back() += "=" + word;
      continue;
    }
    plain.push_back(LongForm(options, command, word));
    // What is left with one dash is a misspelt option, not an override.
    if (plain.back().size() > 1 && plain.back()[0] == '-' &&
        plain.back()[1] != '-') {
      return UnknownOption(options, command, word);
    }
  }
  const po::options_description description = Describe(options, command);
  po::positional_options_description positional;
  positional.add("override", -1);
  namespace style = po::command_line_style;
  try {
    const po::parsed_options parsed =
        po::command_line_parser(plain)
            .options(description)
            .positional(positional)
            .style(style::allow_long | style::long_allow_adjacent |
                   style::long_allow_next)
            .run();
    for (const po::option& option : parsed.options) {
      if (option.string_key == "override") {
        for (const std::string& text : option.value) {
          arguments.AddOverride(text);
        }
        continue;
      }
      const Option* row = Find(options, command, option.string_key);
      std::vector<std::string> values = option.value;
      if (row->kind == ValueKind::kList && arguments.Given(row->name)) {
        std::vector<std::string> all = arguments.List(row->name);
        all.insert(all.end(), values.begin(), values.end());
        values = std::move(all);
      }
      arguments.Set(row->name, std::move(values));
    }
  } catch (const po::unknown_option& error) {
    return UnknownOption(options, command, error.get_option_name());
  } catch (const std::exception& error) {
    return Status(Code::kInvalidArgument, error.what());
  }
  return arguments;
}

Status CheckArguments(std::span<const Option> options, CommandSet command,
                      const Arguments& arguments) {
  std::string mistakes;
  const auto add = [&mistakes](std::string_view text) {
    mistakes += mistakes.empty() ? "" : "\n  ";
    mistakes += text;
  };
  for (const Option& option : options) {
    if ((option.required & command) != 0 && !arguments.Given(option.name)) {
      add(fmt::format("--{} is required: {}", option.name, option.help));
    }
    if (!arguments.Given(option.name)) {
      continue;
    }
    const std::string text = arguments.Text(option.name);
    if (option.kind == ValueKind::kInteger) {
      const core::Result<std::int64_t> value = core::ParseInt(text);
      const std::int64_t least = option.fallback == "0" ? 0 : 1;
      if (!value.ok() || value.value() < least) {
        add(fmt::format("--{}: '{}' is not a whole number from {} on",
                        option.name, text, least));
      }
    }
    if (option.choices) {
      const auto allowed = core::Split(option.value_name, '|');
      if (std::ranges::find(allowed, text) == allowed.end()) {
        add(fmt::format("--{}: '{}' is none of {}", option.name, text,
                        option.value_name));
      }
    }
  }
  if (arguments.Given("open") && arguments.Given("closed")) {
    add("--open and --closed exclude each other");
  }
  return mistakes.empty() ? Status() : Status(Code::kInvalidArgument, mistakes);
}

std::string DescribeOptions(std::span<const Option> options,
                            CommandSet command) {
  std::string text;
  for (const Option& option : options) {
    if ((option.commands & command) == 0) {
      continue;
    }
    std::string head = fmt::format("  --{}", option.name);
    if (!option.short_form.empty()) {
      head += fmt::format(", {}", option.short_form);
    }
    if (!option.value_name.empty()) {
      head += fmt::format(" {}", option.value_name);
    }
    std::string tail;
    if ((option.required & command) != 0) {
      tail = " (required)";
    } else if (!option.fallback.empty()) {
      tail = fmt::format(" (default {})", option.fallback);
    }
    text += fmt::format("{}\n      {}{}\n", head, option.help, tail);
  }
  return text;
}

}  // namespace stoker::cli
