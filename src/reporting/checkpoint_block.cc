// What is printed at the end of a checkpoint run.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/units.h"
#include "reporting/checkpoint_report.h"
#include "reporting/internal/checkpoint_json.h"
#include "reporting/internal/console_text.h"

namespace stoker::reporting {
namespace {

using metrics::CheckpointBound;
using metrics::CheckpointFigures;
using metrics::CheckpointKind;
using metrics::CheckpointRecord;
using metrics::CheckpointSeries;
using metrics::CheckpointSummary;

// Of the shortest strict span, above which the clocks spoil it.
constexpr double kClockErrorShare = 0.01;

std::string Short(core::Nanos span) {
  return core::FormatSeconds(core::Seconds(span));
}

// By the rules: over all ranks.
std::string RuleLine(CheckpointKind kind, const CheckpointSeries& series) {
  if (series.each.empty()) return "";
  return Line(
      KindName(kind),
      fmt::format("max {} s, min {} GiB/s, strict {} GiB/s",
                  Spread(series.duration_max_s), Spread(InGib(series.rate_min)),
                  Spread(InGib(series.rate_strict))));
}

void AppendRows(CheckpointKind kind, const CheckpointSeries& series,
                std::string& text) {
  for (std::size_t i = 0; i < series.each.size(); ++i) {
    const CheckpointFigures& figures = series.each[i];
    const std::string cached =
        figures.cached_fraction
            ? fmt::format("{:.1f} %", 100 * *figures.cached_fraction)
            : "-";
    text += fmt::format(
        "{:<11}{:>10.4f}{:>7}{:>11.4f}{:>14.4f}{:>10.4f}{:>11.4f}{:>9}\n",
        fmt::format("{} {}", KindName(kind), i + 1),
        core::Seconds(figures.duration_max), figures.slowest_rank,
        core::ToGiB(figures.rate_min), core::ToGiB(figures.rate_strict),
        core::Seconds(figures.fsync_max), core::Seconds(figures.stalled_max),
        cached);
  }
}

std::string Table(const CheckpointSummary& summary) {
  std::string text = fmt::format(
      "{:<11}{:>10}{:>7}{:>11}{:>14}{:>10}{:>11}{:>9}\n", "checkpoint", "max s",
      "rank", "min GiB/s", "strict GiB/s", "fsync s", "stalled s", "cached");
  AppendRows(CheckpointKind::kSave, summary.saves, text);
  AppendRows(CheckpointKind::kRestore, summary.restores, text);
  return text;
}

struct Sums {
  core::Nanos longest{};
  core::Nanos fsync{};
  core::Nanos stalled{};
  core::Nanos content{};
  core::Nanos checksum{};
};

Sums SumsOf(const CheckpointSeries& series) {
  Sums sums;
  for (const CheckpointFigures& figures : series.each) {
    sums.longest += figures.duration_max;
    sums.fsync += figures.fsync_max;
    sums.stalled += figures.slowest_stalled;
    sums.content += figures.content_sum;
    sums.checksum += figures.checksum_sum;
  }
  return sums;
}

std::string BoundText(const CheckpointSeries& series, const Sums& sums) {
  switch (series.bound) {
    case CheckpointBound::kStorage:
      return std::string(BoundName(series.bound));
    case CheckpointBound::kClient:
      return fmt::format(
          "{} (the storage had nothing to do in {:.1f} % of the "
          "slowest rank's time)",
          BoundName(series.bound),
          sums.longest > core::Nanos{}
              ? 100 * core::Seconds(sums.stalled) / core::Seconds(sums.longest)
              : 0.0);
    case CheckpointBound::kRank:
      return fmt::format(
          "{}: rank {} moves its bytes at less than two thirds "
          "of the median rank's rate",
          BoundName(series.bound), series.slowest_rank);
  }
  return "";
}

// Where the time went, what the client spent, and what bound it.
std::string CostLines(CheckpointKind kind, const CheckpointSeries& series) {
  if (series.each.empty()) return "";
  const Sums sums = SumsOf(series);
  const auto count = static_cast<std::int64_t>(series.each.size());
  const bool save = kind == CheckpointKind::kSave;
  const std::string_view name = KindName(kind);
  std::string text = Line(
      fmt::format("{} time", name),
      fmt::format(
          "of {}: {}waiting for {} {} (means)", Short(sums.longest / count),
          save ? fmt::format("fsync {}, ", Short(sums.fsync / count)) : "",
          save ? "content" : "the client", Short(sums.stalled / count)));
  text +=
      Line(fmt::format("{} cost", name),
           fmt::format("{} {}, checksums {}, CPU {} ({:.3f} s per GiB), of all "
                       "ranks and checkpoints",
                       save ? "content" : "comparing", Short(sums.content),
                       Short(sums.checksum), Short(series.cpu_sum),
                       series.cpu_s_per_gib));
  text += Line(fmt::format("{} bound by", name), BoundText(series, sums));
  return text;
}

std::optional<double> LargestCachedFraction(const CheckpointSeries& restores) {
  std::optional<double> largest;
  for (const CheckpointFigures& figures : restores.each) {
    if (figures.cached_fraction)
      largest = std::max(largest.value_or(0), *figures.cached_fraction);
  }
  return largest;
}

// What a cache of ours took over, and what it served.
std::string TierLines(const metrics::CacheTierRecord& cache) {
  const auto bytes = [](std::uint64_t count) {
    return core::FormatBytes(static_cast<double>(count));
  };
  std::string text;
  if (cache.staged_bytes > 0) {
    text += Line("written to cache", bytes(cache.staged_bytes));
  }
  if (cache.uploaded_bytes > 0) {
    text += Line("drained",
                 fmt::format("{} brought to the store, the last {} after the "
                             "last save",
                             bytes(cache.uploaded_bytes), Short(cache.drain)));
  }
  const std::uint64_t restored = cache.restored_device_bytes +
                                 cache.restored_memory_bytes +
                                 cache.restored_store_bytes;
  if (restored > 0) {
    const auto share = [&](std::uint64_t part) {
      return 100 * static_cast<double>(part) / static_cast<double>(restored);
    };
    text += Line("restored from",
                 fmt::format("cache {:.1f} %, its buffers {:.1f} %, store "
                             "{:.1f} %",
                             share(cache.restored_device_bytes),
                             share(cache.restored_memory_bytes),
                             share(cache.restored_store_bytes)));
  }
  return text;
}

std::string CacheLines(const CheckpointRecord& record,
                       const CheckpointSummary& summary) {
  const metrics::CheckpointFacts& facts = record.facts;
  std::string text;
  if (!summary.restores.each.empty()) {
    const std::optional<double> cached =
        LargestCachedFraction(summary.restores);
    text += Line("from page cache",
                 cached ? fmt::format("{:.1f} % of a restore's bytes at most",
                                      100 * *cached)
                        : "not known for this storage");
    text += Line("between", facts.between == "none"
                                ? facts.between
                                : fmt::format("{}, {}", facts.between,
                                              Short(summary.between_max)));
  }
  text += Line(
      "3x memory rule",
      fmt::format("{} be cleared before restoring ({} on the fullest host)",
                  facts.clear_needed ? "caches must" : "caches need not",
                  core::FormatBytes(
                      static_cast<double>(facts.largest_bytes_per_host))));
  text += TierLines(summary.cache);
  if (facts.num_hosts > 1) {
    text += Line(
        "clocks of hosts",
        fmt::format("aligned to within {}", Short(summary.clock_error_max)));
  }
  return text;
}

std::string EconomicsLines(const metrics::CheckpointEconomics& economics) {
  const metrics::CheckpointEconomicsInput& input = economics.input;
  std::string text =
      Line("best interval",
           fmt::format("{} of training between checkpoints (Daly; Young: {}), "
                       "failures {} apart",
                       core::FormatSeconds(economics.daly_interval_s),
                       core::FormatSeconds(economics.young_interval_s),
                       Short(input.mtbf)));
  text +=
      Line("goodput",
           fmt::format("{:.2f} %: {:.2f} % go to saving, {:.2f} % to "
                       "failures{}",
                       100 * economics.goodput, 100 * economics.lost_to_saving,
                       100 * economics.lost_to_failures,
                       input.restore == core::Nanos{}
                           ? " (no restore was measured: taken as 0 s)"
                           : ""));
  text += Line("lost a day",
               fmt::format("{:.1f} accelerator-hours of {} accelerators",
                           economics.lost_accelerator_hours_per_day,
                           core::FormatCount(input.accelerators)));
  return text;
}

// Checkpoints that some rank lacks.
void AddMissing(const CheckpointRecord& record,
                std::vector<std::string>& warnings) {
  std::array<std::size_t, 2> numbers{};
  for (const metrics::CheckpointOps& group :
       metrics::GroupByCheckpoint(record)) {
    const std::size_t number =
        ++numbers.at(static_cast<std::size_t>(group.kind));
    if (group.ranks.size() == record.ranks.size()) continue;
    warnings.push_back(fmt::format(
        "{} {} was recorded by {} of {} ranks only; its figures are theirs",
        KindName(group.kind), number, group.ranks.size(), record.ranks.size()));
  }
}

}  // namespace

std::vector<std::string> CheckpointWarnings(const CheckpointRecord& record,
                                            const CheckpointSummary& summary) {
  const metrics::CheckpointFacts& facts = record.facts;
  std::vector<std::string> warnings;
  if (summary.restored_from_cache) {
    warnings.push_back(fmt::format(
        "RESTORED FROM PAGE CACHE: up to {:.1f} % of a restore's bytes were in "
        "the memory of the host that read them, so its rate is not the "
        "storage's; use --between drop-caches, or restore in a run of its own",
        100 * LargestCachedFraction(summary.restores).value_or(0)));
  }
  const bool both =
      !summary.saves.each.empty() && !summary.restores.each.empty();
  if (facts.clear_needed && both && facts.between == "none") {
    warnings.emplace_back(
        "the rules ask for cleared caches between saving and restoring (a "
        "host's share of a checkpoint is below 3 times its memory), but "
        "nothing was done; use --between drop-caches");
  }
  if (!facts.storage_notes.empty()) {
    warnings.push_back(fmt::format("{}: these are not the figures of a device",
                                   facts.storage_notes));
  }
  core::Nanos shortest = core::Nanos::max();
  for (const CheckpointSeries* series : {&summary.saves, &summary.restores}) {
    for (const CheckpointFigures& figures : series->each)
      shortest = std::min(shortest, figures.strict_span);
  }
  if (core::Seconds(summary.clock_error_max) >
      kClockErrorShare * core::Seconds(shortest)) {
    warnings.push_back(fmt::format(
        "the hosts' clocks are aligned to within {} only: too coarse for the "
        "strict figure of checkpoints as short as {}",
        Short(summary.clock_error_max), Short(shortest)));
  }
  AddMissing(record, warnings);
  return warnings;
}

std::string CheckpointMetricBlock(const CheckpointRecord& record,
                                  const CheckpointSummary& summary) {
  std::string text = MetricFrame();
  text += Metric("Number of Simulated Accelerators",
                 fmt::format("{}", record.facts.num_processes));
  text += MetricSeries(CheckpointKind::kSave, summary.saves);
  text += MetricSeries(CheckpointKind::kRestore, summary.restores);
  text += MetricFrame();
  return text;
}

std::string CheckpointBlock(
    const CheckpointRecord& record, const CheckpointSummary& summary,
    const std::optional<metrics::CheckpointEconomics>& economics,
    const std::string& folder) {
  const metrics::CheckpointFacts& facts = record.facts;
  std::string text = CheckpointMetricBlock(record, summary);
  text +=
      Line("checkpoint",
           fmt::format(
               "{} of {} in {} files, fsync {}, {} i/o, verify {}",
               core::FormatBytes(static_cast<double>(facts.checkpoint_bytes)),
               facts.model, core::FormatCount(facts.files),
               facts.fsync ? "on" : "off", facts.io, facts.verify));
  text += RuleLine(CheckpointKind::kSave, summary.saves);
  text += RuleLine(CheckpointKind::kRestore, summary.restores);
  text += Table(summary);
  text += CostLines(CheckpointKind::kSave, summary.saves);
  text += CostLines(CheckpointKind::kRestore, summary.restores);
  text += CacheLines(record, summary);
  if (economics) text += EconomicsLines(*economics);
  for (const std::string& warning : CheckpointWarnings(record, summary))
    text += Line("WARNING", warning);
  text += Line("results", folder);
  return text;
}

}  // namespace stoker::reporting
