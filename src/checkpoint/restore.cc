#include "checkpoint/restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "checkpoint/internal/barrier_timeout.h"
#include "checkpoint/internal/file_restorer.h"
#include "core/cpu_time.h"
#include "core/text.h"

namespace stoker::checkpoint {

namespace {

using core::Code;
using core::Status;

constexpr std::array<std::string_view, 3> kVerifyNames{"none", "sample",
                                                       "full"};

// Rank 0: the manifests as texts, "" where there is none, a NUL between.
core::Result<std::string> ReadManifests(const ShardContext& context,
                                        const FindRequest& request) {
  std::string texts;
  for (std::uint64_t i = 0; i < request.count; ++i) {
    const std::string folder =
        StepFolder(request.epoch, request.first_step + i);
    STOKER_ASSIGN(
        const auto partial,
        ReadManifest(*context.backend, folder, *context.clock, kPartialName));
    STOKER_ASSIGN(const auto manifest,
                  ReadManifest(*context.backend, folder, *context.clock));
    if (!manifest.has_value() && (partial.has_value() || !request.foreign)) {
      return Status(
          Code::kNotFound,
          fmt::format("restore {}/{}: {}; remedy: save it again{}",
                      context.backend->uri(), folder,
                      partial.has_value()
                          ? "its saving was interrupted, it is not whole"
                          : fmt::format("there is no {}, so it is not a whole "
                                        "checkpoint of ours",
                                        kManifestName),
                      partial.has_value()
                          ? ""
                          : ", restore fewer (--num-checkpoints-read), or give "
                            "--foreign if another program wrote it"));
    }
    texts += manifest.has_value() ? ManifestText(*manifest) : std::string();
    texts += '\0';
  }
  return texts;
}

Status CheckShards(const FoundCheckpoint& found, const ModelSpec& spec,
                   const Layout& layout, std::string_view uri) {
  if (!found.has_manifest ||
      SameShards(found.manifest.spec, found.manifest.layout, spec, layout)) {
    return {};
  }
  return {
      Code::kInvalidArgument,
      fmt::format("restore {}/{}: it holds {} ({}); this run wants {}; "
                  "remedy: the model and number of processes it was saved "
                  "with, or another folder",
                  uri, StepFolder(found.manifest.epoch, found.step),
                  found.manifest.model,
                  DescribeShards(found.manifest.spec, found.manifest.layout),
                  DescribeShards(spec, layout))};
}

// This rank's files of one checkpoint are there and as long as they should be.
Status CheckFiles(const ShardContext& context, const FoundCheckpoint& found,
                  std::string_view folder,
                  const std::vector<ShardFile>& files) {
  for (const ShardFile& file : files) {
    const std::string object = ObjectName(folder, file.name);
    const auto size =
        storage::ObjectSize(*context.backend, object, *context.clock);
    STOKER_TRY(size.status().WithContext("restore " + object));
    const ManifestFile* known = internal::FindFile(found, file.name);
    if (found.has_manifest && known == nullptr) {
      return {Code::kCorruption,
              fmt::format("restore {}: its manifest does not name it", object)};
    }
    const std::uint64_t least =
        known != nullptr ? known->bytes : file.payload_bytes();
    if (size.value() < least || (known != nullptr && size.value() != least)) {
      return {Code::kCorruption,
              fmt::format("restore {}: it has {} bytes, {} are expected; "
                          "remedy: save the checkpoint again",
                          object, size.value(), least)};
    }
  }
  return {};
}

std::vector<ShardFile> FilesToRestore(const ModelSpec& spec,
                                      const Layout& layout, int rank,
                                      std::uint32_t shift) {
  return FilesOf(spec, layout,
                 (static_cast<std::uint32_t>(rank) + shift) % layout.ranks);
}

}  // namespace

core::Result<Verify> ParseVerify(std::string_view name) {
  const auto* const found = std::ranges::find(kVerifyNames, name);
  if (found == kVerifyNames.end()) {
    return Status(Code::kInvalidArgument,
                  fmt::format("'{}' is not how a checkpoint is verified; "
                              "allowed are {}",
                              name, core::Join(kVerifyNames, ", ")));
  }
  return static_cast<Verify>(found - kVerifyNames.begin());
}

std::string_view NameOf(Verify verify) {
  return kVerifyNames[static_cast<std::size_t>(verify)];
}

core::Result<std::vector<FoundCheckpoint>> FindCheckpoints(
    comm::Communicator& comm, const ShardContext& context,
    const ModelSpec& spec, const Layout& layout, const FindRequest& request) {
  std::vector<FoundCheckpoint> all(request.count);
  for (std::uint64_t i = 0; i < request.count; ++i) {
    all[i].step = all[i].manifest.step = request.first_step + i;
    all[i].manifest.epoch = request.epoch;
  }
  if (!context.backend->capabilities().stores_data) {
    return all;
  }
  core::Result<std::string> texts = std::string();
  if (comm.rank() == 0) {
    texts = ReadManifests(context, request);
  }
  STOKER_TRY(comm::Agree(comm, texts.status()));
  comm::Bytes message = comm::ToBytes(texts.value());
  STOKER_TRY(comm.Broadcast(message, 0));
  const std::string told = comm::ToText(message);
  const std::vector<std::string_view> lines = core::Split(told, '\0');
  const std::vector<ShardFile> files =
      FilesToRestore(spec, layout, comm.rank(), request.rank_shift);
  Status status;
  for (std::uint64_t i = 0; i < request.count && status.ok(); ++i) {
    FoundCheckpoint& found = all[i];
    const std::string folder = StepFolder(request.epoch, found.step);
    if (!lines[i].empty()) {
      core::Result<Manifest> manifest = ParseManifest(lines[i], folder);
      status = manifest.status();
      if (status.ok()) {
        found.manifest = std::move(manifest).value();
        found.has_manifest = true;
      }
    }
    if (status.ok()) {
      status = CheckShards(found, spec, layout, context.backend->uri());
    }
    if (status.ok()) {
      status = CheckFiles(context, found, folder, files);
    }
  }
  STOKER_TRY(comm::Agree(comm, status));
  return all;
}

Restorer::Restorer(comm::Communicator& comm, const ShardContext& context,
                   const RestoreOptions& options, const ModelSpec& spec,
                   const Layout& layout)
    : comm_(comm),
      context_(context),
      options_(options),
      files_(FilesToRestore(spec, layout, comm.rank(), options.rank_shift)) {}

Restorer::~Restorer() = default;

std::uint64_t Restorer::pool_bytes() const {
  return reader_ == nullptr ? 0 : reader_->pool_bytes();
}

std::string_view Restorer::engine() const {
  return reader_ == nullptr ? "" : reader_->engine();
}

core::Status Restorer::MakeReady(const FoundCheckpoint& found) {
  const FileFormat format =
      found.has_manifest ? found.manifest.format : options_.format;
  if (reader_ != nullptr && format == format_) {
    reader_->StartOver();
    return {};
  }
  STOKER_ASSIGN(reader_, internal::ChunkReader::Make(context_, format));
  format_ = format;
  return {};
}

// This rank's part; sets all times of the op but `end`.
core::Result<metrics::CheckpointOp> Restorer::RestoreShard(
    const FoundCheckpoint& found, const std::string& folder) {
  metrics::CheckpointOp op;
  op.kind = metrics::CheckpointKind::kRestore;
  op.step = found.step;
  const core::Nanos cpu = core::ProcessCpuTime();
  const std::optional<std::uint64_t> device = internal::DeviceBytesRead();
  op.start = op.first_byte = op.last_byte = op.synced = context_.clock->Now();
  internal::FileRestorer restorer(context_, options_, found, *reader_, op);
  core::TimePoint began = op.start;
  for (const ShardFile& file : files_) {
    const std::string object = ObjectName(folder, file.name);
    STOKER_TRY(restorer.Restore(object, file).WithContext("restore"));
    const core::TimePoint done = context_.clock->Now();
    (file.part == ShardFile::Part::kModel ? op.model_part
                                          : op.optimizer_part) += done - began;
    began = done;
  }
  if (reader_->first_done() != core::kNever) {
    op.first_byte = reader_->first_done();
    op.last_byte = op.synced = reader_->last_done();
  }
  op.stalled = reader_->idle();
  op.file_bytes = reader_->bytes();
  op.cpu = core::ProcessCpuTime() - cpu;
  if (device.has_value()) {
    op.device_known = true;
    op.device_bytes = internal::DeviceBytesRead().value_or(*device) - *device;
  }
  return op;
}

core::Result<metrics::CheckpointOp> Restorer::Restore(
    const FoundCheckpoint& found) {
  const std::string folder = StepFolder(found.manifest.epoch, found.step);
  const std::optional<std::uint64_t> cached =
      internal::CachedBytes(*context_.backend, folder, files_);
  STOKER_TRY(comm::Agree(comm_, MakeReady(found)));
  STOKER_TRY(comm_.Barrier(internal::kBarrierTimeout));
  core::Result<metrics::CheckpointOp> restored = RestoreShard(found, folder);
  if (options_.rank_sync) {
    STOKER_TRY(comm_.Barrier(internal::kBarrierTimeout));
  }
  const core::TimePoint end = context_.clock->Now();
  STOKER_TRY(comm::Agree(comm_, restored.status()));
  metrics::CheckpointOp op = restored.value();
  op.end = end;
  op.cached_known = cached.has_value();
  op.cached_bytes = cached.value_or(0);
  return op;
}

}  // namespace stoker::checkpoint
