#pragma once

// Hit rates of policies for which no closed form is known (theory.h): the
// policy itself decides about a small cache without bytes. Pure functions, safe
// for concurrent use: the same arguments give the same result.

#include <cstdint>
#include <vector>

#include "cache/eviction.h"
#include "cache/theory.h"

namespace stoker::cache {

struct ReplayShape {
  // Blocks that stand for those that a node reads over time, 16 ... 2^20. Where
  // there are more in truth the rates differ by some thousandths; kSieve and
  // kS3Fifo depend on their number more than others.
  std::uint32_t items = 4000;
  std::uint32_t epochs = 20;  // that count, > 0; one before them fills
  std::uint32_t parts = 50;   // of an epoch, > 0, of as many reads each
};

struct ReplayedHits {
  double mean = 0;
  std::vector<double> by_part;  // in the order of the epoch
};

// Of the epochs after the first. The policy is any but kBelady, which would
// have to be told the order. Costs about 50 ns a read.
ReplayedHits ReplayHits(Policy policy, const ReadPattern& pattern,
                        double node_share, const ReplayShape& shape = {});

}  // namespace stoker::cache
