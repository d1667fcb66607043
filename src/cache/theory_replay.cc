#include "cache/theory_replay.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "cache/internal/item_cache.h"
#include "core/check.h"
#include "core/random.h"

namespace stoker::cache {
namespace {

constexpr std::uint64_t kSeed = 0x5eed;

// Fisher and Yates.
void Shuffle(std::vector<std::uint32_t>& items, core::CounterRandom& random) {
  for (std::size_t left = items.size(); left > 1; --left) {
    std::swap(items[left - 1], items[random.Below(left)]);
  }
}

}  // namespace

ReplayedHits ReplayHits(Policy policy, const ReadPattern& pattern,
                        double node_share, const ReplayShape& shape) {
  STOKER_CHECK(policy != Policy::kBelady);
  STOKER_CHECK(shape.items >= 16 && shape.items <= 1U << 20U);
  STOKER_CHECK(shape.epochs > 0 && shape.parts > 0);
  const double fits = OwnShare(pattern, node_share);
  const auto slots =
      static_cast<std::uint32_t>(std::lround(fits * shape.items));
  ReplayedHits hits{.mean = 0,
                    .by_part = std::vector<double>(shape.parts, 0.0)};
  if (slots == 0) return hits;

  ItemCache cache(policy, shape.items, slots, kSeed);
  core::CounterRandom random(core::StreamKey(kSeed));
  std::vector<std::uint32_t> order(shape.items);
  std::iota(order.begin(), order.end(), 0U);
  // Dealt anew, a node gets an m-th of them.
  const std::uint32_t reads =
      std::max<std::uint32_t>(1, pattern.order == OrderClass::kGlobalReshuffle
                                     ? shape.items / pattern.nodes
                                     : shape.items);
  std::vector<std::uint64_t> found(shape.parts, 0);
  std::vector<std::uint64_t> looked(shape.parts, 0);
  for (std::uint32_t epoch = 0; epoch <= shape.epochs; ++epoch) {
    if (pattern.order != OrderClass::kCyclic) Shuffle(order, random);
    for (std::uint32_t at = 0; at < reads; ++at) {
      const bool hit = cache.Read(order[at]);
      if (epoch > 0) {
        const auto part =
            static_cast<std::size_t>(std::uint64_t{at} * shape.parts / reads);
        ++looked[part];
        found[part] += hit ? 1U : 0U;
      }
    }
  }
  for (std::size_t part = 0; part < found.size(); ++part) {
    // Fewer reads than parts leave some without any.
    hits.by_part[part] = looked[part] == 0
                             ? hits.by_part[part == 0 ? 0 : part - 1]
                             : static_cast<double>(found[part]) /
                                   static_cast<double>(looked[part]);
  }
  hits.mean =
      static_cast<double>(std::accumulate(found.begin(), found.end(), 0ULL)) /
      (double{1} * reads * shape.epochs);
  return hits;
}

}  // namespace stoker::cache
