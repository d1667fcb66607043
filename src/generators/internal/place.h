#pragma once

// What rank 0 finds out before a dataset is written.

#include <cstdint>

#include "core/clock.h"
#include "core/status.h"
#include "dataset/manifest.h"
#include "generators/internal/bits.h"
#include "generators/plan.h"
#include "storage/backend.h"

namespace stoker::generators::internal {

// What remains to be done, in this order.
struct Todo {
  // Names that are there hold no content of this plan: remove them.
  bool clear = false;
  // Not all data files are there: announce, write, link.
  bool data = true;
  bool index = false;  // the same of the record index
  // Files that are whole already, by generation index.
  Bits kept;
  Bits kept_index;
};

// The outcome of looking, for rank 0 alone.
struct Prepared {
  dataset::Manifest wanted;
  Todo todo;
  bool replaces_manifest = false;  // of a dataset that is not whole any more
  bool removes_partial = false;    // left beside a manifest
};

// Checks the plan, the back end's limits, what lies in the place and the free
// space. Changes nothing there. `plan.content.ranks` is settled here. Errors as
// Generate.
core::Result<Prepared> LookAtPlace(storage::Backend& backend,
                                   GeneratePlan& plan, std::uint64_t processes,
                                   core::Clock& clock);

// Says in the place that this dataset is in the making: folders, the marker,
// no manifest. Rank 0, before the first file is written.
core::Status Announce(storage::Backend& backend, const Prepared& prepared,
                      core::Clock& clock);

// The manifest, then no marker. Rank 0, after the last file.
core::Status Conclude(storage::Backend& backend, const Prepared& prepared,
                      core::Clock& clock);

}  // namespace stoker::generators::internal
