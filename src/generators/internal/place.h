#pragma once

// What rank 0 finds out, and puts in order, before a dataset is written.

#include "core/clock.h"
#include "core/status.h"
#include "dataset/manifest.h"
#include "dataset/shape.h"
#include "generators/generate.h"
#include "storage/backend.h"

namespace stoker::generators::internal {

// What remains to be written.
struct Todo {
  bool data = true;
  bool index = false;
};

// Checks the plan, the back end's limits, what lies in the place and the free
// space; then makes the folders and removes a manifest whose files are not all
// there. Errors as Generate. `wanted` is ManifestOf(plan, shapes).
core::Result<Todo> PreparePlace(storage::Backend& backend,
                                const GeneratePlan& plan,
                                const dataset::Shapes& shapes,
                                const dataset::Manifest& wanted,
                                core::Clock& clock);

}  // namespace stoker::generators::internal
