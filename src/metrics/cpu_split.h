#pragma once

// What a rank's CPU time went into.

#include <algorithm>

#include "core/clock.h"

namespace stoker::metrics {

// Adds up to the CPU time of the process; no part is below 0.
struct CpuSplit {
  core::Nanos reading{};   // asking for data and taking it in
  core::Nanos checking{};  // looking at what arrived
  core::Nanos rest{};      // the accelerator's thread: loop, waits, barriers
};

// `process` is all of a rank, `main` its accelerator's thread; reading is what
// neither that nor checking took. `checking` is an estimate: at most
// what the process had beside the main thread counts.
inline CpuSplit SplitCpu(core::Nanos process, core::Nanos main,
                         core::Nanos checking) {
  // The clocks are read one after the other.
  const core::Nanos all = std::max(process, core::Nanos{});
  const core::Nanos rest = std::clamp(main, core::Nanos{}, all);
  const core::Nanos checked = std::clamp(checking, core::Nanos{}, all - rest);
  return {.reading = all - rest - checked, .checking = checked, .rest = rest};
}

}  // namespace stoker::metrics
