#pragma once

// Several runs of one command: which of them count, and the table of what they
// reached.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "run/console.h"

namespace stoker::cli {

struct LoopResult {
  std::string folder{};
  int exit_status = 0;
  bool warm_up = false;  // not counted
  // Of summary.json; none for a run that left none.
  std::optional<double> au_percent{};
  std::optional<double> gib_per_second{};
};

// The loops of a command: `loops` that count, one in front where `warm_up`.
std::vector<bool> WarmUps(std::int64_t loops, bool warm_up);

// With the figures of the folder's summary, if there is one.
LoopResult ReadLoop(const std::string& folder, int exit_status, bool warm_up);

// Before one of several runs begins, named "loop_start"; `number` counts
// from 1.
run::Event LoopStartEvent(std::size_t number, std::size_t runs, bool warm_up);

// The table for people, its numbers for programs, named "loops".
run::Event LoopsEvent(std::span<const LoopResult> loops);

// A line per run; mean, least, largest and coefficient of variation (sample
// standard deviation over mean; of two runs or more) of the counted runs that
// have figures. No break behind the last line. "" for fewer than two runs.
std::string LoopTable(std::span<const LoopResult> loops);

}  // namespace stoker::cli
