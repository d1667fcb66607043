#include "metrics/checkpoint_summary.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <tuple>

#include "core/units.h"

namespace stoker::metrics {
namespace {

// Documented in docs/metrics.md.
constexpr double kClientStalledShare = 0.25;
constexpr double kSlowRankShare = 2.0 / 3.0;
constexpr double kCachedFraction = 0.1;

core::Nanos DurationOf(const CheckpointOp& op) { return op.end - op.start; }

// Ranks without files say nothing of the storage's speed.
bool OneSlowRank(const CheckpointOps& group, std::uint32_t slowest) {
  std::vector<double> rates;
  double of_slowest = 0;
  for (const auto& [rank, op] : group.ranks) {
    if (op->file_bytes == 0) continue;
    const double rate = CheckpointRate(op->file_bytes, DurationOf(*op));
    rates.push_back(rate);
    if (rank->rank == slowest) of_slowest = rate;
  }
  if (rates.size() < 2 || of_slowest <= 0) return false;
  // Of an even number the faster one: two ranks can differ, too.
  const auto middle =
      rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2);
  std::ranges::nth_element(rates, middle);
  return of_slowest < kSlowRankShare * *middle;
}

void AddSpans(const CheckpointOps& group, CheckpointFigures& figures) {
  core::TimePoint earliest = core::TimePoint::max();
  core::TimePoint latest = core::TimePoint::min();
  bool first = true;
  for (const auto& [rank, op] : group.ranks) {
    const core::Nanos duration = DurationOf(*op);
    if (first || duration > figures.duration_max) {
      figures.duration_max = duration;
      figures.slowest_rank = rank->rank;
      figures.slowest_stalled = op->stalled;
    }
    first = false;
    if (rank->rank == 0) figures.rank0_duration = duration;
    earliest = std::min(earliest, rank->OnRankZero(op->start));
    latest = std::max(latest, rank->OnRankZero(op->end));
  }
  if (!first) figures.strict_span = latest - earliest;
}

void AddParts(const CheckpointOps& group, CheckpointFigures& figures) {
  std::uint64_t cached = 0;
  std::uint64_t judged = 0;  // bytes of ranks that can tell
  for (const auto& [rank, op] : group.ranks) {
    figures.fsync_max = std::max(figures.fsync_max, op->fsync);
    figures.stalled_max = std::max(figures.stalled_max, op->stalled);
    figures.content_sum += op->content;
    figures.checksum_sum += op->checksum;
    figures.cpu_sum += op->cpu;
    figures.file_bytes += op->file_bytes;
    figures.verified_bytes += op->verified_bytes;
    if (group.kind != CheckpointKind::kRestore) continue;
    if (op->cached_known) {
      cached += op->cached_bytes;
      judged += op->file_bytes;
    }
    if (op->device_known) {
      figures.device_bytes =
          figures.device_bytes.value_or(0) + op->device_bytes;
    }
  }
  if (judged > 0) {
    figures.cached_fraction =
        static_cast<double>(cached) / static_cast<double>(judged);
  }
}

CheckpointFigures FiguresOf(const CheckpointOps& group, std::uint64_t bytes) {
  CheckpointFigures figures;
  figures.kind = group.kind;
  figures.step = group.step;
  AddSpans(group, figures);
  AddParts(group, figures);
  // All ranks' rates are of the same bytes.
  figures.rate_min = CheckpointRate(bytes, figures.duration_max);
  figures.rate_strict = CheckpointRate(bytes, figures.strict_span);
  figures.rank0_rate = CheckpointRate(bytes, figures.rank0_duration);
  figures.one_slow_rank = OneSlowRank(group, figures.slowest_rank);
  return figures;
}

std::uint32_t OftenSlowest(const CheckpointSeries& series) {
  std::map<std::uint32_t, std::size_t> times;
  for (const CheckpointFigures& figures : series.each)
    ++times[figures.slowest_rank];
  std::uint32_t often = 0;
  std::size_t most = 0;
  for (const auto& [rank, count] : times) {
    if (count <= most) continue;
    most = count;
    often = rank;
  }
  return often;
}

CheckpointBound BoundOf(const CheckpointSeries& series, bool null_storage) {
  core::Nanos stalled{};
  core::Nanos duration{};
  std::size_t slow = 0;
  for (const CheckpointFigures& figures : series.each) {
    stalled += figures.slowest_stalled;
    duration += figures.duration_max;
    if (figures.one_slow_rank && figures.slowest_rank == series.slowest_rank)
      ++slow;
  }
  // Storage that answers at once cannot be what was waited for.
  if (null_storage ||
      core::Seconds(stalled) > kClientStalledShare * core::Seconds(duration)) {
    return CheckpointBound::kClient;
  }
  return 2 * slow > series.each.size() ? CheckpointBound::kRank
                                       : CheckpointBound::kStorage;
}

template <class Figure>
MeanStdev Spread(const std::vector<CheckpointFigures>& each,
                 const Figure& figure) {
  std::vector<double> values;
  values.reserve(each.size());
  for (const CheckpointFigures& figures : each)
    values.push_back(figure(figures));
  return PopulationMeanStdev(values);
}

void Finish(bool null_storage, CheckpointSeries& series) {
  const std::vector<CheckpointFigures>& each = series.each;
  if (each.empty()) return;
  using Figures = CheckpointFigures;
  series.duration_max_s = Spread(
      each, [](const Figures& f) { return core::Seconds(f.duration_max); });
  series.rate_min = Spread(each, [](const Figures& f) { return f.rate_min; });
  series.rate_strict =
      Spread(each, [](const Figures& f) { return f.rate_strict; });
  series.rank0_duration_s = Spread(
      each, [](const Figures& f) { return core::Seconds(f.rank0_duration); });
  series.rank0_rate =
      Spread(each, [](const Figures& f) { return f.rank0_rate; });
  std::uint64_t bytes = 0;
  for (const Figures& figures : each) {
    series.cpu_sum += figures.cpu_sum;
    bytes += figures.file_bytes;
  }
  if (bytes > 0) {
    series.cpu_s_per_gib =
        core::Seconds(series.cpu_sum) / core::ToGiB(static_cast<double>(bytes));
  }
  series.slowest_rank = OftenSlowest(series);
  series.bound = BoundOf(series, null_storage);
}

}  // namespace

std::string_view BoundName(CheckpointBound bound) {
  constexpr std::array<std::string_view, 3> kNames = {"storage", "client",
                                                      "one slow rank"};
  return kNames[static_cast<std::size_t>(bound)];
}

CacheState CacheStateOf(const CheckpointFigures& restore) {
  if (!restore.cached_fraction) return CacheState::kUnknown;
  Served served;
  served.page_cache = static_cast<std::uint64_t>(
      *restore.cached_fraction * static_cast<double>(restore.file_bytes));
  served.device = restore.file_bytes - served.page_cache;
  return Judge(served);
}

double CheckpointRate(std::uint64_t bytes, core::Nanos span) {
  return span > core::Nanos{} ? static_cast<double>(bytes) / core::Seconds(span)
                              : 0.0;
}

std::vector<CheckpointOps> GroupByCheckpoint(const CheckpointRecord& record) {
  // Kind, step, how many of these the rank had before → place in the result.
  using Key = std::tuple<CheckpointKind, std::uint64_t, std::size_t>;
  std::map<Key, std::size_t> places;
  std::vector<CheckpointOps> groups;
  for (const CheckpointRankRecord& rank : record.ranks) {
    std::map<std::pair<CheckpointKind, std::uint64_t>, std::size_t> seen;
    for (const CheckpointOp& op : rank.ops) {
      const Key key{op.kind, op.step, seen[{op.kind, op.step}]++};
      const auto [place, is_new] = places.try_emplace(key, groups.size());
      if (is_new)
        groups.push_back({.kind = op.kind, .step = op.step, .ranks = {}});
      groups[place->second].ranks.push_back({.rank = &rank, .op = &op});
    }
  }
  return groups;
}

CheckpointSummary SummariseCheckpoints(const CheckpointRecord& record) {
  CheckpointSummary summary;
  for (const CheckpointOps& group : GroupByCheckpoint(record)) {
    CheckpointSeries& series =
        group.kind == CheckpointKind::kSave ? summary.saves : summary.restores;
    series.each.push_back(FiguresOf(group, record.facts.checkpoint_bytes));
    summary.restored_from_cache =
        summary.restored_from_cache ||
        series.each.back().cached_fraction.value_or(0) >= kCachedFraction;
  }
  const bool null_storage = record.facts.backend == "null";
  Finish(null_storage, summary.saves);
  Finish(null_storage, summary.restores);
  for (const CheckpointRankRecord& rank : record.ranks) {
    summary.between_max = std::max(summary.between_max, rank.between.duration);
    summary.clock_error_max =
        std::max(summary.clock_error_max, rank.clock_error);
    CacheTierRecord& cache = summary.cache;
    cache.known = cache.known || rank.cache.known;
    cache.staged_bytes += rank.cache.staged_bytes;
    cache.uploaded_bytes += rank.cache.uploaded_bytes;
    cache.drain = std::max(cache.drain, rank.cache.drain);
    cache.restored_device_bytes += rank.cache.restored_device_bytes;
    cache.restored_memory_bytes += rank.cache.restored_memory_bytes;
    cache.restored_store_bytes += rank.cache.restored_store_bytes;
  }
  return summary;
}

}  // namespace stoker::metrics
