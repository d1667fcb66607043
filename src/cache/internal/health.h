#pragma once

// Whether a device of the cache is worth asking.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/clock.h"

namespace stoker::cache::internal {

// After three errors within a minute the device is left alone for a minute;
// then it is tried again, and one more error is enough. After an answer that
// did not come in time it is left alone for ten seconds. Safe for concurrent
// use.
class Health {
 public:
  bool IsGood(core::TimePoint now) const {
    return now.time_since_epoch().count() >=
           resting_until_.load(std::memory_order_relaxed);
  }
  void NoteError(core::TimePoint now) {
    const std::int64_t at = now.time_since_epoch().count();
    const std::int64_t first =
        first_error_.exchange(at, std::memory_order_relaxed);
    if (first == 0 || at - first > kSpan.count()) {
      errors_.store(1, std::memory_order_relaxed);
      return;
    }
    if (errors_.fetch_add(1, std::memory_order_relaxed) + 1 >= kMost) {
      RestUntil(at + kRest.count());
      errors_.store(kMost - 1, std::memory_order_relaxed);
    }
  }
  void NoteHang(core::TimePoint now) {
    RestUntil(now.time_since_epoch().count() + kHangRest.count());
  }

 private:
  static constexpr core::Nanos kSpan = std::chrono::seconds(60);
  static constexpr core::Nanos kRest = std::chrono::seconds(60);
  static constexpr core::Nanos kHangRest = std::chrono::seconds(10);
  static constexpr int kMost = 3;

  void RestUntil(std::int64_t until) {
    std::int64_t before = resting_until_.load(std::memory_order_relaxed);
    while (before < until && !resting_until_.compare_exchange_weak(
                                 before, until, std::memory_order_relaxed)) {
    }
  }

  std::atomic<std::int64_t> resting_until_ = INT64_MIN;
  std::atomic<std::int64_t> first_error_ = 0;
  std::atomic<int> errors_ = 0;
};

// One for each directory of a cache, as each is on a device of its own.
class UnitHealth {
 public:
  explicit UnitHealth(std::size_t units) : units_(units) {}
  Health& of(std::size_t unit) { return units_[unit]; }
  const Health& of(std::size_t unit) const { return units_[unit]; }
  bool AreAllGood(core::TimePoint now) const {
    return std::ranges::all_of(
        units_, [&](const Health& unit) { return unit.IsGood(now); });
  }

 private:
  std::vector<Health> units_;
};

}  // namespace stoker::cache::internal
