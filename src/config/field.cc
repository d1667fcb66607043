#include "config/field.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>
#include <utility>
#include <variant>

#include "config/scalar.h"
#include "config/time_spec.h"
#include "core/check.h"
#include "core/text.h"

namespace stoker::config {

namespace {

using Kind = Node::Kind;

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

std::vector<std::string_view> AllowedWords(std::span<const Word> words) {
  std::vector<std::string_view> names;
  for (const Word& word : words) {
    if (word.refused.empty()) {
      names.push_back(word.name);
    }
  }
  return names;
}

std::string IntRange(const IntField& field) {
  return field.max == kNoLimit
             ? fmt::format("an integer of at least {}", field.min)
             : fmt::format("an integer from {} to {}", field.min, field.max);
}

// "'7' (text)", with the text as the user wrote it.
std::string Quote(const Node& node) {
  const bool nested = node.kind == Kind::kList || node.kind == Kind::kMap;
  constexpr std::size_t kShown = 80;
  std::string text = nested ? FlowText(node) : node.text;
  if (text.size() > kShown) {
    text = text.substr(0, kShown) + "...";
  }
  return fmt::format("'{}' ({})", text, KindName(node.kind));
}

Outcome NotAllowed(const Row& row, const Node& value) {
  return {fmt::format("{}: value {} is not allowed; allowed: {}", row.key,
                      Quote(value), Allowed(row)),
          ""};
}

// An integer, also one written as a float.
std::optional<std::int64_t> AsInteger(const Node& node) {
  if (node.kind == Kind::kInt) {
    return node.integer;
  }
  const bool integral = node.kind == Kind::kFloat &&
                        std::abs(node.real) < 0x1p53 &&
                        node.real == std::trunc(node.real);
  return integral ? std::optional(static_cast<std::int64_t>(node.real))
                  : std::nullopt;
}

bool IsScalarText(const Node& node) {
  return node.kind == Kind::kString || node.kind == Kind::kInt ||
         node.kind == Kind::kFloat;
}

// Stores one value; operator() is chosen by the kind of field.
class Storer {
 public:
  Storer(const Row& row, const Node& value, WorkloadConfig& config)
      : row_(row), value_(value), config_(config) {}

  Outcome operator()(const IntField& field) const {
    const auto number = AsInteger(value_);
    if (!number || *number < field.min || *number > field.max) {
      return NotAllowed(row_, value_);
    }
    field.at(config_) = *number;
    return {};
  }

  Outcome operator()(const RealField& field) const {
    const bool is_int = value_.kind == Kind::kInt;
    if (!is_int && value_.kind != Kind::kFloat) {
      return NotAllowed(row_, value_);
    }
    const double number =
        is_int ? static_cast<double>(value_.integer) : value_.real;
    if (!(number >= field.min && number <= field.max)) {
      return NotAllowed(row_, value_);
    }
    field.at(config_) = number;
    return {};
  }

  Outcome operator()(const BoolField& field) const {
    if (value_.kind != Kind::kBool) {
      return NotAllowed(row_, value_);
    }
    if (field.refused == value_.boolean) {
      return Refused(value_.boolean ? "true" : "false", field.why_refused);
    }
    field.at(config_) = value_.boolean;
    return {};
  }

  Outcome operator()(const TextField& field) const {
    if (!IsScalarText(value_) || (value_.text.empty() && !field.may_be_empty)) {
      return NotAllowed(row_, value_);
    }
    std::string text = value_.text;
    while (field.is_folder && text.size() > 1 && text.ends_with('/')) {
      text.pop_back();
    }
    field.at(config_) = std::move(text);
    return {};
  }

  Outcome operator()(const WordField& field) const {
    std::size_t index = 0;
    Outcome outcome = Choose(field.words, index);
    if (outcome.error.empty()) {
      const Word& word = field.words[index];
      field.at(config_) = word.stored_as.empty() ? word.name : word.stored_as;
    }
    return outcome;
  }

  Outcome operator()(const EnumField& field) const {
    std::size_t index = 0;
    Outcome outcome = Choose(field.words, index);
    if (outcome.error.empty()) {
      field.set(config_, index);
    }
    return outcome;
  }

  Outcome operator()(const IntListField& field) const {
    std::vector<std::int64_t> numbers;
    for (const Node& item : value_.items) {
      const auto number = AsInteger(item);
      if (!number || *number < 0) {
        return NotAllowed(row_, value_);
      }
      numbers.push_back(*number);
    }
    if (value_.kind != Kind::kList) {
      return NotAllowed(row_, value_);
    }
    field.at(config_) = std::move(numbers);
    return {};
  }

  Outcome operator()(const TextListField& field) const {
    if (value_.kind == Kind::kString) {
      field.at(config_) = {value_.text};
      return {};
    }
    std::vector<std::string> texts;
    for (const Node& item : value_.items) {
      if (!IsScalarText(item)) {
        return NotAllowed(row_, value_);
      }
      texts.push_back(item.text);
    }
    if (value_.kind != Kind::kList) {
      return NotAllowed(row_, value_);
    }
    field.at(config_) = std::move(texts);
    return {};
  }

  Outcome operator()(const TimeField& field) const {
    Outcome outcome;
    auto spec = ParseTimeSpec(value_, outcome.warning);
    if (!spec.ok()) {
      return BadTime(spec.status());
    }
    field.at(config_) = spec.value();
    if (!outcome.warning.empty()) {
      outcome.warning = fmt::format("{}: {}", row_.key, outcome.warning);
    }
    return outcome;
  }

  Outcome operator()(const TimeStdevField& field) const {
    const core::Status status = AddStdev(value_, field.at(config_));
    return status.ok() ? Outcome{} : BadTime(status);
  }

  Outcome operator()(const IgnoredField& field) const {
    std::size_t index = 0;
    return field.words.empty() ? Outcome{} : Choose(field.words, index);
  }

  Outcome operator()(const PluginField& /*field*/) const {
    return Refused(value_.text,
                   "only a Python plug-in could do that; remove the key");
  }

  Outcome operator()(const AliasField& /*field*/) const {
    STOKER_CHECK(false);
    return {};
  }

 private:
  Outcome Refused(std::string_view value, std::string_view why) const {
    return {fmt::format("{}: '{}' is not supported: {}", row_.key, value, why),
            ""};
  }

  Outcome BadTime(const core::Status& status) const {
    return {
        fmt::format("{}: value {} is not allowed: {}; allowed: {}", row_.key,
                    Quote(value_), status.message(), Allowed(row_)),
        ""};
  }

  // The index of the word that `value_` is. YAML reads a bare `off` as a
  // boolean, so false counts as that word (Q8).
  Outcome Choose(std::span<const Word> words, std::size_t& index) const {
    const bool is_off = value_.kind == Kind::kBool && !value_.boolean;
    const std::string_view name = is_off ? "off"
                                  : value_.kind == Kind::kString
                                      ? std::string_view(value_.text)
                                      : "";
    const auto found = std::ranges::find(words, name, &Word::name);
    if (found == words.end()) {
      Outcome outcome = NotAllowed(row_, value_);
      const std::string_view nearest =
          core::Nearest(value_.text, AllowedWords(words));
      if (value_.kind == Kind::kString && !nearest.empty()) {
        outcome.error += fmt::format("; did you mean '{}'?", nearest);
      }
      return outcome;
    }
    if (!found->refused.empty()) {
      return Refused(found->name, found->refused);
    }
    index = static_cast<std::size_t>(found - words.begin());
    return {"", found->warned.empty()
                    ? ""
                    : fmt::format("{}: {}", row_.key, found->warned)};
  }

  const Row& row_;
  const Node& value_;
  WorkloadConfig& config_;
};

template <class Items, class Text>
std::string ListText(const Items& items, Text text) {
  std::string out;
  for (const auto& item : items) {
    out += (out.empty() ? "" : ", ") + text(item);
  }
  return "[" + out + "]";
}

std::string WordList(std::span<const Word> words) {
  return core::Join(AllowedWords(words), ", ");
}

}  // namespace

std::string TypeName(const Row& row) {
  const auto joined = [](std::span<const Word> words) {
    return core::Join(AllowedWords(words), "|");
  };
  return std::visit(
      Overloaded{
          [](const IntField&) -> std::string { return "integer"; },
          [](const RealField&) -> std::string { return "number"; },
          [](const BoolField&) -> std::string { return "boolean"; },
          [](const TextField&) -> std::string { return "text"; },
          [&](const WordField& field) { return joined(field.words); },
          [&](const EnumField& field) { return joined(field.words); },
          [](const IntListField&) -> std::string { return "list of integers"; },
          [](const TextListField&) -> std::string { return "list of texts"; },
          [](const TimeField&) -> std::string { return "time"; },
          [](const TimeStdevField&) -> std::string { return "number"; },
          [](const AliasField&) -> std::string { return "old name"; },
          [](const IgnoredField& field) { return std::string(field.type); },
          [](const PluginField&) -> std::string { return "Python class"; }},
      row.field);
}

std::string Allowed(const Row& row) {
  return std::visit(
      Overloaded{
          [](const IntField& field) { return IntRange(field); },
          [](const RealField& field) {
            return fmt::format("a number from {} to {}", FlowText(field.min),
                               FlowText(field.max));
          },
          [](const BoolField& field) -> std::string {
            if (field.refused) {
              return *field.refused ? "false" : "true";
            }
            return "true or false";
          },
          [](const TextField& field) -> std::string {
            return field.may_be_empty ? "text" : "text that is not empty";
          },
          [](const WordField& field) { return WordList(field.words); },
          [](const EnumField& field) { return WordList(field.words); },
          [](const IntListField&) -> std::string {
            return "a list of integers of at least 0";
          },
          [](const TextListField&) -> std::string {
            return "a text or a list of texts";
          },
          [](const TimeField&) { return std::string(kTimeAllowed); },
          [](const TimeStdevField&) -> std::string {
            return "seconds (a number from 0 to 1000000) beside a constant";
          },
          [](const AliasField& field) {
            return fmt::format("read as `{}`", field.target);
          },
          [](const IgnoredField& field) {
            return field.words.empty() ? std::string("anything")
                                       : WordList(field.words);
          },
          [](const PluginField&) -> std::string { return "null"; }},
      row.field);
}

bool IsStored(const Row& row) {
  return !std::holds_alternative<AliasField>(row.field) &&
         !std::holds_alternative<IgnoredField>(row.field) &&
         !std::holds_alternative<PluginField>(row.field) &&
         !std::holds_alternative<TimeStdevField>(row.field);
}

Outcome Store(const Row& row, const Node& value, WorkloadConfig& config) {
  const bool may_be_null =
      row.may_be_null || std::holds_alternative<PluginField>(row.field);
  if (value.kind == Kind::kNull && may_be_null) {
    return {};
  }
  return std::visit(Storer(row, value, config), row.field);
}

std::string Show(const Row& row, const WorkloadConfig& config) {
  WorkloadConfig copy = config;  // accessors give references to change
  return std::visit(
      Overloaded{
          [&](const IntField& field) {
            return fmt::format("{}", field.at(copy));
          },
          [&](const RealField& field) { return FlowText(field.at(copy)); },
          [&](const BoolField& field) -> std::string {
            return field.at(copy) ? "true" : "false";
          },
          [&](const TextField& field) -> std::string {
            const std::string& text = field.at(copy);
            return text.empty() && row.may_be_null
                       ? "null"
                       : FlowText(std::string_view(text));
          },
          [&](const WordField& field) {
            return FlowText(std::string_view(field.at(copy)));
          },
          [&](const EnumField& field) {
            return FlowText(field.words[field.get(copy)].name);
          },
          [&](const IntListField& field) {
            return ListText(field.at(copy), [](std::int64_t number) {
              return fmt::format("{}", number);
            });
          },
          [&](const TextListField& field) {
            return ListText(field.at(copy), [](const std::string& text) {
              return FlowText(std::string_view(text));
            });
          },
          [&](const TimeField& field) { return FlowText(field.at(copy)); },
          [](const auto&) -> std::string { return ""; }},
      row.field);
}

}  // namespace stoker::config
