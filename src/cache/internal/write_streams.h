#pragma once

// Writing through a cache.

#include <cstdint>
#include <functional>
#include <memory>

#include "cache/internal/staged_object.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/write_stream.h"

namespace stoker::cache::internal {

// What becomes of an object all bytes of which are on the cache's device; of a
// stream that writes to the store as well, null where that did not work out.
// Called once by Commit, after the store has it. May stamp `times`.
using EndObject = std::function<core::Status(
    StagedObject* staged, std::uint64_t size, storage::WriteTimes& times)>;

// Writes to the cache alone.
core::Result<std::unique_ptr<storage::WriteStream>> MakeBackStream(
    std::unique_ptr<StagedObject> staged, std::uint64_t block_bytes,
    const storage::WriteOptions& options, core::Clock& clock, EndObject end);

// Writes to `inner`, and what it can also to the cache; `staged` may be null.
std::unique_ptr<storage::WriteStream> MakeThroughStream(
    std::unique_ptr<storage::WriteStream> inner,
    std::unique_ptr<StagedObject> staged, const storage::WriteOptions& options,
    core::Clock& clock, EndObject end);

}  // namespace stoker::cache::internal
