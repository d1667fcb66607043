#pragma once

// Kernel I/O takes real time, whatever clock a queue is given.

#include <algorithm>
#include <chrono>
#include <optional>

#include "core/clock.h"

namespace stoker::storage::internal {

// What is left until `deadline` on `clock`, to be waited in real time: never
// negative, at most a day (then the caller looks again). None: no deadline.
inline std::optional<core::Nanos> TimeLeft(const core::Clock& clock,
                                           core::TimePoint deadline) {
  constexpr core::Nanos kLongest = std::chrono::hours(24);
  if (deadline == core::kNever) {
    return std::nullopt;
  }
  return std::clamp(deadline - clock.Now(), core::Nanos{0}, kLongest);
}

}  // namespace stoker::storage::internal
