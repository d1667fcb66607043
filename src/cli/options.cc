#include "cli/options.h"

#include <fmt/format.h>

#include <algorithm>
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
      case ValueKind::kNumber:
      case ValueKind::kBytes:
      case ValueKind::kSeconds:
        description.add_options()(name.c_str(), po::value<std::string>(), "");
        break;
    }
  }
  description.add_options()("override", po::value<std::vector<std::string>>(),
                            "");
  return description;
}

}  // namespace

bool Arguments::Flag(std::string_view name) const { return Given(name); }

void Arguments::Set(std::string_view name, std::vector<std::string> values) {
  given_[std::string(name)] = std::move(values);
}

namespace {

std::string_view FallbackOf(std::string_view name) {
  for (const std::span<const Option> table : {JobOptions(), HistoryOptions()}) {
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

double Arguments::Number(std::string_view name) const {
  const core::Result<double> value = core::ParseDouble(Text(name));
  return value.ok() ? value.value() : 0;
}

std::uint64_t Arguments::Bytes(std::string_view name) const {
  const core::Result<std::uint64_t> value = core::ParseBytes(Text(name));
  return value.ok() ? value.value() : 0;
}

double Arguments::Seconds(std::string_view name) const {
  const core::Result<double> value = core::ParseSeconds(Text(name));
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

namespace {

// What is wrong with the value of an option that is given; "" if nothing is.
std::string ValueMistake(const Option& option, const std::string& text) {
  const auto mistake = [&](std::string_view wanted) {
    return fmt::format("--{}: '{}' is not {}", option.name, text, wanted);
  };
  const auto positive = [](const auto& value) {
    return value.ok() && value.value() > 0;
  };
  if (option.choices) {
    const auto allowed = core::Split(option.value_name, '|');
    return std::ranges::find(allowed, text) == allowed.end()
               ? fmt::format("--{}: '{}' is none of {}", option.name, text,
                             option.value_name)
               : std::string();
  }
  switch (option.kind) {
    case ValueKind::kInteger: {
      const core::Result<std::int64_t> value = core::ParseInt(text);
      return value.ok() && value.value() >= option.least
                 ? std::string()
                 : mistake(
                       fmt::format("a whole number from {} on", option.least));
    }
    case ValueKind::kNumber:
      return positive(core::ParseDouble(text)) ? std::string()
                                               : mistake("a number above 0");
    case ValueKind::kBytes:
      return positive(core::ParseBytes(text))
                 ? std::string()
                 : mistake("a size, such as 256MiB");
    case ValueKind::kSeconds:
      return positive(core::ParseSeconds(text))
                 ? std::string()
                 : mistake("a time above 0, such as 90s, 5min or 4h");
    case ValueKind::kFlag:
    case ValueKind::kText:
    case ValueKind::kList:
      break;
  }
  return {};
}

}  // namespace

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
    const std::string mistake =
        ValueMistake(option, arguments.Text(option.name));
    if (!mistake.empty()) {
      add(mistake);
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
