#pragma once

// What is done on every host between saving and restoring, so that a restore
// reads storage and not memory.

#include <string>

#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"

namespace stoker::run::internal {

// Writes back what is dirty and has the kernel drop all clean pages, dentries
// and inodes of this host (/proc/sys/vm/drop_caches). kPermission names the
// remedies.
core::Status DropCaches(
    const std::string& control = "/proc/sys/vm/drop_caches");

// Runs `command` with /bin/sh, its output where ours goes, and waits for it. A
// command still running when `cancel` is set is killed with its children:
// kCancelled. kIoError: it ended badly, or could not be started.
core::Status RunShellCommand(const std::string& command, core::Clock& clock,
                             const core::CancelFlag& cancel);

}  // namespace stoker::run::internal
