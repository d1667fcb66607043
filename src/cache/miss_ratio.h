#pragma once

// What the same reads would have missed in caches of other sizes: the
// miss-ratio curve of one run, from its own reads, in fixed memory.

#include <cstdint>
#include <span>
#include <vector>

#include "cache/reuse_tracker.h"
#include "cache/slot_entry.h"
#include "core/status.h"

namespace stoker::cache {

// Of all that was read, the shares that a cache of this size would have had to
// fetch: with the least recently used giving way, and with the first to come
// staying. First reads of a block are always misses.
struct MissRatioPoint {
  std::uint64_t cache_bytes = 0;
  double lru_bytes = 1;
  double lru_reads = 1;
  double never_evict_bytes = 1;
  double never_evict_reads = 1;
};

// How many reads, and bytes of them, are hits from which size of the cache on.
// Bucket i counts those that need more than i * width_bytes and at most
// (i + 1) * width_bytes.
struct HitsBySize {
  std::uint64_t width_bytes = 0;
  std::vector<std::uint64_t> reads;
  std::vector<std::uint64_t> bytes;

  struct Sum {
    double reads = 0;
    double bytes = 0;
  };

  // `buckets` even; width > 0.
  HitsBySize(std::uint64_t width, std::uint32_t buckets);
  // Doubles the width until `needed_bytes` (> 0) has a bucket.
  void Add(std::uint64_t needed_bytes, std::uint64_t weight,
           std::uint64_t bytes_each);
  // Hits of a cache of this size: whole buckets, and of the one it ends in the
  // share that it covers.
  Sum Below(std::uint64_t cache_bytes) const;
  void Widen();
};

// The counts a curve is made of: what one process can send to another.
struct MissRatioCounts {
  HitsBySize lru;
  HitsBySize never_evict;
  std::uint64_t reads = 0;  // weighted like the hits, first ones included
  std::uint64_t bytes = 0;

  std::vector<MissRatioPoint> Points(
      std::span<const std::uint64_t> cache_bytes) const;
  // As if the caches of both were one node's each: points of a size are of
  // caches of that size for each. (R like ranks that share a cache of c bytes
  // and read different blocks are R ranks with c / R each.) kInvalidArgument,
  // and nothing changes: the options were others, or the counts are damaged.
  core::Status Merge(const MissRatioCounts& other);
};

// Exact for up to Options::max_keys blocks at sizes that are multiples of the
// buckets' width, and a straight line between those. The width begins as
// Options::unit_bytes and doubles as needed, so it ends at 2 / buckets of the
// largest distance at most.
//
// For more blocks it is a sample's (see ReuseTracker): the sizes are then off
// by a relative standard error of 1/sqrt(blocks of the sample that fit into
// the cache) at most, which at the default is 0.8 % for a cache of all blocks
// and 2.5 % for one of a tenth; the shares, in addition, by that of drawing as
// many reads as the sample has. A block counts whole, as a cache keeps it. Of
// blocks of unlike sizes, small ones that still fit when a large one does not
// are misses here where the first to come stay. Takes 96 bytes a key and 32
// bytes a bucket at most, 3.4 MB at the default, all at construction. Not safe
// for concurrent use.
class MissRatioCurve {
 public:
  struct Options {
    std::uint32_t max_keys = 1U << 15;       // 1 … 2^30
    std::uint64_t unit_bytes = 256U << 10U;  // > 0; best that of a slot
    std::uint32_t buckets = 1U << 14;        // even, > 0
  };

  explicit MissRatioCurve(const Options& options);

  // A block is read that takes `bytes` in a cache; 0 counts as no read.
  // Allocates nothing.
  void Add(const Fingerprint& key, std::uint64_t bytes);

  // One for each size, in their order; all misses where nothing was read.
  std::vector<MissRatioPoint> Points(
      std::span<const std::uint64_t> cache_bytes) const {
    return counts_.Points(cache_bytes);
  }
  // As MissRatioCounts::Merge; later reads are told from this one's own only.
  core::Status Merge(const MissRatioCurve& other) {
    return counts_.Merge(other.counts_);
  }

  const MissRatioCounts& counts() const { return counts_; }
  double sample_rate() const { return tracker_.sample_rate(); }
  // Of the different blocks added here: the smallest cache that has all.
  std::uint64_t working_set_bytes() const {
    return tracker_.working_set_bytes();
  }

 private:
  ReuseTracker tracker_;
  MissRatioCounts counts_;
};

}  // namespace stoker::cache
