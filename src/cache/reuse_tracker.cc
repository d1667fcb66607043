#include "cache/reuse_tracker.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/check.h"
#include "core/random.h"

namespace stoker::cache {
namespace {

constexpr std::uint32_t kNoUse = UINT32_MAX;
constexpr std::uint32_t kMostKeys = 1U << 30;  // positions fit 32 bits
constexpr unsigned kMostHalvings = 63;

// Twice the keys: half of the positions are free after a compaction.
std::size_t Positions(std::uint32_t max_keys) {
  return 2 * std::size_t{max_keys};
}

std::uint64_t HashOf(const Fingerprint& key) {
  return core::StreamKey(key.high, key.low);
}

}  // namespace

ReuseTracker::ReuseTracker(std::uint32_t max_keys)
    : max_keys_(max_keys),
      uses_(Positions(max_keys)),
      tree_(Positions(max_keys) + 1),
      index_(std::bit_ceil(Positions(max_keys)), kNoUse) {
  STOKER_CHECK(max_keys > 0 && max_keys <= kMostKeys);
}

std::optional<Reuse> ReuseTracker::Touch(const Fingerprint& key,
                                         std::uint64_t bytes) {
  const std::uint64_t hash = HashOf(key);
  if (bytes == 0 || !Sampled(hash)) return std::nullopt;
  if (next_use_ == uses_.size()) Compact();
  std::size_t cell = CellOf(key, hash);
  Use use{.key = key, .bytes = bytes, .arrival_bytes = 0};
  Reuse reuse;
  if (const std::uint32_t last = index_[cell]; last != kNoUse) {
    use.arrival_bytes = uses_[last].arrival_bytes;
    const std::uint64_t since = total_bytes_ - BytesUpTo(last);
    reuse.distance_bytes = (since << halvings_) + bytes;
    RemoveUse(last);
  } else {
    if (!MakeRoomForKey() || !Sampled(hash)) return std::nullopt;
    cell = CellOf(key, hash);  // making room moves them
    use.arrival_bytes = (total_bytes_ << halvings_) + bytes;
    reuse.first = true;
    ++keys_;
  }
  reuse.weight = std::uint64_t{1} << halvings_;
  reuse.arrival_bytes = use.arrival_bytes;
  Append(cell, use);
  return reuse;
}

double ReuseTracker::sample_rate() const {
  return std::ldexp(1.0, -static_cast<int>(halvings_));
}

// By the high bits; the low ones spread the sample over the index.
bool ReuseTracker::Sampled(std::uint64_t hash) const {
  return hash <= UINT64_MAX >> halvings_;
}

bool ReuseTracker::MakeRoomForKey() {
  while (keys_ == max_keys_) {
    if (halvings_ == kMostHalvings) return false;
    ++halvings_;
    Compact();
  }
  return true;
}

void ReuseTracker::Compact() {
  std::ranges::fill(index_, kNoUse);
  std::uint32_t kept = 0;
  total_bytes_ = 0;
  for (std::uint32_t from = 0; from < next_use_; ++from) {
    const Use use = uses_[from];
    if (use.bytes == 0) continue;
    const std::uint64_t hash = HashOf(use.key);
    if (!Sampled(hash)) continue;
    uses_[kept] = use;
    index_[CellOf(use.key, hash)] = kept;
    total_bytes_ += use.bytes;
    ++kept;
  }
  keys_ = kept;
  next_use_ = kept;
  BuildTree();
}

std::size_t ReuseTracker::CellOf(const Fingerprint& key,
                                 std::uint64_t hash) const {
  const std::size_t mask = index_.size() - 1;
  std::size_t cell = hash & mask;
  // Half of the cells are free at least.
  while (index_[cell] != kNoUse && uses_[index_[cell]].key != key)
    cell = (cell + 1) & mask;
  return cell;
}

void ReuseTracker::Append(std::size_t cell, const Use& use) {
  uses_[next_use_] = use;
  index_[cell] = next_use_;
  AddToTree(next_use_, use.bytes);
  total_bytes_ += use.bytes;
  ++next_use_;
}

void ReuseTracker::RemoveUse(std::uint32_t at) {
  Use& use = uses_[at];
  AddToTree(at, 0 - use.bytes);  // the sums wrap as it does
  total_bytes_ -= use.bytes;
  use.bytes = 0;
}

void ReuseTracker::AddToTree(std::size_t at, std::uint64_t bytes) {
  for (std::size_t node = at + 1; node < tree_.size();
       node += node & (~node + 1)) {
    tree_[node] += bytes;
  }
}

std::uint64_t ReuseTracker::BytesUpTo(std::size_t at) const {
  std::uint64_t sum = 0;
  for (std::size_t node = at + 1; node > 0; node &= node - 1)
    sum += tree_[node];
  return sum;
}

void ReuseTracker::BuildTree() {
  std::ranges::fill(tree_, 0);
  for (std::size_t node = 1; node < tree_.size(); ++node) {
    if (node <= next_use_) tree_[node] += uses_[node - 1].bytes;
    const std::size_t parent = node + (node & (~node + 1));
    if (parent < tree_.size()) tree_[parent] += tree_[node];
  }
}

}  // namespace stoker::cache
