#pragma once

// Restoring a checkpoint: each rank reads its files back and looks at what
// arrived.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/model.h"
#include "checkpoint/save.h"
#include "comm/communicator.h"
#include "core/status.h"
#include "metrics/checkpoint_record.h"

namespace stoker::checkpoint {

enum class Verify : std::uint8_t {
  kNone,    // sizes and structure only
  kSample,  // the ends of each tensor, and a 64 KiB block of each 4 MiB
  kFull     // every byte
};
// "none", "sample", "full"; kInvalidArgument names them.
core::Result<Verify> ParseVerify(std::string_view name);
std::string_view NameOf(Verify verify);

struct RestoreOptions {
  Verify verify = Verify::kNone;
  bool rank_sync = false;
  // Rank r restores the files of rank (r + shift) mod ranks: 0, or the ranks
  // of a host.
  std::uint32_t rank_shift = 0;
  // Step folders without manifest, written by others, are taken as they are:
  // sizes are held against the model, tensors against the archive's CRC-32.
  bool foreign = false;
};

// What a step folder was found to be, before anything is timed.
struct FoundCheckpoint {
  std::uint64_t step = 0;
  bool has_manifest = false;
  Manifest manifest;  // without: only epoch and step
};

// Collective. Looks for steps 1 … `count` of `epoch` (rank 0 asks, all learn)
// and holds them against what this run would restore. kNotFound: a step folder
// or its manifest is missing; kInvalidArgument: another model or layout;
// kCorruption: a file is missing or has another size.
core::Result<std::vector<FoundCheckpoint>> FindCheckpoints(
    comm::Communicator& comm, const ShardContext& context,
    const ModelSpec& spec, const Layout& layout, std::uint64_t epoch,
    std::uint64_t count, bool foreign);

class Restorer {
 public:
  Restorer(comm::Communicator& comm, const ShardContext& context,
           const RestoreOptions& options, const ModelSpec& spec,
           const Layout& layout);

  // Collective: the ranks meet, each reads its files (timed), all agree on the
  // first error. kCorruption names file, offset and expectation.
  core::Result<metrics::CheckpointOp> Restore(const FoundCheckpoint& found);

  const std::vector<ShardFile>& files() const { return files_; }

 private:
  comm::Communicator& comm_;
  ShardContext context_;
  RestoreOptions options_;
  std::vector<ShardFile> files_;  // of the rank restored
};

// One rank's part. Sets all times of the op but `end`. Not collective.
core::Result<metrics::CheckpointOp> RestoreShard(
    const ShardContext& context, const RestoreOptions& options,
    const FoundCheckpoint& found, const std::vector<ShardFile>& files);

}  // namespace stoker::checkpoint
