#pragma once

// How a block becomes the content of a slot.

#include <cstdint>
#include <span>

#include "cache/block_key.h"
#include "cache/tier.h"

namespace stoker::cache::internal {

// The record of `block`, the bytes of which are about to be written to the
// claimed slot.
SlotRecord RecordFor(const TierUnit& unit, const Claim& claim,
                     const Fingerprint& key, std::span<const std::byte> block,
                     SlotState state);

// The write of it. `buffer` holds the block, and zeros up to the next whole
// page.
storage::BlockOp WriteOf(const TierUnit& unit, std::uint32_t slot,
                         std::span<std::byte> buffer, std::uint64_t tag);

// Whether the bytes read of a slot, from its start, are those of its record.
bool IsWhole(const TierUnit& unit, const Fingerprint& key, std::uint32_t slot,
             std::uint32_t generation,
             const std::array<std::uint32_t, kGranulesPerSlot>& crc,
             std::span<const std::byte> block);

}  // namespace stoker::cache::internal
