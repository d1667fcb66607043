#include "cli/loops.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <numeric>
#include <sstream>
#include <string_view>
#include <utility>

#include "reporting/json.h"
#include "reporting/result_folder.h"

namespace stoker::cli {

namespace {

using reporting::Json;

std::string Cell(std::optional<double> value, int digits) {
  return value ? fmt::format("{:.{}f}", *value, digits) : std::string("-");
}

constexpr std::array<LoopColumn, 2> kTrainingColumns{
    {{"AU %", "metric", "train_au_mean_percentage", "au_percent", 2},
     {"GiB/s", "metric", "train_io_exact_mean_GiB_per_second", "gib_per_s",
      3}}};
// Of all ranks, clocks aligned.
constexpr std::array<LoopColumn, 2> kCheckpointColumns{
    {{"save GiB/s", "stoker",
      "calculated_mean_save_throughput_from_strict_times", "save_gib_per_s", 3},
     {"load GiB/s", "stoker",
      "calculated_mean_load_throughput_from_strict_times", "load_gib_per_s",
      3}}};

// A row of the table: a name, a cell per column, and what follows.
std::string Line(std::string_view name, const std::vector<std::string>& cells,
                 std::string_view rest) {
  std::string line = fmt::format("  {:<8}", name);
  for (const std::string& cell : cells) {
    line += fmt::format(" {:>10}", cell);
  }
  return rest.empty() ? line + '\n' : fmt::format("{}  {}\n", line, rest);
}

// Of one column.
struct Spread {
  std::optional<double> mean{};
  std::optional<double> least{};
  std::optional<double> largest{};
  std::optional<double> variation_percent{};
};

Spread SpreadOf(const std::vector<double>& values) {
  if (values.empty()) {
    return {};
  }
  const auto count = static_cast<double>(values.size());
  const double mean =
      std::accumulate(values.begin(), values.end(), 0.0) / count;
  Spread spread{.mean = mean,
                .least = std::ranges::min(values),
                .largest = std::ranges::max(values)};
  if (values.size() > 1 && mean != 0) {
    double squares = 0;
    for (const double value : values) {
      squares += (value - mean) * (value - mean);
    }
    spread.variation_percent = 100 * std::sqrt(squares / (count - 1)) / mean;
  }
  return spread;
}

// By column, of the runs that count and have figures.
std::vector<Spread> SpreadsOf(std::span<const LoopColumn> columns,
                              std::span<const LoopResult> loops) {
  std::vector<Spread> spreads;
  for (std::size_t column = 0; column < columns.size(); ++column) {
    std::vector<double> values;
    for (const LoopResult& loop : loops) {
      const std::optional<double> figure = loop.Figure(column);
      if (!loop.warm_up && loop.exit_status == 0 && figure) {
        values.push_back(*figure);
      }
    }
    spreads.push_back(SpreadOf(values));
  }
  return spreads;
}

Json OrNull(std::optional<double> value) {
  return value ? Json(*value) : Json();
}

Json SpreadJson(const Spread& spread) {
  return Json::Object{{"mean", OrNull(spread.mean)},
                      {"min", OrNull(spread.least)},
                      {"max", OrNull(spread.largest)},
                      {"cv_percent", OrNull(spread.variation_percent)}};
}

}  // namespace

std::span<const LoopColumn> LoopColumns(std::string_view family) {
  return family == "checkpointing"
             ? std::span<const LoopColumn>(kCheckpointColumns)
             : std::span<const LoopColumn>(kTrainingColumns);
}

std::vector<bool> WarmUps(std::int64_t loops, bool warm_up) {
  std::vector<bool> runs(static_cast<std::size_t>(loops), false);
  if (warm_up) {
    runs.insert(runs.begin(), true);
  }
  return runs;
}

LoopResult ReadLoop(std::span<const LoopColumn> columns,
                    const std::string& folder, int exit_status, bool warm_up) {
  LoopResult result{
      .folder = folder, .exit_status = exit_status, .warm_up = warm_up};
  std::ifstream file(fmt::format("{}/{}", folder, reporting::kSummaryFile));
  std::ostringstream text;
  text << file.rdbuf();
  const core::Result<Json> summary = reporting::ParseJson(text.str());
  for (const LoopColumn& column : columns) {
    const Json* section =
        summary.ok() ? summary.value().Find(column.section) : nullptr;
    result.figures.push_back(
        section == nullptr ? std::nullopt
                           : reporting::NumberField(*section, column.key));
  }
  return result;
}

run::Event LoopStartEvent(std::size_t number, std::size_t runs, bool warm_up) {
  return {.name = "loop_start",
          .text = fmt::format("run {} of {}{}", number, runs,
                              warm_up ? ", to warm up" : ""),
          .fields = {{"run", number}, {"runs", runs}, {"warm_up", warm_up}}};
}

run::Event LoopsEvent(std::span<const LoopColumn> columns,
                      std::span<const LoopResult> loops) {
  Json::Array runs;
  for (const LoopResult& loop : loops) {
    Json::Object row{{"results", loop.folder},
                     {"exit_status", loop.exit_status},
                     {"warm_up", loop.warm_up}};
    for (std::size_t i = 0; i < columns.size(); ++i) {
      row.emplace_back(columns[i].field, OrNull(loop.Figure(i)));
    }
    runs.emplace_back(std::move(row));
  }
  run::Event event{.name = "loops",
                   .text = LoopTable(columns, loops),
                   .fields = {{"runs", std::move(runs)}}};
  const std::vector<Spread> spreads = SpreadsOf(columns, loops);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    event.fields.emplace_back(columns[i].field, SpreadJson(spreads[i]));
  }
  return event;
}

std::string LoopTable(std::span<const LoopColumn> columns,
                      std::span<const LoopResult> loops) {
  if (loops.size() < 2) {
    return {};
  }
  std::vector<std::string> cells;
  for (const LoopColumn& column : columns) {
    cells.emplace_back(column.title);
  }
  std::string text = Line("run", cells, "results");
  int number = 0;
  for (const LoopResult& loop : loops) {
    const std::string name =
        loop.warm_up ? std::string("warm-up") : std::to_string(++number);
    const std::string note =
        loop.exit_status == 0
            ? loop.folder
            : fmt::format("{} (exit status {})", loop.folder, loop.exit_status);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      cells[i] = Cell(loop.Figure(i), columns[i].digits);
    }
    text += Line(name, cells, note);
  }
  const std::vector<Spread> spreads = SpreadsOf(columns, loops);
  const auto add = [&](std::string_view name, auto member, bool percent) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      cells[i] = Cell(spreads[i].*member, percent ? 2 : columns[i].digits);
    }
    text += Line(name, cells, "");
  };
  add("mean", &Spread::mean, false);
  add("min", &Spread::least, false);
  add("max", &Spread::largest, false);
  add("CV %", &Spread::variation_percent, true);
  text.pop_back();
  return text;
}

}  // namespace stoker::cli
