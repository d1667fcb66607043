#include "storage/internal/fault_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/text.h"
#include "storage/internal/options.h"

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

bool Matches(const FaultRule& rule, const FaultTarget& target) {
  if (rule.operation != target.operation ||
      target.object.find(rule.object) == std::string_view::npos) {
    return false;
  }
  const auto* const flip = std::get_if<FaultRule::Flip>(&rule.action);
  return flip == nullptr || (flip->offset >= target.offset &&
                             flip->offset - target.offset < target.bytes);
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

}  // namespace

FaultScriptState::FaultScriptState(FaultScript script)
    : script_(std::move(script)),
      matches_(std::make_unique<std::atomic<std::uint64_t>[]>(script_.size())) {
}

const FaultRule* FaultScriptState::Judge(const FaultTarget& target) {
  const FaultRule* hit = nullptr;
  for (std::size_t i = 0; i < script_.size(); ++i) {
    const FaultRule& rule = script_[i];
    if (!Matches(rule, target)) {
      continue;
    }
    const std::uint64_t number = matches_[i].fetch_add(1);
    const bool hits = number >= rule.first && number - rule.first < rule.count;
    if (hits && hit == nullptr) {
      hit = &rule;
    }
  }
  return hit;
}

core::Status FaultScriptState::JudgeSimple(Operation operation,
                                           std::string_view object) {
  const FaultRule* const rule =
      Judge({.operation = operation, .object = object});
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

core::Result<FaultRule> FaultRuleOf(const Uri& uri) {
  FaultRule rule;
  if (uri.options.empty()) {
    rule.count = 0;
    return rule;
  }
  constexpr std::array<std::string_view, 4> kActions{"error", "short", "flip",
                                                     "delay"};
  const auto actions = std::ranges::count_if(
      kActions, [&uri](auto key) { return uri.options.contains(key); });
  if (actions != 1) {
    return core::Status(core::Code::kInvalidArgument,
                        "storage fault: give exactly one of error, short, "
                        "flip and delay");
  }
  STOKER_ASSIGN(rule.operation, OperationOf(uri));
  rule.object = TextOption(uri, "object", "");
  STOKER_ASSIGN(rule.first, CountOption(uri, "nth", 0));
  if (TextOption(uri, "count", "1") == "all") {
    rule.count = FaultRule::kAlways;
  } else {
    STOKER_ASSIGN(rule.count, CountOption(uri, "count", 1, {.lowest = 1}));
  }
  STOKER_TRY(SetAction(uri, rule));
  return rule;
}

}  // namespace stoker::storage::internal
