#pragma once

// Producing a dataset: all ranks write, the manifest comes last.

#include <cstdint>

#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"
#include "generators/plan.h"
#include "generators/progress.h"
#include "storage/backend.h"

namespace stoker::generators {

struct GenerateResult {
  std::uint64_t files = 0;  // names of data files made by this rank
  std::uint64_t bytes = 0;  // written by this rank: sidecars, indexes included
  std::uint64_t kept = 0;  // names that were whole already; the same everywhere
  bool reused = false;     // the whole dataset was there; the same everywhere
  // At rank 0: objects of these names that nothing vouched for, removed because
  // the plan allows that.
  std::uint64_t replaced = 0;
  std::uint64_t streams = 0;  // ContentMode::ranks; the same everywhere
  storage::Unfinished swept;  // what killed writers had left; at rank 0
  core::Nanos elapsed{};      // the whole call
  // From when all ranks may write until the last file of the last rank is
  // committed: links and manifest are not in it.
  core::Nanos writing{};
  core::Nanos busy_storage{};  // inside the back end
  // Of all ranks, at rank 0; elsewhere the rank's own.
  std::uint64_t all_files = 0;
  std::uint64_t all_bytes = 0;
};

// Collective. What killed writers left unfinished is removed. Rank 0 looks at
// the place: free space for what will be written, foreign files in the way,
// files of another count, an existing dataset (same hash and all files whole:
// nothing to do, `reused`), link limit against distinct. Before the first file
// it writes the marker kPartialName, whose hash is that of the manifest to
// come. Where an interrupted generation of the very same hash left one, files
// of the right size are `kept`; names of this dataset without marker and
// manifest hold who knows what: they are refused, or with `replace` removed
// first. Then the ranks share the distinct contents so that bytes are even
// (mode dlio: the files of streams r, r + R, …, in order); links follow once
// all are written; rank 0 replaces the marker by the manifest once all links
// are made. Errors are agreed upon after each of these phases; then there is no
// manifest, and nothing half-written has a final name. If a rank cannot be
// reached the others return without it, and the caller aborts the communicator.
//
// kInvalidArgument: the plan cannot work here (the message has the remedy).
// kUnsupported: links on a back end without, content the format cannot have.
// kIoError with ENOSPC: too little space. kCorruption: the manifest in the
// place is damaged. kCancelled.
core::Result<GenerateResult> Generate(comm::Communicator& comm,
                                      storage::Backend& backend,
                                      const GeneratePlan& plan,
                                      core::Clock& clock,
                                      const core::CancelFlag& cancel,
                                      const OnProgress& progress);

}  // namespace stoker::generators
