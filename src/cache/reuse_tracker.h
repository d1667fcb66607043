#pragma once

// How much else was read since a block was read last, in memory that does not
// grow with the blocks.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "cache/slot_entry.h"

namespace stoker::cache {

// What a read of a block that is in the sample tells.
struct Reuse {
  std::uint64_t weight = 1;  // reads it stands for, a power of 2
  bool first = false;        // of this block; there is no distance then
  // The smallest cache that still has it where the least recently used give
  // way: its bytes and those of the different blocks read since.
  std::uint64_t distance_bytes = 0;
  // The smallest cache that has it where the first to come stay: its bytes and
  // those of the different blocks first read before it.
  std::uint64_t arrival_bytes = 0;
};

// Distances of all blocks, exact, while there are at most `max_keys` of them;
// then of a sample that is chosen by a hash of the key, so that it has all
// reads of a block or none (SHARDS: Waldspurger et al., "Efficient MRC
// Construction with SHARDS", FAST 2015). Whenever it is full, the half with the
// larger hashes goes (the paper drops one key after the other, and keeps a heap
// for that), so it has max_keys / 2 to max_keys keys about. A distance over k
// sampled blocks of equal size then has a relative standard error of 1/sqrt(k)
// at most.
//
// Takes 88 to 96 bytes for each of `max_keys`, all at construction. A read of a
// block out of the sample costs a hash; one of a block in it, some walks of
// log2(2 max_keys) steps (0.4 us in all at 32768 keys) and, once in max_keys of
// them at most, a pass over all. Not safe for concurrent use.
class ReuseTracker {
 public:
  // 1 <= max_keys <= 2^30.
  explicit ReuseTracker(std::uint32_t max_keys);

  // Notes that the block `key`, which takes `bytes` in a cache, is read.
  // Nothing where it is not in the sample, or takes no bytes.
  std::optional<Reuse> Touch(const Fingerprint& key, std::uint64_t bytes);

  // The share of the blocks that is in the sample: 2^-n.
  double sample_rate() const;
  std::uint32_t sampled_keys() const { return keys_; }
  // Of all different blocks so far; an estimate where it is a sample.
  std::uint64_t working_set_bytes() const { return total_bytes_ << halvings_; }

 private:
  // The latest use of a block; bytes of 0 where it was used again since.
  struct Use {
    Fingerprint key;
    std::uint64_t bytes = 0;
    std::uint64_t arrival_bytes = 0;
  };

  bool Sampled(std::uint64_t hash) const;
  bool MakeRoomForKey();
  // Closes the gaps in `uses_` and drops what is out of the sample.
  void Compact();
  // Where `key` is in index_, or would be.
  std::size_t CellOf(const Fingerprint& key, std::uint64_t hash) const;
  void Append(std::size_t cell, const Use& use);
  void RemoveUse(std::uint32_t at);
  // A binary indexed tree (Fenwick, 1994) of the bytes in `uses_`.
  void AddToTree(std::size_t at, std::uint64_t bytes);
  std::uint64_t BytesUpTo(std::size_t at) const;  // including `at`
  void BuildTree();

  std::uint32_t max_keys_;
  std::uint32_t keys_ = 0;
  std::uint32_t next_use_ = 0;
  unsigned halvings_ = 0;
  std::uint64_t total_bytes_ = 0;  // of the latest uses
  std::vector<Use> uses_;          // the older ones first
  std::vector<std::uint64_t> tree_;
  std::vector<std::uint32_t> index_;  // hash table of positions in uses_
};

}  // namespace stoker::cache
