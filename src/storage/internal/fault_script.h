#pragma once

// Which operation a fault script hits.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/status.h"
#include "storage/fault_backend.h"

namespace stoker::storage::internal {

// One operation to be judged; the range for kRead only.
struct FaultTarget {
  FaultRule::Operation operation{};
  std::string_view object;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

// A script with its counters. Safe for concurrent use.
class FaultScriptState {
 public:
  explicit FaultScriptState(FaultScript script);
  // Counts the operation; null unless a rule hits it.
  const FaultRule* Judge(const FaultTarget& target);
  // For operations without a clock, where rules have errors only.
  core::Status JudgeSimple(FaultRule::Operation operation,
                           std::string_view object);

 private:
  FaultScript script_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> matches_;  // by rule
};

// kInvalidArgument: an action that its operation cannot have.
core::Status CheckFaultRule(const FaultRule& rule);
// The rule of a fault: URI; one without options never hits (count 0).
core::Result<FaultRule> FaultRuleOf(const Uri& uri);

}  // namespace stoker::storage::internal
