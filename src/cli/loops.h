#pragma once

// Several runs of one command: which of them count, and the table of what they
// reached.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "run/console.h"

namespace stoker::cli {

// A figure of a run, as it stands in its summary.json.
struct LoopColumn {
  std::string_view title;    // "AU %"; at most ten characters
  std::string_view section;  // object of the summary: "metric"
  std::string_view key;      // in that object
  std::string_view field;    // name for programs: "au_percent"
  int digits = 2;            // behind the point
};
// Of the runs of a family: "training", "checkpointing".
std::span<const LoopColumn> LoopColumns(std::string_view family);

struct LoopResult {
  std::string folder{};
  int exit_status = 0;
  bool warm_up = false;  // not counted
  // By column; none for a run that left none.
  std::vector<std::optional<double>> figures{};

  std::optional<double> Figure(std::size_t column) const {
    return column < figures.size() ? figures[column] : std::nullopt;
  }
};

// The loops of a command: `loops` that count, one in front where `warm_up`.
std::vector<bool> WarmUps(std::int64_t loops, bool warm_up);

// With the figures of the folder's summary, if there is one.
LoopResult ReadLoop(std::span<const LoopColumn> columns,
                    const std::string& folder, int exit_status, bool warm_up);

// Before one of several runs begins, named "loop_start"; `number` counts
// from 1.
run::Event LoopStartEvent(std::size_t number, std::size_t runs, bool warm_up);

// The table for people, its numbers for programs, named "loops".
run::Event LoopsEvent(std::span<const LoopColumn> columns,
                      std::span<const LoopResult> loops);

// A line per run; mean, least, largest and coefficient of variation (sample
// standard deviation over mean; of two runs or more) of the counted runs that
// have figures. No break behind the last line. "" for fewer than two runs.
std::string LoopTable(std::span<const LoopColumn> columns,
                      std::span<const LoopResult> loops);

}  // namespace stoker::cli
