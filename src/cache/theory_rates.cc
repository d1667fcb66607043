#include "cache/theory_rates.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace stoker::cache {
namespace {

// What is `share` of a rate's bytes leaves of it at most.
double Over(double bytes_per_s, double share) {
  return share > 0 ? bytes_per_s / share : kUnlimited;
}

double Demand(const JobRates& job) {
  return job.accelerators * job.demand_bytes_per_s;
}

void CheckJob(const JobRates& job, double hit) {
  STOKER_CHECK(job.accelerators > 0 && job.demand_bytes_per_s > 0);
  STOKER_CHECK(job.object_bytes > 0 && job.reader_threads > 0);
  STOKER_CHECK(hit >= 0 && hit <= 1);
}

double ReadersRate(const JobRates& job, double hit) {
  const double seconds = ReadSeconds(job, hit);
  if (seconds <= 0) return kUnlimited;
  return job.accelerators * job.reader_threads * job.object_bytes / seconds;
}

double StoreRate(const JobRates& job) {
  return std::min(job.store.bytes_per_s,
                  job.store.requests_per_s * job.object_bytes);
}

// The share of the bytes that the device reads where it and the store end
// together: (1 - h) / B = h / C_r + written.
double EvenShare(double store_bytes_per_s, double cache_bytes_per_s,
                 double writing_s_per_byte) {
  return (1 / store_bytes_per_s - writing_s_per_byte) /
         (1 / store_bytes_per_s + 1 / cache_bytes_per_s);
}

// Of what the accelerators share; the readers are each one's own.
Rate SharedRate(const JobRates& job, const CacheUse& use) {
  STOKER_CHECK(use.misses_written >= 0 && use.misses_written <= 1);
  const double misses = 1 - use.hit;
  const double store = Over(StoreRate(job), misses);
  const double device_s_per_byte =
      use.hit / job.cache.read_bytes_per_s +
      use.misses_written * misses / job.cache.write_bytes_per_s;
  const double device = Over(1, device_s_per_byte);
  if (store <= device) return {store, RateLimit::kStore};
  return {device, RateLimit::kCacheDevice};
}

double StepSeconds(const JobRates& job, const EpochShape& shape) {
  return shape.samples_per_step * job.object_bytes / job.demand_bytes_per_s;
}

}  // namespace

double ReadSeconds(const JobRates& job, double hit) {
  CheckJob(job, hit);
  const double from_cache =
      job.cache.latency_s + job.object_bytes / job.cache.stream_bytes_per_s;
  const double from_store =
      job.store.latency_s + job.object_bytes / job.store.stream_bytes_per_s;
  return hit * from_cache + (1 - hit) * from_store;
}

Rate HardwareRate(const JobRates& job, const CacheUse& use) {
  CheckJob(job, use.hit);
  const Rate shared = SharedRate(job, use);
  const double readers = ReadersRate(job, use.hit);
  if (readers < shared.bytes_per_s) return {readers, RateLimit::kReaders};
  return shared;
}

Rate SustainedRate(const JobRates& job, const CacheUse& use) {
  const Rate hardware = HardwareRate(job, use);
  const double demand = Demand(job);
  if (demand <= hardware.bytes_per_s) return {demand, RateLimit::kDemand};
  return hardware;
}

double MostAccelerators(const JobRates& job, const CacheUse& use,
                        double target) {
  STOKER_CHECK(target > 0);
  CheckJob(job, use.hit);
  const double needed = target * job.demand_bytes_per_s;
  // A quotient that is whole must not be rounded to just below it.
  constexpr double kRounding = 1 + 1e-12;
  if (ReadersRate(job, use.hit) * kRounding < needed * job.accelerators)
    return 0;
  return std::floor(SharedRate(job, use).bytes_per_s / needed * kRounding);
}

Bounds EpochUtilisation(const JobRates& job, const CacheUse& use,
                        const EpochShape& shape) {
  STOKER_CHECK(shape.steps > 0 && shape.samples_per_step > 0);
  const double hardware = HardwareRate(job, use).bytes_per_s;
  const double rate = SustainedRate(job, use).bytes_per_s;
  const double compute = shape.steps * StepSeconds(job, shape);
  const double batches =  // bytes of one of each accelerator
      job.accelerators * shape.samples_per_step * job.object_bytes;
  const double reading = shape.steps * batches / rate;
  const double shortest = shape.samples_per_step * ReadSeconds(job, use.hit);
  const double longest = batches * job.reader_threads / hardware;
  return {.least = compute / (longest + reading),
          .most = compute / (shortest + reading)};
}

double LongEpochUtilisation(const JobRates& job, const CacheUse& use) {
  return SustainedRate(job, use).bytes_per_s / Demand(job);
}

double UtilisationOfParts(const JobRates& job, std::span<const double> hits,
                          bool balanced) {
  STOKER_CHECK(!hits.empty());
  double wall = 0;  // of an epoch that computes for 1
  for (const double hit : hits) {
    const CacheUse use{.hit = hit, .misses_written = 1};
    wall += 1 / LongEpochUtilisation(job, balanced ? Balanced(job, use) : use);
  }
  return static_cast<double>(hits.size()) / wall;
}

double MostAcceleratorsOfParts(const JobRates& job,
                               std::span<const double> hits, double target,
                               bool balanced) {
  STOKER_CHECK(target > 0 && target <= 1);
  // Utilisation falls with their number.
  JobRates with = job;
  const auto reaches = [&](double accelerators) {
    with.accelerators = accelerators;
    // As many as just reach it must not be lost to rounding.
    return UtilisationOfParts(with, hits, balanced) >= target * (1 - 1e-12);
  };
  constexpr double kMost = 1 << 30;
  if (!reaches(1)) return 0;
  double reached = 1;
  double missed = 2;
  while (reaches(missed)) {
    if (missed >= kMost) return kUnlimited;
    reached = missed;
    missed *= 2;
  }
  while (missed - reached > 1) {
    const double middle = std::floor((reached + missed) / 2);
    (reaches(middle) ? reached : missed) = middle;
  }
  return reached;
}

std::vector<double> LruHitsByPart(const ReadPattern& pattern,
                                  double node_share) {
  // Midpoints: the integrand is continuous but has kinks, where rules of higher
  // order gain nothing.
  constexpr int kParts = 1 << 13;
  std::vector<double> hits;
  hits.reserve(kParts);
  for (int i = 0; i < kParts; ++i) {
    hits.push_back(LruHitRateAt(pattern, node_share, (i + 0.5) / kParts));
  }
  return hits;
}

double ColdUtilisation(const JobRates& job, double cached_fraction) {
  STOKER_CHECK(cached_fraction >= 0 && cached_fraction <= 1);
  const double filling =
      LongEpochUtilisation(job, {.hit = 0, .misses_written = 1});
  const double full =
      LongEpochUtilisation(job, {.hit = 0, .misses_written = 0});
  return 1 / (cached_fraction / filling + (1 - cached_fraction) / full);
}

RunUtilisation UtilisationOf(std::span<const double> epochs) {
  if (epochs.empty()) return {};
  const auto count = static_cast<double>(epochs.size());
  double sum = 0;
  double wall = 0;
  for (const double utilisation : epochs) {
    STOKER_CHECK(utilisation >= 0);
    sum += utilisation;
    wall += utilisation > 0 ? 1 / utilisation : kUnlimited;
  }
  return {.mean = sum / count, .total = count / wall};
}

RunUtilisation UtilisationOf(double cold, double warm, std::uint32_t epochs) {
  STOKER_CHECK(epochs > 0 && cold > 0 && warm > 0);
  const double others = epochs - 1;
  return {.mean = (cold + others * warm) / epochs,
          .total = epochs / (1 / cold + others / warm)};
}

BestShare BestCacheShare(double store_bytes_per_s, double cache_bytes_per_s,
                         double hit) {
  STOKER_CHECK(store_bytes_per_s > 0 && std::isfinite(store_bytes_per_s));
  STOKER_CHECK(cache_bytes_per_s > 0 && std::isfinite(cache_bytes_per_s));
  STOKER_CHECK(hit >= 0 && hit <= 1);
  const double best = EvenShare(store_bytes_per_s, cache_bytes_per_s, 0);
  if (hit >= best) {
    return {.cache_share = best,
            .bytes_per_s = store_bytes_per_s + cache_bytes_per_s};
  }
  return {.cache_share = hit, .bytes_per_s = store_bytes_per_s / (1 - hit)};
}

CacheUse Balanced(const JobRates& job, const CacheUse& use) {
  const double store = StoreRate(job);
  if (SustainedRate(job, use).limit != RateLimit::kCacheDevice ||
      !std::isfinite(store) || store <= 0) {
    return use;
  }
  // What is kept is what was missing; hits that move to the store are not.
  const double written = use.misses_written * (1 - use.hit);
  const double share = EvenShare(store, job.cache.read_bytes_per_s,
                                 written / job.cache.write_bytes_per_s);
  CacheUse moved{.hit = std::clamp(share, 0.0, use.hit)};
  moved.misses_written = moved.hit < 1 ? written / (1 - moved.hit) : 0;
  return HardwareRate(job, moved).bytes_per_s >
                 HardwareRate(job, use).bytes_per_s
             ? moved
             : use;
}

double ReadersNeeded(const JobRates& job, double hit) {
  return job.demand_bytes_per_s * ReadSeconds(job, hit) / job.object_bytes;
}

double HiddenPauseSeconds(const JobRates& job, const EpochShape& shape,
                          double batches) {
  CheckJob(job, 0);
  return job.reader_threads * batches * StepSeconds(job, shape);
}

double ReadAheadBytes(const JobRates& job, const EpochShape& shape,
                      double batches) {
  return job.accelerators * job.reader_threads * batches *
         shape.samples_per_step * job.object_bytes;
}

double WindowBytes(const JobRates& job, double pause_s) {
  return pause_s * Demand(job);
}

double EpochSeconds(const PausedEpoch& epoch, bool fetch_in_pause) {
  const double fetch = epoch.missing_bytes / epoch.store_bytes_per_s;
  if (fetch_in_pause) return std::max(epoch.compute_s + epoch.pause_s, fetch);
  return epoch.pause_s + std::max(epoch.compute_s, fetch);
}

double NodeBytesPerSecond(const NodeRates& node, const NodeHits& hits) {
  STOKER_CHECK(node.nodes > 0);
  // Rounding of two shares that sum to 1 leaves no traffic to the store.
  const double misses = std::max(0.0, 1 - hits.total());
  const double on_nic = hits.peers + (node.store_on_nic ? misses : 0);
  return std::min({node.accelerators * node.demand_bytes_per_s,
                   Over(node.store_bytes_per_s, node.nodes * misses),
                   Over(node.cache_bytes_per_s, hits.total()),
                   Over(node.nic_bytes_per_s, on_nic)});
}

}  // namespace stoker::cache
