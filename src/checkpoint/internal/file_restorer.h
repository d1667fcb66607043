#pragma once

// Reads one checkpoint file back, in the requests of a style, and has it looked
// at.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/internal/chunk_reader.h"
#include "checkpoint/internal/shard_check.h"
#include "checkpoint/manifest.h"
#include "checkpoint/model.h"
#include "checkpoint/restore.h"
#include "core/status.h"
#include "metrics/checkpoint_record.h"
#include "storage/backend.h"

namespace stoker::checkpoint::internal {

// The file's row in the manifest; null without.
const ManifestFile* FindFile(const FoundCheckpoint& found,
                             std::string_view name);

// Bytes that this process has made the block layer read; nothing where the
// kernel does not tell (/proc/self/io).
std::optional<std::uint64_t> DeviceBytesRead();

// Of all these files, in this host's page cache; nothing where the back end
// cannot tell.
std::optional<std::uint64_t> CachedBytes(storage::Backend& backend,
                                         std::string_view folder,
                                         const std::vector<ShardFile>& files);

// Nothing is owned. Used by one thread.
class FileRestorer {
 public:
  FileRestorer(const ShardContext& context, const RestoreOptions& options,
               const FoundCheckpoint& found, ChunkReader& reader,
               metrics::CheckpointOp& op)
      : context_(context),
        options_(options),
        found_(found),
        reader_(reader),
        op_(op) {}

  // Adds to the op. A file whose sum is wrong is read again and compared, so
  // that the error names the first wrong byte.
  core::Status Restore(const std::string& object, const ShardFile& file);

 private:
  core::Result<CheckPlan> PlanOf(const ShardFile& file,
                                 std::uint64_t file_bytes);
  core::Status Look(const std::string& object, const ShardFile& file,
                    CheckPlan plan);
  core::Status PlanForeign(const ShardFile& file, CheckPlan& plan);
  core::Status InOrderOfReference(const std::string& object,
                                  const ShardFile& file,
                                  std::uint64_t file_bytes, ChunkSink& sink);

  const ShardContext& context_;
  const RestoreOptions& options_;
  const FoundCheckpoint& found_;
  ChunkReader& reader_;
  metrics::CheckpointOp& op_;
};

}  // namespace stoker::checkpoint::internal
