#pragma once

// The disk of the machine.

#include "cache/internal/disk.h"

namespace stoker::cache::internal {

// Has no state of its own. Files are made for their owner alone (mode 0600,
// folders 0700): a cache holds copies of what others may not be meant to read.
Disk& PosixDisk();

}  // namespace stoker::cache::internal
