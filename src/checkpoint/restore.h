#pragma once

// Restoring a checkpoint: each rank reads its files back and looks at what
// arrived.

#include <cstdint>
#include <memory>
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

namespace internal {
class ChunkReader;
}

enum class Verify : std::uint8_t {
  kNone,    // sizes and structure only
  kSample,  // the ends of each tensor, and a 64 KiB block of each 4 MiB
  kFull     // every byte, by the file's CRC-32
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
  // Of files that no manifest describes: in a store without data.
  FileFormat format = FileFormat::kTorchZip;
};

// What a step folder was found to be, before anything is timed.
struct FoundCheckpoint {
  std::uint64_t step = 0;
  bool has_manifest = false;
  Manifest manifest;  // without: only epoch and step
};

struct FindRequest {
  std::uint64_t epoch = 1;
  std::uint64_t first_step = 1;
  std::uint64_t count = 0;  // of steps one after the other
  std::uint32_t rank_shift = 0;
  // Step folders without manifest, written by others, are taken as they are:
  // sizes are held against the model, tensors against the archive's CRC-32.
  bool foreign = false;
};

// Collective. Looks for the checkpoints (rank 0 reads the manifests, all look
// for their files) and holds them against what this run would restore; a store
// without data has them all. kNotFound: a step folder, its manifest or a file
// is missing; kInvalidArgument: another model or layout; kCorruption: a file
// has another size.
core::Result<std::vector<FoundCheckpoint>> FindCheckpoints(
    comm::Communicator& comm, const ShardContext& context,
    const ModelSpec& spec, const Layout& layout, const FindRequest& request);

class Restorer {
 public:
  Restorer(comm::Communicator& comm, const ShardContext& context,
           const RestoreOptions& options, const ModelSpec& spec,
           const Layout& layout);

  // Collective: the ranks meet, each reads its files (timed), all agree on the
  // first error. kCorruption names file, offset and expectation.
  core::Result<metrics::CheckpointOp> Restore(const FoundCheckpoint& found);

  ~Restorer();

  // Of this rank; known after the first Restore.
  std::uint64_t pool_bytes() const;
  std::string_view engine() const;

 private:
  comm::Communicator& comm_;
  ShardContext context_;
  RestoreOptions options_;
  core::Status MakeReady(const FoundCheckpoint& found);
  core::Result<metrics::CheckpointOp> RestoreShard(const FoundCheckpoint& found,
                                                   const std::string& folder);

  std::vector<ShardFile> files_;  // of the rank restored
  // Its memory is taken once, outside of what is timed.
  std::unique_ptr<internal::ChunkReader> reader_;
  FileFormat format_ = FileFormat::kTorchZip;  // that reader_ is made for
};

}  // namespace stoker::checkpoint
