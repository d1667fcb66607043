#pragma once

// The policies behind Eviction::Make, and what they have in common.

#include <cstdint>
#include <memory>

#include "cache/eviction.h"

namespace stoker::cache::internal {

// As Eviction::Make.
std::unique_ptr<Eviction> MakeNever(const EvictionMemory& memory);
std::unique_ptr<Eviction> MakeLru(const EvictionMemory& memory);
std::unique_ptr<Eviction> MakeFifo(const EvictionMemory& memory);
std::unique_ptr<Eviction> MakeSieve(const EvictionMemory& memory);
std::unique_ptr<Eviction> MakeS3Fifo(const EvictionMemory& memory);
std::unique_ptr<Eviction> MakeRandom(const EvictionMemory& memory,
                                     std::uint64_t seed);
std::unique_ptr<Eviction> MakeTwoRandom(const EvictionMemory& memory,
                                        std::uint64_t seed);
std::unique_ptr<Eviction> MakeBelady(const EvictionMemory& memory);

// The questions of one search.
class Questions {
 public:
  // `may_go` outlives this.
  explicit Questions(const Eviction::MayGo& may_go) : may_go_(may_go) {}

  std::uint32_t asked() const { return asked_; }
  bool left() const { return asked_ < Eviction::kMostAsked; }
  // Requires left().
  bool MayGo(std::uint32_t slot) {
    ++asked_;
    return may_go_(slot);
  }

 private:
  const Eviction::MayGo& may_go_;
  std::uint32_t asked_ = 0;
};

}  // namespace stoker::cache::internal
