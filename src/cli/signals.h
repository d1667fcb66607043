#pragma once

// Ctrl-C, SIGTERM and a lost terminal as a request to stop.

#include "core/cancel.h"

namespace stoker::cli {

// From now on SIGINT, SIGTERM and SIGHUP set `flag`, which must stay alive. A
// second SIGINT, or `grace_seconds` after the first signal, ends the process at
// once with status 130: storage that hangs must not keep it.
void CancelOnSignals(core::CancelFlag& flag, unsigned grace_seconds);

}  // namespace stoker::cli
