#include "cli/loops.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <sstream>
#include <string_view>
#include <variant>

#include "reporting/json.h"
#include "reporting/result_folder.h"

namespace stoker::cli {

namespace {

using reporting::Json;

std::optional<double> NumberAt(const Json& summary, std::string_view key) {
  const Json* metric = summary.Find("metric");
  const Json* field = metric == nullptr ? nullptr : metric->Find(key);
  if (field == nullptr) {
    return std::nullopt;
  }
  if (const auto* real = std::get_if<double>(&field->value())) {
    return *real;
  }
  if (const auto* whole = std::get_if<std::int64_t>(&field->value())) {
    return static_cast<double>(*whole);
  }
  if (const auto* whole = std::get_if<std::uint64_t>(&field->value())) {
    return static_cast<double>(*whole);
  }
  return std::nullopt;  // null: not a number
}

std::string Cell(std::optional<double> value, int digits) {
  return value ? fmt::format("{:.{}f}", *value, digits) : std::string("-");
}

std::string Line(std::string_view name, std::string_view au,
                 std::string_view gib, std::string_view rest) {
  std::string line = fmt::format("  {:<8} {:>10} {:>10}", name, au, gib);
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

}  // namespace

std::vector<bool> WarmUps(std::int64_t loops, bool warm_up) {
  std::vector<bool> runs(static_cast<std::size_t>(loops), false);
  if (warm_up) {
    runs.insert(runs.begin(), true);
  }
  return runs;
}

LoopResult ReadLoop(const std::string& folder, int exit_status, bool warm_up) {
  LoopResult result{
      .folder = folder, .exit_status = exit_status, .warm_up = warm_up};
  std::ifstream file(fmt::format("{}/{}", folder, reporting::kSummaryFile));
  std::ostringstream text;
  text << file.rdbuf();
  const core::Result<Json> summary = reporting::ParseJson(text.str());
  if (summary.ok()) {
    result.au_percent = NumberAt(summary.value(), "train_au_mean_percentage");
    result.gib_per_second =
        NumberAt(summary.value(), "train_io_exact_mean_GiB_per_second");
  }
  return result;
}

std::string LoopTable(std::span<const LoopResult> loops) {
  if (loops.size() < 2) {
    return {};
  }
  std::string text = Line("run", "AU %", "GiB/s", "results");
  std::vector<double> au;
  std::vector<double> gib;
  int number = 0;
  for (const LoopResult& loop : loops) {
    const std::string name =
        loop.warm_up ? std::string("warm-up") : std::to_string(++number);
    const std::string note =
        loop.exit_status == 0
            ? loop.folder
            : fmt::format("{} (exit status {})", loop.folder, loop.exit_status);
    text += Line(name, Cell(loop.au_percent, 2), Cell(loop.gib_per_second, 3),
                 note);
    if (loop.warm_up || loop.exit_status != 0) {
      continue;
    }
    if (loop.au_percent) {
      au.push_back(*loop.au_percent);
    }
    if (loop.gib_per_second) {
      gib.push_back(*loop.gib_per_second);
    }
  }
  const Spread of_au = SpreadOf(au);
  const Spread of_gib = SpreadOf(gib);
  text += Line("mean", Cell(of_au.mean, 2), Cell(of_gib.mean, 3), "");
  text += Line("min", Cell(of_au.least, 2), Cell(of_gib.least, 3), "");
  text += Line("max", Cell(of_au.largest, 2), Cell(of_gib.largest, 3), "");
  text += Line("CV %", Cell(of_au.variation_percent, 2),
               Cell(of_gib.variation_percent, 2), "");
  text.pop_back();
  return text;
}

}  // namespace stoker::cli
