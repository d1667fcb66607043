#pragma once

// Which blocks were read, in a sample of fixed size; and what caches of other
// sizes would have had of the same reads.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "cache/slot_entry.h"
#include "core/clock.h"

namespace stoker::cache {

// A block is read, all of it or in parts, once for each opening of its object.
struct Visit {
  std::uint64_t block = 0;  // half of its key
  core::TimePoint at{};
  std::uint32_t bytes = 0;  // of a slot for it
};

// All visits of 2^-halvings of the blocks, before `until`. Which blocks is told
// by their keys alone, so that two samples can be brought to the same ones
// (SHARDS, see cache/reuse_tracker.h).
struct VisitSample {
  std::uint32_t halvings = 0;
  core::TimePoint until = core::kNever;
  std::vector<Visit> visits{};

  // Keeps the visits of the smaller share of blocks; `share` >= halvings.
  void Thin(std::uint32_t share);
  // Halves until there are `most` visits at most, or none.
  void Limit(std::size_t most);
};

// Of one thread. Takes 24 bytes for each of `capacity` at construction, and
// nothing later. A visit out of the sample costs a comparison, one within it a
// look at the clock. When it is full, half of the blocks go; where fewer than
// kFewestBlocks would remain it ends instead: what it has tells enough by then.
class VisitLog {
 public:
  static constexpr std::uint32_t kFewestBlocks = 256;

  explicit VisitLog(std::uint32_t capacity);

  void Note(const Fingerprint& key, std::uint32_t bytes,
            const core::Clock& clock) {
    if ((key.low & mask_) == 0) {
      Keep(key.low, bytes, clock.Now());
    }
  }
  const VisitSample& sample() const { return sample_; }

 private:
  void Keep(std::uint64_t block, std::uint32_t bytes, core::TimePoint now);
  void MakeRoom(core::TimePoint now);

  const std::size_t capacity_;
  std::uint64_t mask_ = 0;
  VisitSample sample_;
  std::vector<std::uint64_t> scratch_;
};

// The logs of a process. Safe for concurrent use, but that Collect needs all
// reads to be over.
class VisitLogs {
 public:
  static constexpr std::uint32_t kCapacity = 1U << 14U;

  // A log for one thread, perhaps one that another gave back.
  VisitLog& Take();
  void Give(VisitLog& log);
  // What all together have seen from `since` on.
  VisitSample Collect(core::TimePoint since) const;

 private:
  mutable std::mutex mutex_;  // guards both
  std::vector<std::unique_ptr<VisitLog>> logs_;
  std::vector<VisitLog*> free_;
};

// In bytes of slots; those of several hosts add up.
struct HitsOfSizes {
  double all = 0;
  double repeated = 0;  // of these, of blocks that were read before
  // In a cache of each size, empty at first: with the least recently used
  // giving way, and with the first to come staying.
  std::vector<double> lru{};
  std::vector<double> never_evict{};

  // Of the same sizes.
  void Add(const HitsOfSizes& other);
};

// `samples`: of all who read through one cache, with clocks that agree.
// `cache_bytes`: the sizes, in bytes of slots. Exact where nothing was left out
// and the sizes are multiples of one slot size; else off as MissRatioCurve
// says.
HitsOfSizes HitsOf(std::vector<VisitSample> samples,
                   std::span<const std::uint64_t> cache_bytes);

// To be sent between ranks; ParseSample gives an empty one for what is none.
std::vector<std::byte> BytesOf(const VisitSample& sample);
VisitSample ParseSample(std::span<const std::byte> bytes);

}  // namespace stoker::cache
