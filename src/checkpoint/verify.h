#pragma once

// Looking after checkpoints outside of a run: what there is, whether it is
// whole, and removing it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/save.h"
#include "core/status.h"
#include "storage/backend.h"

namespace stoker::checkpoint {

// Whether `name` is one of StepFolder.
bool IsStepFolder(std::string_view name);

// The step folders of a place that have a manifest or a partial one, by epoch
// and step; {""} where the place is a step folder itself.
core::Result<std::vector<std::string>> FindStepFolders(
    storage::Backend& backend);

struct VerifiedCheckpoint {
  bool whole = false;
  std::string description;  // of the manifest
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;               // read
  std::vector<std::string> problems{};   // what is not as saved, a line each
  std::vector<std::string> strangers{};  // objects it does not name
};

// Reads every file of the checkpoint in `folder` and holds its CRC-32 against
// the manifest's; where that is wrong the first wrong byte is looked for. An
// error means that it could not be found out.
core::Result<VerifiedCheckpoint> VerifyCheckpoint(const ShardContext& context,
                                                  const std::string& folder);

struct DeletedCheckpoint {
  std::uint64_t files = 0;
  std::uint64_t strangers = 0;  // objects it did not name; they stay
  storage::Unfinished swept;    // what killed writers left of it
};

// Removes what the manifest (or the partial one) names, and the folder if it is
// empty then. Interrupted at any point it may be called again, and no state in
// between looks whole. kNotFound: neither is there.
core::Result<DeletedCheckpoint> DeleteCheckpoint(storage::Backend& backend,
                                                 const std::string& folder,
                                                 core::Clock& clock);

}  // namespace stoker::checkpoint
