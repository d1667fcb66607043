#include "cache/internal/slot_write.h"

#include <algorithm>

#include "core/pages.h"

namespace stoker::cache::internal {

namespace {

// Calls `visit` with the number and the bytes of each granule.
template <class Visit>
void ForEachGranule(const TierUnit& unit, std::uint32_t slot,
                    std::span<const std::byte> block, Visit visit) {
  const std::uint64_t granule = Tier::GranuleBytes(unit, slot);
  for (std::uint32_t g = 0; g < kGranulesPerSlot && g * granule < block.size();
       ++g) {
    visit(g,
          block.subspan(g * granule, std::min<std::uint64_t>(
                                         granule, block.size() - g * granule)));
  }
}

}  // namespace

SlotRecord RecordFor(const TierUnit& unit, const Claim& claim,
                     const Fingerprint& key, std::span<const std::byte> block,
                     SlotState state) {
  SlotRecord record{.state = state,
                    .key = key,
                    .generation = claim.generation,
                    .length = static_cast<std::uint32_t>(block.size())};
  ForEachGranule(unit, claim.slot, block,
                 [&](std::uint32_t g, std::span<const std::byte> bytes) {
                   record.crc[g] =
                       GranuleCrc(key, claim.slot, claim.generation, g, bytes);
                 });
  return record;
}

storage::BlockOp WriteOf(const TierUnit& unit, std::uint32_t slot,
                         std::span<std::byte> buffer, std::uint64_t tag) {
  return {.kind = storage::BlockOp::Kind::kWrite,
          .offset = unit.device_offset + unit.index->geometry().OffsetOf(slot),
          .buffer = buffer,
          .tag = tag};
}

bool IsWhole(const TierUnit& unit, const Fingerprint& key, std::uint32_t slot,
             std::uint32_t generation,
             const std::array<std::uint32_t, kGranulesPerSlot>& crc,
             std::span<const std::byte> block) {
  bool whole = true;
  ForEachGranule(unit, slot, block,
                 [&](std::uint32_t g, std::span<const std::byte> bytes) {
                   whole = whole && GranuleCrc(key, slot, generation, g,
                                               bytes) == crc[g];
                 });
  return whole;
}

}  // namespace stoker::cache::internal
