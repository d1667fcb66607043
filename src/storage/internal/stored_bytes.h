#pragma once

// Which bytes of a file are on storage.

#include <cstdint>
#include <optional>
#include <string>

#include "core/status.h"

namespace stoker::storage::internal {

// Bytes of the file at `path` that nobody wrote: holes, and space that was only
// reserved (fallocate). Asks for the map of its extents (FIEMAP), or, where the
// file system has none, for its holes (SEEK_HOLE); nothing where neither is
// answered. What is still to be written back counts as written. kNotFound.
core::Result<std::optional<std::uint64_t>> UnwrittenBytesOf(
    const std::string& path);
// The same by SEEK_HOLE alone. Reserved space counts as written there once it
// was read into the page cache.
core::Result<std::optional<std::uint64_t>> UnwrittenBytesBySeek(
    const std::string& path);

}  // namespace stoker::storage::internal
