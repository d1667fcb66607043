#pragma once

// Which blocks were sent away not long ago.

#include <array>
#include <cstdint>
#include <span>

#include "cache/slot_entry.h"

namespace stoker::cache::internal {

// Remembers the keys added last, 9/10 as many as there are cells (to 1/64 of
// that). A cell is 20 bits of a key's hash and 12 bits of the time it was
// added; 0 is empty. A key may lie in any of the 8 cells of two buckets and
// takes the one that has waited longest, so that both calls look at 16 cells
// and no more. The price: one key of six is overwritten in the last fifth of
// its time, and of 65,000 that were never added one is found. Any content of
// the cells is valid. Not safe for concurrent use.
class GhostTable {
 public:
  // `added` counts modulo 2^32. Both outlive this.
  GhostTable(std::span<std::uint32_t> cells, std::uint32_t& added);

  void Add(const Fingerprint& key);
  // Whether `key` is remembered; it is not any more then.
  bool Take(const Fingerprint& key);

 private:
  struct Place {
    std::array<std::span<std::uint32_t>, 2> buckets;
    std::uint32_t tag = 0;  // not 0
  };
  Place PlaceOf(const Fingerprint& key) const;
  std::uint32_t Now() const;
  // Ticks since the cell was written; of an empty one beyond any other.
  std::uint32_t AgeOf(std::uint32_t cell) const;

  std::span<std::uint32_t> cells_;
  std::uint32_t& added_;
  std::uint32_t tick_shift_ = 0;  // a tick is 2^tick_shift_ keys added
  std::uint32_t life_ticks_ = 1;
};

}  // namespace stoker::cache::internal
