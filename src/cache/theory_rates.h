#pragma once

// How fast a job can read through a cache, and what that makes of the
// accelerators' utilisation: what a run is checked against. Pure functions,
// safe for concurrent use.
//
// The rates are limits of long epochs. Bytes/s are bytes of payload; "hit" is
// the share of bytes that the cache serves, 0 … 1.

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "cache/theory.h"

namespace stoker::cache {

inline constexpr double kUnlimited = std::numeric_limits<double>::infinity();

// How far a measured utilisation may be from the predicted one.
inline constexpr double kUtilisationTolerance = 0.02;

struct StoreRates {
  double bytes_per_s = kUnlimited;         // B: of all its clients together
  double requests_per_s = kUnlimited;      // Q: likewise
  double stream_bytes_per_s = kUnlimited;  // of one request
  double latency_s = 0;                    // to the first byte
};

struct CacheRates {
  double read_bytes_per_s = kUnlimited;   // C_r: with no writes
  double write_bytes_per_s = kUnlimited;  // C_w: with no reads
  double stream_bytes_per_s = kUnlimited;
  double latency_s = 0;
};

// All that read from one store through one cache, or through several that are
// counted as one. Every number > 0, latencies >= 0.
struct JobRates {
  double accelerators = 1;        // n
  double demand_bytes_per_s = 0;  // d: of one that never waits
  double object_bytes = 0;        // S: of one request
  double reader_threads = 1;      // R: per accelerator, one request each
  StoreRates store{};
  CacheRates cache{};
};

// What the cache does meanwhile.
struct CacheUse {
  double hit = 0;
  double misses_written = 0;  // a: share of them; 0 where nothing is admitted
};

// What a rate ends at.
enum class RateLimit : std::uint8_t { kDemand, kStore, kCacheDevice, kReaders };

struct Rate {
  double bytes_per_s = kUnlimited;
  RateLimit limit = RateLimit::kDemand;
};

// Seconds until a reader has one object, nobody else reading.
double ReadSeconds(const JobRates& job, double hit);

// X_hw, what could be read by accelerators that compute nothing, the least of:
// store, min(B, Q S) / (1 - hit); device, 1 / (hit / C_r + a (1 - hit) / C_w):
// reads and writes share its time; readers, n R S / ReadSeconds.
Rate HardwareRate(const JobRates& job, const CacheUse& use);
// X = min(n d, X_hw).
Rate SustainedRate(const JobRates& job, const CacheUse& use);

// The most accelerators that reach `target` (> 0): floor(X_hw / (target d)), 0
// where the readers of one are too slow for it. job.accelerators does not
// count. kUnlimited where nothing limits.
double MostAccelerators(const JobRates& job, const CacheUse& use,
                        double target);

// --- Utilisation: compute time / wall time, 0 … 1 ----------------------------

struct EpochShape {
  double steps = 0;             // > 0
  double samples_per_step = 1;  // b: of one accelerator, one object each
};

struct Bounds {
  double least = 0;
  double most = 0;
};

// Of an epoch that starts with nothing read ahead, steps t / (T + steps n b S /
// X) with t = b S / d of compute a step: the first batch is there after T, from
// b ReadSeconds (nobody in its way) to n R b S / X_hw (every reader has got a
// batch by then). Both tend to X / (n d) with many steps.
Bounds EpochUtilisation(const JobRates& job, const CacheUse& use,
                        const EpochShape& shape);

// X / (n d): the limit of many steps.
double LongEpochUtilisation(const JobRates& job, const CacheUse& use);

// Of a long epoch whose hits are not spread evenly: `hits` are the hit rates of
// its parts, of equal bytes each, at least one. Every miss is written. The mean
// hit rate would promise too much: 1 / mean(n d / X(hit)). `balanced`: of what
// Balanced makes of each part.
double UtilisationOfParts(const JobRates& job, std::span<const double> hits,
                          bool balanced = false);
// The most accelerators that reach `target` (0 < target <= 1) in such an epoch;
// job.accelerators does not count. kUnlimited where nothing limits.
double MostAcceleratorsOfParts(const JobRates& job,
                               std::span<const double> hits, double target,
                               bool balanced = false);

// The parts of a steady epoch with kLru, whose hits are all in the first ones:
// 8,192 values of LruHitRateAt. UtilisationOfParts is then off by 1e-5 at most
// where the share of a node's items that fit is below 0.99.
std::vector<double> LruHitsByPart(const ReadPattern& pattern,
                                  double node_share);

// Of a long epoch that starts with an empty cache which evicts nothing: misses
// are written until it holds `cached_fraction` (0 … 1) of the bytes.
double ColdUtilisation(const JobRates& job, double cached_fraction);

// Over epochs of equal compute.
struct RunUtilisation {
  double mean = 0;   // of the epochs: what is reported, and hides a cold one
  double total = 0;  // compute time of all / wall time of all
};
// Of those with these utilisations; zeros of none.
RunUtilisation UtilisationOf(std::span<const double> epochs);
// Of one at `cold`, then `epochs` - 1 (epochs > 0) at `warm`.
RunUtilisation UtilisationOf(double cold, double warm, std::uint32_t epochs);

// --- Cache and store at the same time ----------------------------------------

struct BestShare {
  double cache_share = 0;  // h*: of all bytes
  double bytes_per_s = 0;  // X*
};
// Where the device is the bottleneck, some hits are better read from the store:
// h* = C / (B + C) makes both end together, and X* = B + C (Wu et al., FAST
// 2021). Less where fewer are `hit`. Both rates > 0 and finite.
BestShare BestCacheShare(double store_bytes_per_s, double cache_bytes_per_s,
                         double hit);
// What `use` becomes where hits may be read from the store: unchanged where the
// device is not the bottleneck, nothing is gained or the store has no end; else
// store and device end together, (1 - h') / B = h' / C_r + w / C_w with the
// bytes written, w = a (1 - h), as they were.
CacheUse Balanced(const JobRates& job, const CacheUse& use);

// --- Reading ahead -----------------------------------------------------------

// Readers per accelerator below which it must wait: d ReadSeconds / S (Little's
// law).
double ReadersNeeded(const JobRates& job, double hit);
// The longest standstill of the store that `batches` read ahead by each reader
// hide, R p t, and the memory of the hosts they take, n R p b S.
double HiddenPauseSeconds(const JobRates& job, const EpochShape& shape,
                          double batches);
double ReadAheadBytes(const JobRates& job, const EpochShape& shape,
                      double batches);
// The room in the cache to hide one of `pause_s`: pause n d.
double WindowBytes(const JobRates& job, double pause_s);

struct PausedEpoch {
  double compute_s = 0;
  double pause_s = 0;  // nothing is asked for: an evaluation, a checkpoint
  double missing_bytes = 0;  // not in the cache when the epoch begins
  double store_bytes_per_s = kUnlimited;
};
// Wall time. A cache that knows what comes fetches through the pause:
// max(compute + pause, missing / B); else pause + max(compute, missing / B).
double EpochSeconds(const PausedEpoch& epoch, bool fetch_in_pause);

// --- Many nodes --------------------------------------------------------------

struct NodeRates {
  std::uint32_t nodes = 1;                // m > 0, that share the store alike
  double accelerators = 1;                // g: of a node
  double demand_bytes_per_s = 0;          // d: of one accelerator
  double store_bytes_per_s = kUnlimited;  // B: for all nodes
  double nic_bytes_per_s = kUnlimited;    // each way
  double cache_bytes_per_s = kUnlimited;  // C: of a node's device, reading
  bool store_on_nic = false;  // the store is behind the same interface
};
// Bytes/s of one node: min(g d, B / (m (1 - F)), C / F, NIC / P) with F =
// hits.total() and P = hits.peers, or P + 1 - F where store_on_nic. As many
// bytes leave a node for its peers as come from them.
double NodeBytesPerSecond(const NodeRates& node, const NodeHits& hits);

}  // namespace stoker::cache
