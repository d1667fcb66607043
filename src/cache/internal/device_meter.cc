#include "cache/internal/device_meter.h"

#include <algorithm>

#include "cache/theory_rates.h"

namespace stoker::cache::internal {

namespace {

// Reads between two looks at what they took.
constexpr std::size_t kLookEvery = 32;
constexpr core::Nanos kHitsCount = std::chrono::seconds(1);
// From this part of the time on a device counts as always busy.
constexpr double kSaturated = 0.9;
constexpr core::Nanos kTrialEvery = std::chrono::seconds(1);
constexpr core::Nanos kStoreRests = std::chrono::seconds(10);

}  // namespace

void DeviceMeter::BeginRead(std::uint64_t bytes, core::TimePoint now) {
  if (balance_) {
    const std::scoped_lock lock(mutex_);
    device_.Begin(bytes, now);
  }
}

void DeviceMeter::EndRead(std::uint64_t bytes, core::Nanos latency,
                          bool answered, core::TimePoint now) {
  // Where only latencies are looked at, one more or less does not matter: no
  // reader waits for another.
  std::unique_lock lock(mutex_, std::defer_lock);
  if (balance_) {
    lock.lock();
    device_.End(bytes, answered, now);
  } else if (!lock.try_lock()) {
    return;
  }
  if (answered) {
    const std::int64_t at = now.time_since_epoch().count();
    const std::int64_t last =
        last_read_.exchange(at, std::memory_order_relaxed);
    if (last != kNeverRead && at - last >= kHitsCount.count()) {
      // What was before says nothing about now.
      in_row_ = 0;
      slow_.store(false, std::memory_order_relaxed);
    }
    ++in_row_;
    reads_.Add(latency);
    Look();
  }
}

void DeviceMeter::NoteLate(core::Nanos latency) {
  const std::scoped_lock lock(mutex_);
  reads_.Add(latency);
  Look();
}

// With the lock.
void DeviceMeter::Look() {
  if (reads_.added() % kLookEvery != 0) {
    return;
  }
  patience_.store(
      PatienceFor(reads_, kShortestPatience, kLongestPatience).count(),
      std::memory_order_relaxed);
  if (guard_ > 0) {
    // The quietest time there was: the smallest median of so many reads.
    idle_latency_ = std::min(idle_latency_, reads_.Quantile(0.5, kLookEvery));
    slow_.store(
        in_row_ >= kLookEvery &&
            static_cast<double>(reads_.Quantile(0.99, in_row_).count()) >
                guard_ * static_cast<double>(idle_latency_.count()),
        std::memory_order_relaxed);
  }
}

bool DeviceMeter::HoldsFillsBack(core::TimePoint now) const {
  return slow_.load(std::memory_order_relaxed) &&
         now.time_since_epoch().count() -
                 last_read_.load(std::memory_order_relaxed) <
             kHitsCount.count();
}

void DeviceMeter::BeginStore(std::uint64_t bytes, core::TimePoint now) {
  if (balance_) {
    const std::scoped_lock lock(mutex_);
    store_.Begin(bytes, now);
  }
}

void DeviceMeter::EndStore(std::uint64_t bytes, bool served,
                           core::TimePoint now) {
  if (balance_) {
    const std::scoped_lock lock(mutex_);
    store_.End(bytes, served, now);
  }
}

bool DeviceMeter::MovesToStore(std::uint64_t bytes, core::TimePoint now) {
  if (!balance_) {
    return false;
  }
  const std::scoped_lock lock(mutex_);
  if (device_.busy_share() < kSaturated || device_.bytes_per_s() == 0 ||
      device_.in_flight() == 0 || now < stays_until_) {
    return false;
  }
  bool moves = false;
  if (store_.bytes_per_s() > 0) {
    const double store_share =
        1 - BestCacheShare(store_.bytes_per_s(), device_.bytes_per_s(), 1)
                .cache_share;
    const auto there = static_cast<double>(store_.in_flight() + bytes);
    moves = there <=
            store_share * (there + static_cast<double>(device_.in_flight()));
  }
  if (!moves && (store_.in_flight() > 0 || now < next_trial_)) {
    return false;
  }
  next_trial_ = now + kTrialEvery;
  store_.Begin(bytes, now);
  return true;
}

void DeviceMeter::NoteStoreFailure(core::TimePoint now) {
  const std::scoped_lock lock(mutex_);
  stays_until_ = now + kStoreRests;
}

}  // namespace stoker::cache::internal
