// What becomes of the parts of blocks that an op is cut into.

#include <algorithm>
#include <cstdint>
#include <span>

#include "cache/internal/cache_queue.h"
#include "core/pages.h"
#include "core/random.h"

namespace stoker::cache::internal {

// A block is wanted again at once until its last granule is read, which may be
// delivered in parts from a buffer here.
std::uint32_t CacheQueue::UseAfter(const Range& range) const {
  const Uses& uses = ops_[range.op].uses;
  const std::uint64_t granule = shared_.tier->block_bytes() / kGranulesPerSlot;
  const std::uint64_t last = (range.block_bytes - 1) / granule * granule;
  return range.from + range.out.size() > last ? uses.next : uses.now;
}

// Once for each opening of its object, in however many parts it is read.
void CacheQueue::NoteVisit(const Range& range) {
  const Fingerprint& key = range.key;
  const std::uint64_t opening =
      objects_.Get(ops_[range.op].asked.object).opening;
  const std::uint64_t visit = core::StreamKey(key.low, opening);
  // Blocks that are read beside each other may share a set.
  const std::span<std::uint64_t> set = std::span(visited_).subspan(
      key.low % kVisitSets * kVisitWays, kVisitWays);
  if (std::ranges::find(set, visit) != set.end()) {
    return;
  }
  std::ranges::copy_backward(set.first(kVisitWays - 1), set.end());
  set.front() = visit;
  const Geometry& geometry = shared_.tier->units().front().index->geometry();
  const SlotClass& small = geometry.classes[1];
  const bool is_small =
      small.slots > 0 && range.block_bytes <= small.slot_bytes;
  visits_->Note(
      key,
      static_cast<std::uint32_t>(geometry.classes[is_small ? 1 : 0].slot_bytes),
      clock());
}

// How much of the front of the range the device can put where it is wanted:
// whole granules, in aligned memory.
std::uint64_t CacheQueue::DirectBytes(const Range& range,
                                      std::uint64_t granule) const {
  const auto address = reinterpret_cast<std::uintptr_t>(range.out.data());
  if (range.from % granule != 0 || address % core::kPageBytes != 0) {
    return 0;
  }
  const std::span<std::byte> all = ops_[range.op].asked.buffer;
  const auto room =
      static_cast<std::uint64_t>(all.data() + all.size() - range.out.data());
  if (range.from + range.out.size() == range.block_bytes &&
      core::PagesUp(range.out.size()) <= room) {
    return range.out.size();
  }
  return range.out.size() / granule * granule;
}

}  // namespace stoker::cache::internal
