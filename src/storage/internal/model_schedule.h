#pragma once

// How long ops on a simulated store take before their bytes flow, and which of
// them fail.

#include <cstdint>

#include "core/clock.h"
#include "core/status.h"
#include "storage/internal/op_draws.h"
#include "storage/registry.h"

namespace stoker::storage::internal {

// By chance, but the same for equal seeds: neither time nor the order of ops
// has a say. Safe for concurrent use.
class ModelSchedule {
 public:
  enum class Outcome : std::uint8_t { kServed, kFailed, kThrottled };
  struct Attempt {
    core::Nanos latency{};  // stall included
    bool stalled = false;
    Outcome outcome = Outcome::kServed;
  };

  // From latency, latency_p50, latency_p99, seed, error_rate, throttle_rate,
  // stall_rate, stall and retries. kInvalidArgument.
  static core::Result<ModelSchedule> Of(const Uri& uri);

  Attempt Draw(const OpPlace& place) const;
  // How long a client waits before repetition `number` (1, 2, …): up to twice
  // as long each time, from 5 to 10 ms for the first, 1 s at most.
  core::Nanos BackOff(const OpPlace& place, std::uint64_t number) const;

  // Whether all latencies are equal, but for stalls.
  bool constant_latency() const { return sigma_ == 0; }
  std::uint64_t retries() const { return retries_; }

 private:
  core::Nanos latency_{};  // constant, or the median
  double sigma_ = 0;       // of the logarithm
  std::uint64_t seed_ = 0;
  double error_rate_ = 0;
  double throttle_rate_ = 0;
  double stall_rate_ = 0;
  core::Nanos stall_{};
  std::uint64_t retries_ = 0;
};

}  // namespace stoker::storage::internal
