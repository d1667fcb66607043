#include "cache/miss_ratio.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>

#include "core/check.h"

namespace stoker::cache {
namespace {

double MissShare(double hits, std::uint64_t all) {
  if (all == 0) return 1;
  const auto total = static_cast<double>(all);
  return (total - hits) / total;
}

// A width comes from that of the same options by doubling.
bool DoublingsApart(std::uint64_t a, std::uint64_t b) {
  if (a == 0 || b == 0) return false;
  const auto [smaller, larger] = std::minmax(a, b);
  std::uint64_t width = smaller;
  while (width < larger && width <= UINT64_MAX / 2) width *= 2;
  return width == larger;
}

bool Mergeable(const HitsBySize& mine, const HitsBySize& other) {
  return other.reads.size() == mine.reads.size() &&
         other.bytes.size() == mine.bytes.size() &&
         DoublingsApart(mine.width_bytes, other.width_bytes);
}

void MergeHits(HitsBySize& mine, HitsBySize other) {
  while (mine.width_bytes < other.width_bytes) mine.Widen();
  while (other.width_bytes < mine.width_bytes) other.Widen();
  std::ranges::transform(mine.reads, other.reads, mine.reads.begin(),
                         std::plus<>());
  std::ranges::transform(mine.bytes, other.bytes, mine.bytes.begin(),
                         std::plus<>());
}

void HalveInPlace(std::vector<std::uint64_t>& counts) {
  const std::size_t half = counts.size() / 2;
  for (std::size_t i = 0; i < half; ++i)
    counts[i] = counts[2 * i] + counts[2 * i + 1];
  std::fill(counts.begin() + static_cast<std::ptrdiff_t>(half), counts.end(),
            0);
}

}  // namespace

HitsBySize::HitsBySize(std::uint64_t width, std::uint32_t buckets)
    : width_bytes(width), reads(buckets), bytes(buckets) {
  STOKER_CHECK(width > 0 && buckets > 0 && buckets % 2 == 0);
}

void HitsBySize::Add(std::uint64_t needed_bytes, std::uint64_t weight,
                     std::uint64_t bytes_each) {
  while ((needed_bytes - 1) / width_bytes >= reads.size()) Widen();
  const std::size_t bucket = (needed_bytes - 1) / width_bytes;
  reads[bucket] += weight;
  bytes[bucket] += weight * bytes_each;
}

HitsBySize::Sum HitsBySize::Below(std::uint64_t cache_bytes) const {
  const std::size_t whole =
      std::min<std::uint64_t>(cache_bytes / width_bytes, reads.size());
  Sum sum;
  for (std::size_t i = 0; i < whole; ++i) {
    sum.reads += static_cast<double>(reads[i]);
    sum.bytes += static_cast<double>(bytes[i]);
  }
  if (whole < reads.size()) {
    const double part = static_cast<double>(cache_bytes % width_bytes) /
                        static_cast<double>(width_bytes);
    sum.reads += part * static_cast<double>(reads[whole]);
    sum.bytes += part * static_cast<double>(bytes[whole]);
  }
  return sum;
}

void HitsBySize::Widen() {
  HalveInPlace(reads);
  HalveInPlace(bytes);
  width_bytes *= 2;
}

std::vector<MissRatioPoint> MissRatioCounts::Points(
    std::span<const std::uint64_t> cache_bytes) const {
  std::vector<MissRatioPoint> points;
  points.reserve(cache_bytes.size());
  for (const std::uint64_t size : cache_bytes) {
    const HitsBySize::Sum recent = lru.Below(size);
    const HitsBySize::Sum first = never_evict.Below(size);
    points.push_back({.cache_bytes = size,
                      .lru_bytes = MissShare(recent.bytes, bytes),
                      .lru_reads = MissShare(recent.reads, reads),
                      .never_evict_bytes = MissShare(first.bytes, bytes),
                      .never_evict_reads = MissShare(first.reads, reads)});
  }
  return points;
}

core::Status MissRatioCounts::Merge(const MissRatioCounts& other) {
  if (!Mergeable(lru, other.lru) ||
      !Mergeable(never_evict, other.never_evict)) {
    return {core::Code::kInvalidArgument,
            "merge miss-ratio curves: their buckets differ"};
  }
  MergeHits(lru, other.lru);
  MergeHits(never_evict, other.never_evict);
  reads += other.reads;
  bytes += other.bytes;
  return {};
}

MissRatioCurve::MissRatioCurve(const Options& options)
    : tracker_(options.max_keys),
      counts_{.lru = HitsBySize(options.unit_bytes, options.buckets),
              .never_evict = HitsBySize(options.unit_bytes, options.buckets)} {}

void MissRatioCurve::Add(const Fingerprint& key, std::uint64_t bytes) {
  const std::optional<Reuse> reuse = tracker_.Touch(key, bytes);
  if (!reuse) return;
  counts_.reads += reuse->weight;
  counts_.bytes += reuse->weight * bytes;
  if (reuse->first) return;
  counts_.lru.Add(reuse->distance_bytes, reuse->weight, bytes);
  counts_.never_evict.Add(reuse->arrival_bytes, reuse->weight, bytes);
}

}  // namespace stoker::cache
