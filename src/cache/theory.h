#pragma once

// What share of its bytes a cache can serve, by arithmetic alone: what a run's
// measured hit rate is checked against. Pure functions, safe for concurrent
// use.
//
// All count on every item being read once per epoch by one of the nodes, on
// items of equal size (else on rates of bytes), and on no prefetch. Then an
// item that is hit was resident when the epoch began, so where a node reads the
// same items each time no policy hits more than the share that fits. "Steady"
// are all epochs but those that fill the cache.

#include <cstdint>
#include <optional>

#include "cache/eviction.h"

namespace stoker::cache {

// What the items that a node reads have in common with those of the epoch
// before.
enum class OrderClass : std::uint8_t {
  kCyclic,           // the same items in the same order
  kPermutation,      // the same items in an order drawn anew
  kGlobalReshuffle,  // other items: all are dealt to the nodes anew
};

struct ReadPattern {
  OrderClass order = OrderClass::kCyclic;
  std::uint32_t nodes = 1;  // each reads as many items; > 0
};

// Where a node looks for what is not in its own cache.
enum class Placement : std::uint8_t {
  kLocal,        // in the store
  kCooperative,  // at the node that holds it: each item is kept by one
};

// Shares of the bytes that a node reads.
struct NodeHits {
  double local = 0;
  double peers = 0;
  double total() const { return local + peers; }
};

// In all of these `node_share` is the bytes of one node's cache / bytes of the
// whole data set, >= 0; more than it can use does no harm.

// The share of the items that a node reads over time that fit into its cache:
// of all items for kGlobalReshuffle, else of the node's own. At most 1.
double OwnShare(const ReadPattern& pattern, double node_share);

// Share of the bytes a node reads that its own cache has, in the steady state.
// Nothing where no closed form is known: for kTwoRandom, kSieve and kS3Fifo
// (but kSieve is kFifo in cyclic order) and for kFifo out of cyclic order:
// theory_replay.h has those.
//
// With f the share of a node's own items that fit (node_share of all for
// kGlobalReshuffle), m nodes and q = 1 - 1/m:
// * kNever is f, in every order.
// * kBelady is f but for kGlobalReshuffle, where the best that a node can do
//   with its own cache is to keep what it reads again within K epochs:
//   1 - q^K, with Σ_{k<=K} k q^(k-1) / m = m f, the last term in part.
// * kLru and kFifo are 0 in cyclic order. Out of it, kLru hits an item that was
//   read at position u of the k-th epoch before and now at v iff
//   (1 - (1-u)/m) (1 - v/m) q^(k-1) > 1 - f: these are the items that were not
//   read in between. Over u, v and k; f + (1-f) ln(1-f) for m = 1.
// * kRandom is the smaller h with h = exp(-(1-h)/f) in cyclic order, and else
//   h = ((1 - e^-a) / a)² / (m (1 - q e^-a)), a = (1-h) / (m f): evictions come
//   evenly, so a slot lives through t epochs with probability e^-at.
// Those of several nodes are checked against simulations by the tests.
std::optional<double> SteadyHitRate(Policy policy, const ReadPattern& pattern,
                                    double node_share);

// Share of the reads that hit nothing which are put into the cache, in the
// steady state; nothing where no closed form is known: for kBelady of several
// nodes whose items are dealt anew. kNever: none. kBelady, which puts in what
// is read again sooner than the latest of what is there: none in cyclic order;
// else f ln(1/f) / (1-f), as an item read at v of the epoch is among the f N
// soonest of the v N before it with probability f / v. All others: all.
std::optional<double> AdmittedShare(Policy policy, const ReadPattern& pattern,
                                    double node_share);

// The probability that kLru has what is read at `position` (0 … 1) of an epoch:
// max(0, 1 - (1-f)/(1-position)) for a permutation. Its mean over the positions
// is SteadyHitRate.
double LruHitRateAt(const ReadPattern& pattern, double node_share,
                    double position);

// Of caches that evict nothing. Peers add nothing but for kGlobalReshuffle,
// where m node_share of the data are somewhere and an m-th of that is local.
NodeHits NeverEvictHits(const ReadPattern& pattern, Placement placement,
                        double node_share);

// Share of all bytes of `epochs` (> 0) epochs that comes from the store where
// the first of them fills the cache and hits nothing.
double StoreShare(double steady_hit_rate, std::uint32_t epochs);

// How far a measured hit rate may be from SteadyHitRate: nothing for kNever;
// else three standard deviations of `items` * `epochs` draws, and 0.002 for
// what the limit of many items leaves out. A reader that is far ahead of
// others may shift kLru by the items in flight / items, in addition.
double HitRateTolerance(Policy policy, double hit_rate, double items,
                        double epochs);

// How many times faster a store seems whose reads are answered by memory at
// this rate, 0 <= hit_rate < 1.
double ApparentSpeedup(double hit_rate);

}  // namespace stoker::cache
