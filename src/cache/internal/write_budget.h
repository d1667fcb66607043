#pragma once

// How much may be written to a cache's device.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/clock.h"

namespace stoker::cache::internal {

// So many bytes a day, of which those of one day may be saved up; at first they
// are. All processes of a host spend from one number: when the budget will be
// whole again, in ns of a clock they share (0: it is). Safe for concurrent use.
class WriteBudget {
 public:
  // `whole_at` outlives this.
  WriteBudget(std::atomic<std::int64_t>& whole_at, double bytes_per_day)
      : whole_at_(whole_at), bytes_per_day_(bytes_per_day) {}

  bool Allows(std::uint64_t bytes, core::TimePoint now) const {
    return AfterSpending(whole_at_.load(std::memory_order_relaxed), bytes,
                         now) -
               Count(now) <=
           kDay;
  }
  // What was allowed. Those who were allowed at the same time may overdraw it
  // by what they write.
  void Spend(std::uint64_t bytes, core::TimePoint now) {
    std::int64_t before = whole_at_.load(std::memory_order_relaxed);
    while (!whole_at_.compare_exchange_weak(
        before, AfterSpending(before, bytes, now), std::memory_order_relaxed)) {
    }
  }

 private:
  static constexpr std::int64_t kDay =
      core::Nanos(std::chrono::hours(24)).count();
  static std::int64_t Count(core::TimePoint now) {
    return now.time_since_epoch().count();
  }
  std::int64_t AfterSpending(std::int64_t whole_at, std::uint64_t bytes,
                             core::TimePoint now) const {
    const double days = static_cast<double>(bytes) / bytes_per_day_;
    // What takes longer than this to be earned is never allowed.
    constexpr double kMostDays = 1000;
    return std::max(whole_at, Count(now)) +
           std::llround(std::min(days, kMostDays) * static_cast<double>(kDay));
  }

  std::atomic<std::int64_t>& whole_at_;
  const double bytes_per_day_;
};

inline constexpr double kNoBudget = std::numeric_limits<double>::infinity();

}  // namespace stoker::cache::internal
