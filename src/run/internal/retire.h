#pragma once

// Checkpoints that are not kept.

#include <string>

#include "core/status.h"
#include "run/phases.h"
#include "storage/backend.h"

namespace stoker::run::internal {

// Collective: rank 0 deletes what the checkpoint's manifest names, and each
// host lets go of what only its cache has. Errors are agreed upon.
core::Status RetireCheckpoint(const RankContext& context,
                              storage::Backend& backend,
                              const std::string& folder);

}  // namespace stoker::run::internal
