#pragma once

// What a process sees of its cache's device: how long to wait for it, and
// whether it has more to do than it can (docs/design/0008).

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>

#include "cache/internal/recent_latencies.h"
#include "cache/internal/service_rate.h"
#include "core/clock.h"

namespace stoker::cache::internal {

// Safe for concurrent use. Sizes are in bytes.
class DeviceMeter {
 public:
  // `guard`: fills are held back while reads take more than so many times what
  // they take on an idle device; 0: never. `balance`: whether hits may be read
  // from the store.
  DeviceMeter(double guard, bool balance) : guard_(guard), balance_(balance) {}

  static constexpr core::Nanos kShortestPatience = std::chrono::seconds(2);
  static constexpr core::Nanos kLongestPatience = std::chrono::seconds(5);

  // A read of the device, answered or given up after `latency`.
  void BeginRead(std::uint64_t bytes, core::TimePoint now);
  void EndRead(std::uint64_t bytes, core::Nanos latency, bool answered,
               core::TimePoint now);
  // The answer to what had been given up.
  void NoteLate(core::Nanos latency);
  // After which a read is given up: ten times what 99 % of the last 128 took,
  // from kShortestPatience to kLongestPatience.
  core::Nanos patience() const {
    return core::Nanos(patience_.load(std::memory_order_relaxed));
  }

  // Whether filling would slow hits further. Not when there was none for a
  // second: then there is nothing to slow.
  bool HoldsFillsBack(core::TimePoint now) const;

  // A read of the store.
  void BeginStore(std::uint64_t bytes, core::TimePoint now);
  void EndStore(std::uint64_t bytes, bool served, core::TimePoint now);
  bool balances() const { return balance_; }
  // Whether a hit of so many bytes is to be read from the store: then it has
  // begun there (EndStore). Only while the device never rests, and as long as
  // the store has no more than its share of the bytes under way, so that it is
  // done first; one read a second shows what the store can do where it has
  // nothing else to do.
  bool MovesToStore(std::uint64_t bytes, core::TimePoint now);
  // The store failed: hits stay with the device for a while.
  void NoteStoreFailure(core::TimePoint now);

 private:
  void Look();

  const double guard_;
  const bool balance_;
  std::atomic<std::int64_t> patience_{kShortestPatience.count()};
  std::atomic<bool> slow_ = false;
  static constexpr std::int64_t kNeverRead = INT64_MIN / 2;
  std::atomic<std::int64_t> last_read_ = kNeverRead;  // when it was answered
  std::mutex mutex_;                                  // guards what follows
  RecentLatencies reads_;
  std::uint64_t in_row_ = 0;  // of these, with less than a second between
  core::Nanos idle_latency_ = core::Nanos::max();
  ServiceRate device_;
  ServiceRate store_;
  core::TimePoint stays_until_{};
  core::TimePoint next_trial_{};
};

}  // namespace stoker::cache::internal
