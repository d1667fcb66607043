#include "cli/loops.h"

#include <fmt/format.h>

#include <algorithm>
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

// Of the runs that count and have figures.
struct Spreads {
  Spread au;
  Spread gib;
};

Spreads SpreadsOf(std::span<const LoopResult> loops) {
  std::vector<double> au;
  std::vector<double> gib;
  for (const LoopResult& loop : loops) {
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
  return {.au = SpreadOf(au), .gib = SpreadOf(gib)};
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
  const Json* metric = summary.ok() ? summary.value().Find("metric") : nullptr;
  if (metric != nullptr) {
    result.au_percent =
        reporting::NumberField(*metric, "train_au_mean_percentage");
    result.gib_per_second =
        reporting::NumberField(*metric, "train_io_exact_mean_GiB_per_second");
  }
  return result;
}

run::Event LoopStartEvent(std::size_t number, std::size_t runs, bool warm_up) {
  return {.name = "loop_start",
          .text = fmt::format("run {} of {}{}", number, runs,
                              warm_up ? ", to warm up" : ""),
          .fields = {{"run", number}, {"runs", runs}, {"warm_up", warm_up}}};
}

run::Event LoopsEvent(std::span<const LoopResult> loops) {
  Json::Array runs;
  for (const LoopResult& loop : loops) {
    runs.push_back(Json::Object{{"results", loop.folder},
                                {"exit_status", loop.exit_status},
                                {"warm_up", loop.warm_up},
                                {"au_percent", OrNull(loop.au_percent)},
                                {"gib_per_s", OrNull(loop.gib_per_second)}});
  }
  const auto [au, gib] = SpreadsOf(loops);
  return {.name = "loops",
          .text = LoopTable(loops),
          .fields = {{"runs", std::move(runs)},
                     {"au_percent", SpreadJson(au)},
                     {"gib_per_s", SpreadJson(gib)}}};
}

std::string LoopTable(std::span<const LoopResult> loops) {
  if (loops.size() < 2) {
    return {};
  }
  std::string text = Line("run", "AU %", "GiB/s", "results");
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
  }
  const auto [au, gib] = SpreadsOf(loops);
  text += Line("mean", Cell(au.mean, 2), Cell(gib.mean, 3), "");
  text += Line("min", Cell(au.least, 2), Cell(gib.least, 3), "");
  text += Line("max", Cell(au.largest, 2), Cell(gib.largest, 3), "");
  text += Line("CV %", Cell(au.variation_percent, 2),
               Cell(gib.variation_percent, 2), "");
  text.pop_back();
  return text;
}

}  // namespace stoker::cli
