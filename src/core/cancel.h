#pragma once

// A request to stop, polled by whoever works or waits for long.

#include <atomic>

namespace stoker::core {

// Set at most from "run on" to "stop". Safe from any thread and from a signal
// handler (lock-free atomic).
class CancelFlag {
 public:
  void Set() { set_.store(true, std::memory_order_relaxed); }
  bool IsSet() const { return set_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> set_{false};
};
static_assert(std::atomic<bool>::is_always_lock_free);

// How long a wait may last before it looks at its CancelFlag again.
inline constexpr auto kCancelPollMillis = 200;

}  // namespace stoker::core
