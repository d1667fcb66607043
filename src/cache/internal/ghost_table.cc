#include "cache/internal/ghost_table.h"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "core/random.h"

namespace stoker::cache::internal {

namespace {

constexpr std::size_t kBucketCells = 8;
constexpr std::uint32_t kStampBits = 12;
constexpr std::uint32_t kStampMask = (1U << kStampBits) - 1;
// A life is 64 to 127 ticks: the stamp comes round after 32 lives, long after
// the cell was written again.
constexpr std::uint64_t kLeastLifeTicks = 64;

// The number below `count` that a hash stands for.
std::size_t Reduce(std::uint32_t hash, std::size_t count) {
  return static_cast<std::size_t>(std::uint64_t{hash} * count >> 32U);
}

}  // namespace

GhostTable::GhostTable(std::span<std::uint32_t> cells, std::uint32_t& added)
    : cells_(cells), added_(added) {
  const std::uint64_t life = std::max<std::uint64_t>(cells.size() * 9 / 10, 1);
  const std::uint64_t tick =
      std::bit_floor(std::max<std::uint64_t>(life / kLeastLifeTicks, 1));
  tick_shift_ = static_cast<std::uint32_t>(std::countr_zero(tick));
  life_ticks_ = static_cast<std::uint32_t>(life / tick);
}

GhostTable::Place GhostTable::PlaceOf(const Fingerprint& key) const {
  const std::uint64_t hash = core::StreamKey(key.high, key.low);
  const std::size_t width = std::min(kBucketCells, cells_.size());
  const std::size_t buckets = width == 0 ? 0 : cells_.size() / width;
  const auto bucket = [&](std::uint64_t part) {
    const auto half = static_cast<std::uint32_t>(part);
    return cells_.subspan(Reduce(half, buckets) * width, width);
  };
  const auto tag =
      static_cast<std::uint32_t>(core::Mix64(hash) >> (32U + kStampBits));
  return {.buckets = {bucket(hash), bucket(hash >> 32U)},
          .tag = std::max(tag, 1U)};
}

std::uint32_t GhostTable::Now() const {
  return added_ >> tick_shift_ & kStampMask;
}

std::uint32_t GhostTable::AgeOf(std::uint32_t cell) const {
  return cell == 0 ? kStampMask + 1 : (Now() - cell) & kStampMask;
}

void GhostTable::Add(const Fingerprint& key) {
  const Place place = PlaceOf(key);
  std::uint32_t* oldest = nullptr;
  for (const std::span<std::uint32_t> bucket : place.buckets) {
    for (std::uint32_t& cell : bucket) {
      if (oldest == nullptr || AgeOf(cell) > AgeOf(*oldest)) {
        oldest = &cell;
      }
    }
  }
  if (oldest != nullptr) {
    *oldest = place.tag << kStampBits | Now();
    ++added_;
  }
}

bool GhostTable::Take(const Fingerprint& key) {
  const Place place = PlaceOf(key);
  for (const std::span<std::uint32_t> bucket : place.buckets) {
    for (std::uint32_t& cell : bucket) {
      if (cell >> kStampBits == place.tag && AgeOf(cell) <= life_ticks_) {
        cell = 0;
        return true;
      }
    }
  }
  return false;
}

}  // namespace stoker::cache::internal
