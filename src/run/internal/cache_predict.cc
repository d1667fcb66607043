// What a run through a cache is expected to come to, from what was measured.

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include "cache/theory_replay.h"
#include "run/internal/cache_outlook.h"

namespace stoker::run::internal {

using metrics::CacheOutlook;

namespace {

// An epoch's rate of all accelerators together, and its utilisation if it is
// long.
struct Epoch {
  double bytes_per_s = 0;
  double long_au = 0;
};

// The utilisation, as well as it can be told.
double AuOf(const OutlookJob& job, const Epoch& epoch, CacheOutlook& outlook) {
  if (job.simulate) {
    if (const std::optional<double> au = job.simulate(epoch.bytes_per_s)) {
      outlook.simulated = true;
      return *au;
    }
  }
  return epoch.long_au;
}

Epoch SteadyEpoch(const OutlookJob& job, const cache::CacheUse& use) {
  const cache::CacheUse shared =
      job.balance ? cache::Balanced(job.job, use) : use;
  return {.bytes_per_s = HardwareRate(job.job, shared).bytes_per_s,
          .long_au = LongEpochUtilisation(job.job, shared)};
}

// In such epochs.
double MostWith(const OutlookJob& job, const cache::CacheUse& use) {
  if (!job.balance) {
    return MostAccelerators(job.job, use, job.au_target);
  }
  cache::JobRates many = job.job;
  many.accelerators = 1e9;  // the device is the bottleneck if it can be
  return MostAccelerators(job.job, cache::Balanced(many, use), job.au_target);
}

// One that begins with nothing there: what is kept is written as well.
Epoch ColdEpoch(const OutlookJob& job, double kept) {
  const double filling =
      HardwareRate(job.job, {.hit = 0, .misses_written = 1}).bytes_per_s;
  const double full =
      HardwareRate(job.job, {.hit = 0, .misses_written = 0}).bytes_per_s;
  return {.bytes_per_s = 1 / (kept / filling + (1 - kept) / full),
          .long_au = cache::ColdUtilisation(job.job, kept)};
}

// Hits that come in some parts of an epoch more than in others.
void PredictParts(const OutlookJob& job, std::span<const double> hits,
                  CacheOutlook& outlook) {
  const double au = UtilisationOfParts(job.job, hits, job.balance);
  // Fed as much as brings a long epoch to that.
  const double bytes_per_s =
      au < 1 ? au * job.job.accelerators * job.job.demand_bytes_per_s
             : cache::kUnlimited;
  outlook.later_au =
      AuOf(job, {.bytes_per_s = bytes_per_s, .long_au = au}, outlook);
  outlook.most_accelerators = MostAcceleratorsOfParts(
      job.job, hits, std::min(1.0, job.au_target), job.balance);
}

// Those of the later epochs of this run, for there is no steady state that
// would be the same for all numbers of blocks.
cache::ReplayedHits Replay(const OutlookJob& job, double fits) {
  constexpr double kMostBlocks = 4000;
  constexpr std::uint32_t kMostEpochs = 20;
  constexpr double kFewestBlocks = 16;
  return ReplayHits(job.policy, job.pattern, fits,
                    {.items = static_cast<std::uint32_t>(std::lround(
                         std::clamp(job.blocks, kFewestBlocks, kMostBlocks))),
                     .epochs = std::clamp(job.epochs, 2U, kMostEpochs) - 1});
}

}  // namespace

void Predict(const OutlookJob& job, CacheOutlook& outlook) {
  const bool evicts = job.policy != cache::Policy::kNever;
  if (job.fill == cache::Fill::kOff) {
    // Every epoch is served what was there.
    const cache::CacheUse use{.hit = outlook.found};
    outlook.first_hits = outlook.later_hits = outlook.found;
    outlook.first_au = outlook.later_au =
        AuOf(job, SteadyEpoch(job, use), outlook);
    outlook.most_accelerators = MostWith(job, use);
    return;
  }
  outlook.first_hits = outlook.found;
  const bool dealt_anew =
      job.pattern.order == cache::OrderClass::kGlobalReshuffle;
  // Nodes that keep what they were dealt first are steady only when they are
  // full.
  const bool becomes_steady = evicts || job.pattern.nodes == 1 || !dealt_anew;
  std::optional<cache::ReplayedHits> replayed;
  if (becomes_steady) {
    outlook.later_hits = SteadyHitRate(job.policy, job.pattern, outlook.fits);
    if (!outlook.later_hits.has_value()) {
      replayed = Replay(job, outlook.fits);
      outlook.later_hits = replayed->mean;
      outlook.replayed = true;
    }
  }
  const std::optional<double> admitted =
      AdmittedShare(job.policy, job.pattern, outlook.fits);
  // Of a node's own items.
  const double own = OwnShare(job.pattern, outlook.fits);

  if (outlook.found <= kSameShare) {
    // As many go in as there is room for, and those that others give way to.
    const double kept = own + (1 - own) * admitted.value_or(1);
    outlook.first_au = AuOf(job, ColdEpoch(job, kept), outlook);
  }
  const bool lru_in_parts = job.policy == cache::Policy::kLru &&
                            job.pattern.order != cache::OrderClass::kCyclic;
  if (lru_in_parts) {
    PredictParts(job, cache::LruHitsByPart(job.pattern, outlook.fits), outlook);
  } else if (replayed.has_value()) {
    PredictParts(job, replayed->by_part, outlook);
  } else if (outlook.later_hits.has_value()) {
    const cache::CacheUse use{.hit = *outlook.later_hits,
                              .misses_written = admitted.value_or(1)};
    outlook.later_au = AuOf(job, SteadyEpoch(job, use), outlook);
    outlook.most_accelerators = MostWith(job, use);
    if (!evicts && outlook.found >= *outlook.later_hits - kSameShare) {
      outlook.first_au = outlook.later_au;
    }
  }
  // The cache is full by then and keeps what it has.
  outlook.last_differs =
      evicts && job.fill == cache::Fill::kOn && job.epochs > 1;
  // What Belady would keep for later than the last epoch has no formula.
  const bool has_formula = job.policy != cache::Policy::kBelady ||
                           job.pattern.nodes == 1 || !dealt_anew;
  if (outlook.last_differs && has_formula) {
    outlook.last_hits = own;
    outlook.last_au = AuOf(job, SteadyEpoch(job, {.hit = own}), outlook);
  }
}

}  // namespace stoker::run::internal
