#pragma once

// What a rank's CPU time went into.

#include <algorithm>

#include "core/clock.h"

namespace stoker::metrics {

struct CpuSplit {
  core::Nanos reading{};   // asking for data and taking it in
  core::Nanos checking{};  // looking at what arrived
  core::Nanos rest{};      // the accelerator's thread: loop, waits, barriers
};

// `process` is all of a rank, `main` its accelerator's thread; reading is what
// neither that nor checking took, never below 0 (the clocks are read one after
// the other).
inline CpuSplit SplitCpu(core::Nanos process, core::Nanos main,
                         core::Nanos checking) {
  return {.reading = std::max(process - main - checking, core::Nanos{}),
          .checking = checking,
          .rest = main};
}

}  // namespace stoker::metrics
