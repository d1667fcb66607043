#pragma once

// Throughput as events tell it.

#include <cstdint>

#include "core/clock.h"
#include "core/units.h"

namespace stoker::run::internal {

// 0 if no time went by.
inline double GibPerSecond(std::uint64_t bytes, core::Nanos elapsed) {
  const double seconds = core::Seconds(elapsed);
  return seconds > 0 ? core::ToGiB(static_cast<double>(bytes)) / seconds : 0;
}

}  // namespace stoker::run::internal
