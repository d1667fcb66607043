#pragma once

// Removing a dataset, and nothing else.

#include <cstdint>

#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"
#include "dataset/manifest.h"
#include "generators/progress.h"
#include "storage/backend.h"

namespace stoker::generators {

// Of all ranks, at rank 0; elsewhere the rank's own.
struct DeleteResult {
  std::uint64_t names = 0;    // data files that were there
  std::uint64_t others = 0;   // sidecars and record indexes that were there
  std::uint64_t foreign = 0;  // objects in the folders that stay; at rank 0
  // What killed writers had left unfinished; at rank 0.
  storage::Unfinished swept;
  core::Nanos elapsed{};
  dataset::Manifest manifest;  // on every rank
};

// Collective. What the manifest, or the marker of an unfinished dataset, names
// is removed: data files, sidecars, record indexes, what killed writers left
// unfinished, then folders that are empty. The manifest becomes a marker first
// and that goes last, so that what an interrupted deletion leaves does not look
// whole and can be deleted again. kIoError: files of the dataset are there
// again; the marker stays. kNotFound: neither is there. kInvalidArgument: the
// back end keeps no data. kCorruption: the manifest is damaged. kCancelled.
core::Result<DeleteResult> Delete(comm::Communicator& comm,
                                  storage::Backend& backend, core::Clock& clock,
                                  const core::CancelFlag& cancel,
                                  const OnProgress& progress);

}  // namespace stoker::generators
