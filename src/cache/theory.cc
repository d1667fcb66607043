#include "cache/theory.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace stoker::cache {
namespace {

// The smaller fixed point of a convex, growing `map` of [0, 1] to itself that
// has another one at 1. Off by 1e-7 at most.
template <class Map>
double SmallerFixedPoint(const Map& map) {
  double low = 0;
  double high = 1 - 1e-7;  // 1 itself must not be found
  while (high - low > 1e-15) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    // Above the line only on the near side of the smaller fixed point.
    (map(middle) > middle ? low : high) = middle;
  }
  return low;
}

double RandomCyclic(double f) {
  return SmallerFixedPoint([f](double h) { return std::exp(-(1 - h) / f); });
}

double RandomReshuffled(double f, double nodes) {
  const double others = 1 - 1 / nodes;
  return SmallerFixedPoint([=](double h) {
    const double a = (1 - h) / (nodes * f);
    const double within_epoch = -std::expm1(-a) / a;
    return within_epoch * within_epoch / (nodes * (1 - others * std::exp(-a)));
  });
}

// P(x·y > least) for x and y even in [1 - 1/nodes, 1].
double ProductExceeds(double least, double nodes) {
  const double lowest = 1 - 1 / nodes;
  const double square = lowest * lowest;
  const double density = nodes * nodes;
  if (least >= 1) return 0;
  if (least <= square) return 1;
  if (least < lowest) {
    const double below = least * std::log(least / square) - least + square;
    return 1 - density * below;
  }
  return density * (1 - least + least * std::log(least));
}

// Calls `term(share, least)` for each gap of k epochs between two reads of an
// item by the same node: the share of reads with that gap, and what
// (1 - (1-u)/m) (1 - v/m) has to exceed for a hit.
template <class Term>
void ForEachGap(double f, double nodes, const Term& term) {
  const double others = 1 - 1 / nodes;
  double not_read = 1;  // q^(k-1)
  while (not_read > 1 - f) {
    term(not_read / nodes, (1 - f) / not_read);
    not_read *= others;
  }
}

double LruReshuffled(double f, double nodes) {
  double hits = 0;
  ForEachGap(f, nodes, [&](double share, double least) {
    hits += share * ProductExceeds(least, nodes);
  });
  return hits;
}

double LocalBelady(double f, double nodes) {
  double room = nodes * f;
  double hits = 0;
  double gap = 1 / nodes;  // share of reads with a gap of k epochs
  for (double k = 1; room > 0 && gap > 1e-18; ++k) {
    const double part = std::min(1.0, room / (k * gap));
    room -= part * k * gap;
    hits += part * gap;
    if (part < 1) break;
    gap *= 1 - 1 / nodes;
  }
  return hits;
}

// Of how many nodes the items are drawn anew: none but this one where it keeps
// its own.
double DealtTo(const ReadPattern& pattern) {
  return pattern.order == OrderClass::kGlobalReshuffle ? pattern.nodes : 1;
}

}  // namespace

double OwnShare(const ReadPattern& pattern, double node_share) {
  STOKER_CHECK(pattern.nodes > 0 && node_share >= 0);
  const bool all = pattern.order == OrderClass::kGlobalReshuffle;
  return std::min(1.0, all ? node_share : pattern.nodes * node_share);
}

std::optional<double> SteadyHitRate(Policy policy, const ReadPattern& pattern,
                                    double node_share) {
  const double f = OwnShare(pattern, node_share);
  const double nodes = DealtTo(pattern);
  if (f <= 0 || f >= 1) return f;
  const bool cyclic = pattern.order == OrderClass::kCyclic;
  switch (policy) {
    case Policy::kNever:
      return f;
    case Policy::kBelady:
      return LocalBelady(f, nodes);
    case Policy::kLru:
      return cyclic ? 0 : LruReshuffled(f, nodes);
    case Policy::kRandom:
      return cyclic ? RandomCyclic(f) : RandomReshuffled(f, nodes);
    case Policy::kFifo:
    case Policy::kSieve:  // nothing is hit, so nothing is spared
      if (cyclic) return 0;
      break;
    case Policy::kTwoRandom:
    case Policy::kS3Fifo:
      break;
  }
  return std::nullopt;
}

std::optional<double> AdmittedShare(Policy policy, const ReadPattern& pattern,
                                    double node_share) {
  if (policy == Policy::kNever) return 0;
  if (policy != Policy::kBelady) return 1;
  if (pattern.order == OrderClass::kCyclic) return 0;
  const double f = OwnShare(pattern, node_share);
  if (f <= 0 || f >= 1) return 0;
  if (pattern.order == OrderClass::kGlobalReshuffle && pattern.nodes > 1) {
    return std::nullopt;
  }
  return -f * std::log(f) / (1 - f);
}

double LruHitRateAt(const ReadPattern& pattern, double node_share,
                    double position) {
  STOKER_CHECK(position >= 0 && position <= 1);
  const double f = OwnShare(pattern, node_share);
  if (f >= 1) return 1;
  if (pattern.order == OrderClass::kCyclic) return 0;
  const double nodes = DealtTo(pattern);
  const double not_read_since = 1 - position / nodes;
  if (not_read_since <= 0) return 0;
  double hits = 0;
  ForEachGap(f, nodes, [&](double share, double least) {
    // 1 - (1-u)/m is even in [1 - 1/m, 1].
    hits += share * std::clamp(nodes * (1 - least / not_read_since), 0.0, 1.0);
  });
  return hits;
}

NodeHits NeverEvictHits(const ReadPattern& pattern, Placement placement,
                        double node_share) {
  const double own = OwnShare(pattern, node_share);
  if (pattern.order != OrderClass::kGlobalReshuffle ||
      placement == Placement::kLocal) {
    return {.local = own, .peers = 0};
  }
  const double all = std::min(1.0, pattern.nodes * node_share);
  const double local = all / pattern.nodes;
  return {.local = local, .peers = all - local};
}

double StoreShare(double steady_hit_rate, std::uint32_t epochs) {
  STOKER_CHECK(epochs > 0);
  return 1 - steady_hit_rate * (epochs - 1) / epochs;
}

double HitRateTolerance(Policy policy, double hit_rate, double items,
                        double epochs) {
  if (policy == Policy::kNever) return 0;
  STOKER_CHECK(items > 0 && epochs > 0);
  constexpr double kDeviations = 3;
  constexpr double kFewItems = 0.002;
  return kFewItems +
         kDeviations * std::sqrt(hit_rate * (1 - hit_rate) / (items * epochs));
}

double ApparentSpeedup(double hit_rate) {
  STOKER_CHECK(hit_rate >= 0 && hit_rate < 1);
  return 1 / (1 - hit_rate);
}

}  // namespace stoker::cache
