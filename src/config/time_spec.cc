#include "config/time_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "config/scalar.h"
#include "core/check.h"
#include "core/text.h"

namespace stoker::config {

namespace {

using core::Code;
using core::Result;
using core::Status;
using Kind = TimeSpec::Kind;

struct Parameter {
  std::string_view name;
  double TimeSpec::* field;
  bool may_be_negative = false;
};

constexpr Parameter kMean{"mean", &TimeSpec::mean, true};
constexpr std::array kNormalParameters{kMean,
                                       Parameter{"stdev", &TimeSpec::stdev}};
constexpr std::array kUniformParameters{Parameter{"min", &TimeSpec::min, true},
                                        Parameter{"max", &TimeSpec::max, true}};
constexpr std::array kGammaParameters{Parameter{"shape", &TimeSpec::shape},
                                      Parameter{"scale", &TimeSpec::scale}};
constexpr std::array kExponentialParameters{
    Parameter{"scale", &TimeSpec::scale}};
constexpr std::array kPoissonParameters{Parameter{"lam", &TimeSpec::lam}};

struct Distribution {
  std::string_view type;
  Kind kind;
  std::span<const Parameter> parameters;
};

constexpr std::array<Distribution, 5> kDistributions{
    {{"normal", Kind::kNormal, kNormalParameters},
     {"uniform", Kind::kUniform, kUniformParameters},
     {"gamma", Kind::kGamma, kGammaParameters},
     {"exponential", Kind::kExponential, kExponentialParameters},
     {"poisson", Kind::kPoisson, kPoissonParameters}}};

Status Invalid(std::string message) {
  return {Code::kInvalidArgument, std::move(message)};
}

Result<double> ParseNumber(const Node& node, bool may_be_negative) {
  const bool is_int = node.kind == Node::Kind::kInt;
  if (!is_int && node.kind != Node::Kind::kFloat) {
    return Invalid(fmt::format("'{}' ({}) is no number of seconds", node.text,
                               KindName(node.kind)));
  }
  const double value = is_int ? static_cast<double>(node.integer) : node.real;
  if (!(std::abs(value) <= kMaxTimeSeconds)) {
    return Invalid(fmt::format("{} is beyond 1000000 s", FlowText(node)));
  }
  if (value < 0 && !may_be_negative) {
    return Invalid(fmt::format("{} is negative", FlowText(node)));
  }
  return value;
}

TimeSpec Constant(double value, std::string& warning) {
  if (value < 0) {
    warning =
        fmt::format("negative, so {} s is taken", FlowText(std::abs(value)));
  }
  TimeSpec spec;
  spec.kind = value == 0 ? Kind::kNone : Kind::kConstant;
  spec.mean = std::abs(value);
  return spec;
}

const Node* Find(const Node& map, std::string_view name) {
  const auto found = std::ranges::find(map.entries, name, &Entry::name);
  return found == map.entries.end() ? nullptr : &found->value;
}

Result<const Distribution*> FindDistribution(const Node& map) {
  const Node* const type = Find(map, "type");
  if (type == nullptr) {
    return &kDistributions[0];
  }
  const auto found =
      std::ranges::find(kDistributions, type->text, &Distribution::type);
  if (found == kDistributions.end()) {
    return Invalid(fmt::format("the type '{}' is unknown", type->text));
  }
  return &*found;
}

Status CheckNames(const Node& map, const Distribution& distribution) {
  for (const Entry& entry : map.entries) {
    const bool known =
        entry.name == "type" ||
        std::ranges::find(distribution.parameters, entry.name,
                          &Parameter::name) != distribution.parameters.end();
    if (!known) {
      return Invalid(fmt::format("'{}' is no parameter of type {}", entry.name,
                                 distribution.type));
    }
  }
  return {};
}

Result<TimeSpec> ParseMap(const Node& map, std::string& warning) {
  if (map.entries.empty()) {
    return TimeSpec{};
  }
  STOKER_ASSIGN(const Distribution* const distribution, FindDistribution(map));
  STOKER_TRY(CheckNames(map, *distribution));
  const bool constant =
      Find(map, "type") == nullptr && Find(map, "stdev") == nullptr;
  TimeSpec spec;
  spec.kind = distribution->kind;
  for (const Parameter& parameter : distribution->parameters) {
    const Node* const value = Find(map, parameter.name);
    if (value == nullptr && constant && parameter.name == "stdev") {
      continue;
    }
    if (value == nullptr) {
      return Invalid(fmt::format("'{}' is missing", parameter.name));
    }
    STOKER_ASSIGN(spec.*parameter.field,
                  ParseNumber(*value, parameter.may_be_negative));
  }
  if (spec.min > spec.max) {
    return Invalid("min is above max");
  }
  return constant ? Constant(spec.mean, warning) : spec;
}

}  // namespace

Result<TimeSpec> ParseTimeSpec(const Node& node, std::string& warning) {
  if (node.kind == Node::Kind::kMap) {
    return ParseMap(node, warning);
  }
  STOKER_ASSIGN(const double value, ParseNumber(node, true));
  return Constant(value, warning);
}

Status AddStdev(const Node& node, TimeSpec& spec) {
  STOKER_ASSIGN(const double stdev, ParseNumber(node, false));
  if (spec.kind == Kind::kNormal) {
    return Invalid("the duration has a stdev of its own");
  }
  if (spec.kind != Kind::kNone && spec.kind != Kind::kConstant) {
    return Invalid("the duration is not normally distributed");
  }
  spec.kind = Kind::kNormal;
  spec.stdev = stdev;
  return {};
}

std::string FlowText(const TimeSpec& spec) {
  if (spec.kind == Kind::kNone) {
    return "{}";
  }
  if (spec.kind == Kind::kConstant) {
    return FlowText(spec.mean);
  }
  const auto found =
      std::ranges::find(kDistributions, spec.kind, &Distribution::kind);
  STOKER_CHECK(found != kDistributions.end());
  std::string text = fmt::format("{{type: {}", found->type);
  for (const Parameter& parameter : found->parameters) {
    text += fmt::format(", {}: {}", parameter.name,
                        FlowText(spec.*parameter.field));
  }
  return text + "}";
}

}  // namespace stoker::config
