#pragma once

// What blocks are known by, and what proves that bytes are those of a block.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "cache/slot_entry.h"

namespace stoker::cache {

// What names a store behind a cache, whatever it is reached through: of the
// innermost place of `uri`, without options but its endpoint; files are files,
// buffered, direct or mapped. "model:?latency=1ms,direct:///data?depth=8" is
// "file:///data", "s3://b/p?endpoint=http://x:80" is "s3://b/p@http://x:80".
std::string StoreName(std::string_view uri);

// The key of an object in one of its versions: 128 bits of which two objects
// share all by accident only. `name`: that of the store, '/', and that of the
// object there, so that a folder of a store is the same place as the store.
Fingerprint ObjectKey(std::string_view name, std::uint64_t version);

// The key of a block of it, `number` counted from 0.
Fingerprint BlockKey(const Fingerprint& object, std::uint64_t number);

// CRC-32C of a part of a slot. It begins with a hash of who says what is there:
// bytes that are torn, stale, of another block or of another slot do not match.
// `granule` counts from 0 within the slot.
std::uint32_t GranuleCrc(const Fingerprint& key, std::uint32_t slot,
                         std::uint32_t generation, std::uint32_t granule,
                         std::span<const std::byte> bytes);

}  // namespace stoker::cache
