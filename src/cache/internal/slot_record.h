#pragma once

// A record of the table of slots as it is stored. The layout is written down
// in docs/design/0004-cache-on-disk.md.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cache/directory.h"

namespace stoker::cache::internal {

inline constexpr std::size_t kRecordBytes = 64;
using RecordBytes = std::array<std::byte, kRecordBytes>;

// What the checksums of a cache's records begin with, so that a record of
// another cache is damaged here.
std::uint32_t RecordSeed(const CacheId& id);

// Zeros for kFree; whatever else the record holds is dropped then.
RecordBytes EncodeRecord(std::uint32_t slot, const SlotRecord& record,
                         std::uint32_t seed);

enum class RecordState : std::uint8_t { kFree, kWhole, kDamaged };

// `record` is set if kWhole. Damaged is also a whole record of another slot,
// and one whose state is neither kValid nor kDirty.
RecordState DecodeRecord(std::span<const std::byte, kRecordBytes> bytes,
                         std::uint32_t slot, std::uint32_t seed,
                         SlotRecord& record);

}  // namespace stoker::cache::internal
