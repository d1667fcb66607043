#include "storage/internal/fault_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/text.h"
#include "storage/internal/op_draws.h"
#include "storage/uri_options.h"

namespace stoker::storage::internal {

namespace {

using Operation = FaultRule::Operation;

constexpr std::array<std::string_view, 8> kOperations{
    "read", "size", "create", "write", "commit", "list", "link", "remove"};

constexpr std::array<std::pair<std::string_view, int>, 8> kErrors{
    {{"EIO", EIO},
     {"ENOSPC", ENOSPC},
     {"ENOENT", ENOENT},
     {"EACCES", EACCES},
     {"EDQUOT", EDQUOT},
     {"ESTALE", ESTALE},
     {"ETIMEDOUT", ETIMEDOUT},
     {"EAGAIN", EAGAIN}}};

constexpr std::int64_t kNotYet = INT64_MIN;

bool InWindow(const FaultWindow& window, const FaultTarget& target) {
  return window.whole() || (target.at.has_value() && window.Covers(*target.at));
}

bool IsDrawn(const FaultRule& rule, const FaultTarget& target) {
  if (rule.rate >= 1) {
    return true;
  }
  core::CounterRandom draws =
      DrawsFor(rule.seed, {.kind = KindOf(target.operation),
                           .object = HashOfName(target.object),
                           .offset = target.offset});
  return draws.Uniform() < rule.rate;
}

bool Matches(const FaultRule& rule, const FaultTarget& target) {
  if (rule.operation != target.operation ||
      target.object.find(rule.object) == std::string_view::npos ||
      !InWindow(rule.window, target)) {
    return false;
  }
  const auto* const flip = std::get_if<FaultRule::Flip>(&rule.action);
  const bool covered = flip == nullptr ||
                       flip->offset == FaultRule::Flip::kAnywhere ||
                       (flip->offset >= target.offset &&
                        flip->offset - target.offset < target.bytes);
  return covered && IsDrawn(rule, target);
}

core::Result<Operation> OperationOf(const Uri& uri) {
  const std::string_view text = TextOption(uri, "op", "read");
  const auto found = std::ranges::find(kOperations, text);
  if (found == kOperations.end()) {
    return BadOption(uri, "op", "allowed are " + core::Join(kOperations, ", "));
  }
  return static_cast<Operation>(found - kOperations.begin());
}

core::Result<int> OsErrorOf(const Uri& uri) {
  const std::string_view text = TextOption(uri, "error", "");
  const auto* const found = std::ranges::find(
      kErrors, text, &std::pair<std::string_view, int>::first);
  if (found == kErrors.end()) {
    std::array<std::string_view, kErrors.size()> names;
    std::ranges::transform(kErrors, names.begin(),
                           [](const auto& error) { return error.first; });
    return BadOption(uri, "error", "allowed are " + core::Join(names, ", "));
  }
  return found->second;
}

core::Status ScriptedError(int os_error, Operation operation) {
  core::Status status = core::Status::FromErrno(
      os_error,
      fmt::format("scripted fault in {}",
                  kOperations.at(static_cast<std::size_t>(operation))));
  if (os_error == EAGAIN) {
    return {core::Code::kUnavailable, std::string(status.message()), os_error};
  }
  return status;
}

core::Status SetAction(const Uri& uri, FaultRule& rule) {
  if (uri.options.contains("error")) {
    STOKER_ASSIGN(const int os_error, OsErrorOf(uri));
    rule.action = FaultRule::Error{ScriptedError(os_error, rule.operation)};
  } else if (uri.options.contains("short")) {
    STOKER_ASSIGN(const std::uint64_t bytes, BytesOption(uri, "short", 0));
    rule.action = FaultRule::Short{bytes};
  } else if (TextOption(uri, "flip", "") == "any") {
    rule.action = FaultRule::Flip{FaultRule::Flip::kAnywhere};
  } else if (uri.options.contains("flip")) {
    STOKER_ASSIGN(const std::uint64_t offset, BytesOption(uri, "flip", 0));
    rule.action = FaultRule::Flip{offset};
  } else {
    STOKER_ASSIGN(const core::Nanos time,
                  DurationOption(uri, "delay", core::Nanos{0}));
    rule.action = FaultRule::Delay{time};
  }
  return {};
}

// Which of the matching operations are hit.
core::Status SetSelection(const Uri& uri, FaultRule& rule) {
  const auto has = [&uri](std::string_view key) {
    return uri.options.contains(key);
  };
  const bool counted = has("nth") || has("count");
  if (static_cast<int>(counted) + static_cast<int>(has("every")) +
          static_cast<int>(has("rate")) >
      1) {
    return BadOption(uri, has("rate") ? "rate" : "every",
                     "nth and count, every, and rate exclude each other");
  }
  const bool drawn = has("rate") || TextOption(uri, "flip", "") == "any";
  if (has("seed") && !drawn) {
    return BadOption(uri, "seed", "only with rate or flip=any");
  }
  STOKER_ASSIGN(rule.first, CountOption(uri, "nth", 0));
  STOKER_ASSIGN(rule.every, CountOption(uri, "every", 1, {.lowest = 1}));
  STOKER_ASSIGN(rule.rate, FractionOption(uri, "rate", 1));
  STOKER_ASSIGN(rule.seed, CountOption(uri, "seed", 0));
  if (has("every") || has("rate") || TextOption(uri, "count", "") == "all") {
    rule.count = FaultRule::kAlways;
  } else {
    STOKER_ASSIGN(rule.count, CountOption(uri, "count", 1, {.lowest = 1}));
  }
  return {};
}

core::Result<FaultWindow> FaultWindowOf(const Uri& uri) {
  FaultWindow window;
  STOKER_ASSIGN(window.from, DurationOption(uri, "from", core::Nanos{0}));
  STOKER_ASSIGN(window.lasts, DurationOption(uri, "for", core::Nanos::max()));
  if (window.lasts <= core::Nanos{0}) {
    return BadOption(uri, "for", "expected a duration above 0");
  }
  return window;
}

}  // namespace

OpPlace::Kind KindOf(Operation operation) {
  static_assert(static_cast<int>(OpPlace::Kind::kRead) ==
                    static_cast<int>(Operation::kRead) &&
                static_cast<int>(OpPlace::Kind::kRemove) ==
                    static_cast<int>(Operation::kRemove));
  return static_cast<OpPlace::Kind>(operation);
}

FaultScriptState::FaultScriptState(FaultScript script, const FaultShape& shape,
                                   core::Clock* clock)
    : script_(std::move(script)),
      shape_(shape),
      clock_(clock),
      opened_(clock == nullptr ? kNotYet
                               : clock->Now().time_since_epoch().count()),
      memory_(0),
      limits_({.bytes_per_second = shape.bytes_per_second}, memory_.times(),
              memory_.slots()),
      matches_(std::make_unique<std::atomic<std::uint64_t>[]>(script_.size())) {
}

bool FaultScriptState::active() const {
  return !script_.empty() || shape_.latency > core::Nanos{0} ||
         shape_.bytes_per_second > 0;
}

core::Nanos FaultScriptState::Age(core::TimePoint now) {
  const std::int64_t at = now.time_since_epoch().count();
  std::int64_t opened = opened_.load(std::memory_order_relaxed);
  if (opened == kNotYet && opened_.compare_exchange_strong(opened, at)) {
    opened = at;
  }
  return core::Nanos(at - opened);
}

core::TimePoint FaultScriptState::Shaped(Direction direction,
                                         core::TimePoint asked,
                                         core::TimePoint now,
                                         std::uint64_t bytes) {
  if (!active() || !shape_.window.Covers(Age(asked))) {
    return now;
  }
  return limits_
      .Transfer(direction, std::max(now, asked + shape_.latency), bytes)
      .end;
}

const FaultRule* FaultScriptState::Judge(const FaultTarget& target) {
  const FaultRule* hit = nullptr;
  for (std::size_t i = 0; i < script_.size(); ++i) {
    const FaultRule& rule = script_[i];
    if (!Matches(rule, target)) {
      continue;
    }
    const std::uint64_t number = matches_[i].fetch_add(1);
    const bool hits = number >= rule.first &&
                      number - rule.first < rule.count &&
                      (number - rule.first + 1) % rule.every == 0;
    if (hits && hit == nullptr) {
      hit = &rule;
    }
  }
  return hit;
}

core::Status FaultScriptState::JudgeSimple(Operation operation,
                                           std::string_view object) {
  const FaultRule* const rule =
      Judge({.operation = operation,
             .object = object,
             .at = clock_ == nullptr ? std::nullopt
                                     : std::optional(Age(clock_->Now()))});
  if (rule == nullptr) {
    return {};
  }
  return std::get<FaultRule::Error>(rule->action).status.WithContext(object);
}

core::Status CheckFaultRule(const FaultRule& rule) {
  const bool fails = std::holds_alternative<FaultRule::Error>(rule.action);
  const bool delays = std::holds_alternative<FaultRule::Delay>(rule.action);
  bool allowed = false;
  switch (rule.operation) {
    case Operation::kRead:
      allowed = true;
      break;
    case Operation::kSize:
    case Operation::kCreate:
    case Operation::kWrite:
    case Operation::kCommit:
      allowed = fails || delays;
      break;
    case Operation::kList:
    case Operation::kLink:
    case Operation::kRemove:
      allowed = fails;
      break;
  }
  if (allowed) {
    return {};
  }
  return {
      core::Code::kInvalidArgument,
      fmt::format("storage fault: {} takes {}; short and flip are for "
                  "reads",
                  kOperations.at(static_cast<std::size_t>(rule.operation)),
                  rule.operation >= Operation::kList ? "an error only"
                                                     : "an error or a delay")};
}

core::Result<std::optional<FaultRule>> FaultRuleOf(const Uri& uri) {
  constexpr std::array<std::string_view, 4> kActions{"error", "short", "flip",
                                                     "delay"};
  constexpr std::array<std::string_view, 7> kConditions{
      "op", "object", "nth", "count", "every", "rate", "seed"};
  const auto given = [&uri](auto key) { return uri.options.contains(key); };
  const auto actions = std::ranges::count_if(kActions, given);
  if (actions == 0 && std::ranges::none_of(kConditions, given)) {
    return std::optional<FaultRule>();
  }
  if (actions != 1) {
    return core::Status(core::Code::kInvalidArgument,
                        "storage fault: give exactly one of error, short, "
                        "flip and delay");
  }
  FaultRule rule;
  STOKER_ASSIGN(rule.operation, OperationOf(uri));
  rule.object = TextOption(uri, "object", "");
  STOKER_TRY(SetSelection(uri, rule));
  STOKER_ASSIGN(rule.window, FaultWindowOf(uri));
  STOKER_TRY(SetAction(uri, rule));
  STOKER_TRY(CheckFaultRule(rule));
  return std::optional(std::move(rule));
}

core::Result<FaultShape> FaultShapeOf(const Uri& uri) {
  FaultShape shape;
  STOKER_ASSIGN(shape.latency, DurationOption(uri, "latency", core::Nanos{0}));
  STOKER_ASSIGN(const std::uint64_t bandwidth,
                BytesOption(uri, "bandwidth", 0));
  shape.bytes_per_second = static_cast<double>(bandwidth);
  STOKER_ASSIGN(shape.window, FaultWindowOf(uri));
  if (uri.options.contains("bandwidth") && bandwidth == 0) {
    return BadOption(uri, "bandwidth",
                     "nothing would ever arrive; leave it out for an unlimited "
                     "one");
  }
  return shape;
}

}  // namespace stoker::storage::internal
