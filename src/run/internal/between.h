#pragma once

// What is done on every host between saving and restoring, or before an epoch,
// so that what follows reads storage and not memory.

#include <string>

#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"

namespace stoker::run::internal {

struct DropCachesOptions {
  core::Nanos limit{};   // what it may take, on the real clock
  std::string remedy{};  // where this process may not do it: "run as root, …"
  std::string control = "/proc/sys/vm/drop_caches";
};

// Whether DropCaches may be asked for; nothing is dropped. kPermission or
// another error of opening the control file, with the remedy.
core::Status CheckDropCaches(const DropCachesOptions& options);

// Writes back what is dirty and has the kernel drop all clean pages, dentries
// and inodes of this host. Asks nobody for a password. Errors as
// CheckDropCaches; kTimedOut after `limit`, kCancelled once `cancel` is set:
// the kernel may then still be at it.
core::Status DropCaches(const DropCachesOptions& options,
                        const core::CancelFlag& cancel);

// Runs `command` with /bin/sh, its output where ours goes, and waits for it. A
// command still running when `cancel` is set is killed with its children:
// kCancelled. kIoError: it ended badly, or could not be started.
core::Status RunShellCommand(const std::string& command, core::Clock& clock,
                             const core::CancelFlag& cancel);

}  // namespace stoker::run::internal
