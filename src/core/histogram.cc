#include "core/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

namespace stoker::core {
namespace {

// Buckets of a power of two: 2^6.
constexpr int kShift = 6;
constexpr std::size_t kPerPower = std::size_t{1} << kShift;
// Values of up to 7 bits have a bucket each, up to 63 bits the powers follow.
constexpr std::size_t kBuckets = (63 - kShift + 1) * kPerPower;

// Bits of `value` below its leading 7.
int ScaleOf(std::uint64_t value) {
  return std::max(0, static_cast<int>(std::bit_width(value)) - kShift - 1);
}

std::size_t IndexOf(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  const int scale = ScaleOf(bits);
  return static_cast<std::size_t>(scale) * kPerPower + (bits >> scale);
}

std::int64_t LowestOf(std::size_t index) {
  if (index < 2 * kPerPower) return static_cast<std::int64_t>(index);
  const std::size_t scale = index / kPerPower - 1;
  return static_cast<std::int64_t>((kPerPower + index % kPerPower) << scale);
}

std::int64_t HighestOf(std::size_t index) {
  if (index < 2 * kPerPower) return static_cast<std::int64_t>(index);
  const std::size_t scale = index / kPerPower - 1;
  return LowestOf(index) + ((std::int64_t{1} << scale) - 1);
}

}  // namespace

Histogram::Histogram() : counts_(kBuckets) {}

void Histogram::Add(std::int64_t value) {
  const std::int64_t counted = std::max<std::int64_t>(value, 0);
  ++counts_[IndexOf(counted)];
  Widen(counted, counted, 1);
}

void Histogram::Widen(std::int64_t smallest, std::int64_t largest,
                      std::uint64_t count) {
  smallest_ = count_ == 0 ? smallest : std::min(smallest_, smallest);
  largest_ = std::max(largest_, largest);
  count_ += count;
}

void Histogram::Merge(const Histogram& other) {
  if (other.count_ == 0) return;
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  Widen(other.smallest_, other.largest_, other.count_);
}

bool Histogram::MergeBuckets(std::span<const Bucket> buckets,
                             std::int64_t smallest, std::int64_t largest) {
  if (buckets.empty()) return true;
  std::int64_t before = -1;
  for (const Bucket& bucket : buckets) {
    const bool known = bucket.lowest > before && bucket.count > 0 &&
                       LowestOf(IndexOf(bucket.lowest)) == bucket.lowest;
    if (!known) return false;
    before = bucket.lowest;
  }
  if (smallest < buckets.front().lowest || largest < before ||
      IndexOf(smallest) != IndexOf(buckets.front().lowest) ||
      IndexOf(largest) != IndexOf(before)) {
    return false;
  }
  std::uint64_t count = 0;
  for (const Bucket& bucket : buckets) {
    counts_[IndexOf(bucket.lowest)] += bucket.count;
    count += bucket.count;
  }
  Widen(smallest, largest, count);
  return true;
}

std::int64_t Histogram::Quantile(double fraction) const {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(fraction * static_cast<double>(count_));
  if (wanted >= static_cast<double>(count_)) return largest_;
  if (wanted <= 1) return smallest_;
  const auto rank = static_cast<std::uint64_t>(wanted);
  std::uint64_t seen = 0;
  std::size_t index = 0;
  while (seen + counts_[index] < rank) seen += counts_[index++];
  const std::int64_t lowest = LowestOf(index);
  return std::clamp(lowest + (HighestOf(index) - lowest) / 2, smallest_,
                    largest_);
}

std::vector<Histogram::Bucket> Histogram::Buckets() const {
  std::vector<Bucket> buckets;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    if (counts_[i] > 0) {
      buckets.push_back({.lowest = LowestOf(i),
                         .highest = HighestOf(i),
                         .count = counts_[i]});
    }
  }
  return buckets;
}

}  // namespace stoker::core
