#pragma once

// Making and removing a cache's folder, on any disk.

#include <cstdint>
#include <string>

#include "cache/directory.h"
#include "cache/internal/disk.h"
#include "core/status.h"

namespace stoker::cache::internal {

// Small enough for every file system, few enough to keep open.
inline constexpr std::uint64_t kMostSlotFileBytes = 64ULL << 30;

// As Directory::Format. A slot file has at most `most_slot_file_bytes`, but
// room for one slot.
core::Status FormatOn(Disk& disk, const std::string& path,
                      const FormatOptions& options,
                      std::uint64_t most_slot_file_bytes = kMostSlotFileBytes);

// As Directory::Remove.
core::Status RemoveOn(Disk& disk, const std::string& path);

}  // namespace stoker::cache::internal
