#pragma once

// Which operation a fault script hits.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/clock.h"
#include "core/status.h"
#include "storage/fault_backend.h"
#include "storage/internal/model_limits.h"
#include "storage/internal/op_draws.h"

namespace stoker::storage::internal {

// One operation to be judged; the range for kRead only.
struct FaultTarget {
  FaultRule::Operation operation{};
  std::string_view object;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  // Since the opening; nothing where that cannot be told.
  std::optional<core::Nanos> at{};
};

OpPlace::Kind KindOf(FaultRule::Operation operation);

// A script with its counters. Safe for concurrent use.
class FaultScriptState {
 public:
  // `clock`: of the calls that are handed none, may be null; outlives this.
  FaultScriptState(FaultScript script, const FaultShape& shape,
                   core::Clock* clock);
  // Since the opening.
  core::Nanos Age(core::TimePoint now);
  // Counts the operation; null unless a rule hits it.
  const FaultRule* Judge(const FaultTarget& target);
  // For operations without a clock, where rules have errors only.
  core::Status JudgeSimple(FaultRule::Operation operation,
                           std::string_view object);
  // When an operation that was asked for at `asked` may end, its bytes having
  // arrived now: they get their part of the bandwidth.
  core::TimePoint Shaped(Direction direction, core::TimePoint asked,
                         core::TimePoint now, std::uint64_t bytes);
  const FaultShape& shape() const { return shape_; }
  // Whether anything can ever happen.
  bool active() const;

 private:
  FaultScript script_;
  FaultShape shape_;
  core::Clock* clock_;
  std::atomic<std::int64_t> opened_;  // ns; kNotYet
  OwnModelMemory memory_;
  ModelLimits limits_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> matches_;  // by rule
};

// kInvalidArgument: an action that its operation cannot have.
core::Status CheckFaultRule(const FaultRule& rule);
// The rule of a fault: URI, if there is one.
core::Result<std::optional<FaultRule>> FaultRuleOf(const Uri& uri);
core::Result<FaultShape> FaultShapeOf(const Uri& uri);

}  // namespace stoker::storage::internal
