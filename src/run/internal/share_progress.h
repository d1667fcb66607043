#pragma once

// A line, and fields for programs, about the progress of all ranks, from the
// share of one.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "generators/progress.h"
#include "run/console.h"

namespace stoker::run::internal {

// Totals are those of all ranks. What is done is the share of rank 0 scaled up
// to them, so it is marked with '~'. What is left is judged by bytes while
// there are any to come, then by names (links).
class ShareProgress {
 public:
  ShareProgress(std::string_view verb, core::TimePoint start)
      : verb_(verb), start_(start), names_start_(start) {}

  // Named "progress": "verify: ~12 of 64 files, ~1.2 GiB of 3.9 GiB, ~3.1
  // GiB/s, 12 s left".
  Event Describe(const generators::OwnProgress& own, core::TimePoint now);

 private:
  std::string verb_;
  core::TimePoint start_;
  // Since when names alone are left, and how many there were by then.
  core::TimePoint names_start_;
  std::uint64_t names_before_ = 0;
};

}  // namespace stoker::run::internal
