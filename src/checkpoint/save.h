#pragma once

// Saving a checkpoint: each rank its files, rank 0 the manifest.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "checkpoint/archive.h"
#include "checkpoint/content.h"
#include "checkpoint/manifest.h"
#include "checkpoint/model.h"
#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"
#include "metrics/checkpoint_record.h"
#include "storage/backend.h"

namespace stoker::checkpoint {

enum class IoStyle : std::uint8_t {
  kLean,      // large aligned requests, several under way
  kReference  // the reference's sizes, one after the other
};

// What saving and restoring have in common; nothing is owned.
struct ShardContext {
  storage::Backend* backend = nullptr;  // holds the step folders
  core::Clock* clock = nullptr;
  const core::CancelFlag* cancel = nullptr;  // may be null
  IoStyle style = IoStyle::kLean;
  std::uint64_t pool_bytes = 256ULL << 20;  // memory for requests, at most
  core::Nanos io_timeout = std::chrono::seconds(60);  // of a read
  // Told the bytes of this rank's files that are done, after each request; may
  // be empty. Must be quick.
  std::function<void(std::uint64_t bytes)> progress{};
};

struct SaveOptions {
  FileFormat format = FileFormat::kTorchZip;
  bool fsync = false;      // each file before its end, then its folder
  bool in_place = false;   // under the final names, as the reference
  bool rank_sync = false;  // the ranks meet before a save's end
  bool random = true;      // ContentKey::random
};

// The same on every rank.
struct SaveIdentity {
  std::string tool;   // "stoker 0.1.0"
  std::string model;  // "llama3-8b"
  ModelSpec spec{};
  Layout layout{};
  std::uint64_t save_id = 0;  // drawn by rank 0 once a run
};

// Collective. The same id on every rank: drawn by rank 0 from the wall clock
// and its process, so that no two runs write the same bytes.
core::Result<std::uint64_t> DrawSaveId(comm::Communicator& comm);

// Saves checkpoints; used by one thread of each rank.
class Saver {
 public:
  Saver(comm::Communicator& comm, const ShardContext& context,
        const SaveOptions& options, SaveIdentity identity);

  // Collective. The manifest that is there makes way for a partial one, so that
  // what is being overwritten is not taken for whole; the ranks meet; each
  // writes its files (timed); once all are there rank 0 writes the manifest.
  // The ranks agree on the first error; no manifest then.
  core::Result<metrics::CheckpointOp> Save(std::uint64_t epoch,
                                           std::uint64_t step);

  // Of this rank: what its files take on storage, and the memory that requests
  // take while it writes them.
  std::uint64_t stored_bytes() const;
  std::uint64_t pool_bytes() const;

 private:
  Manifest ManifestOf(std::uint64_t epoch, std::uint64_t step) const;
  core::Status Announce(const Manifest& manifest, const std::string& folder);
  core::Status Publish(Manifest& manifest, const std::string& folder,
                       const std::vector<ManifestFile>& mine);

  comm::Communicator& comm_;
  ShardContext context_;
  SaveOptions options_;
  SaveIdentity identity_;
  std::vector<ShardFile> files_;
};

// One rank's part of a save: its files, front to back, and their sums for the
// manifest. Sets all times of the op but `end`. Not collective.
struct SavedShard {
  metrics::CheckpointOp op;
  std::vector<ManifestFile> files;
};
core::Result<SavedShard> SaveShard(const ShardContext& context,
                                   const SaveOptions& options,
                                   std::string_view folder,
                                   const std::vector<ShardFile>& files,
                                   const ContentKey& key);

}  // namespace stoker::checkpoint
