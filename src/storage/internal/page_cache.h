#pragma once

// What the kernel keeps of a file in its page cache.

#include <cstdint>
#include <optional>
#include <string>

#include "core/status.h"

namespace stoker::storage::internal {

// Bytes of the file at `path` that are in the page cache; nothing where the
// kernel does not tell (it tells who may write the file). kNotFound.
core::Result<std::optional<std::uint64_t>> CachedBytesOf(
    const std::string& path);
// The same without cachestat(2), which Linux has since 6.5.
core::Result<std::optional<std::uint64_t>> CachedBytesByMincore(
    const std::string& path);

// Writes back what is dirty and asks the kernel to drop the rest.
core::Status ForgetFile(const std::string& path);

}  // namespace stoker::storage::internal
