#pragma once

// Opening a cache's folder, on any disk.

#include <memory>
#include <string>

#include "cache/directory.h"
#include "cache/internal/disk.h"
#include "core/clock.h"
#include "core/status.h"

namespace stoker::cache::internal {

// As Directory::Open. Disk and clock outlive the result; the clock is for
// waiting in NextEpoch.
core::Result<std::unique_ptr<Directory>> OpenOn(Disk& disk, core::Clock& clock,
                                                const std::string& path);

}  // namespace stoker::cache::internal
