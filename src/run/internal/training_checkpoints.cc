#include "run/internal/training_checkpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/units.h"
#include "run/internal/open_storage.h"
#include "run/internal/origin.h"
#include "run/place.h"
#include "storage/registry.h"

namespace stoker::run::internal {

namespace {

using core::Code;
using core::Status;

bool EveryRankSaves(const config::LoadedConfig& config) {
  return config.workload.checkpoint.type == "all_ranks" &&
         config.workload.model.type != "transformer" && !config.compat.v2_0;
}

// The reference's unet3d has its size under a name that is not read (quirk Q2).
bool IsReferencesUnet3d(const config::LoadedConfig& config) {
  return config.compat.v2_0 && config.workload.model.name == "unet3d" &&
         !IsOverridden(config, "model.model_size_bytes");
}

// Bytes of checkpoints that lie in `backend`.
core::Result<std::uint64_t> BytesThere(storage::Backend& backend) {
  std::uint64_t bytes = 0;
  const Status listed =
      backend.List("global_epoch", [&bytes](const storage::ObjectInfo& info) {
        bytes += info.size;
        return true;
      });
  if (!listed.ok() && listed.code() != Code::kNotFound) {
    return listed;
  }
  return bytes;
}

}  // namespace

core::Result<CheckpointPlan> PlanTrainingCheckpoints(
    const config::LoadedConfig& config, std::uint32_t ranks,
    std::uint64_t saves) {
  config::LoadedConfig training = config;
  config::CheckpointConfig& keys = training.workload.checkpoint;
  keys.num_checkpoints_write = static_cast<std::int64_t>(saves);
  keys.num_checkpoints_read = 0;
  if (IsReferencesUnet3d(config)) {
    training.workload.model.model_size_bytes =
        config::ModelConfig{}.model_size_bytes;
  }
  const bool all_ranks = EveryRankSaves(config);
  std::int64_t& stage = training.workload.model.parallelism.zero_stage;
  if (all_ranks && stage == 0) {
    stage = 1;
  }
  STOKER_ASSIGN(CheckpointPlan plan, MakeCheckpointPlan(training, ranks));
  if (keys.type == "all_ranks" && !all_ranks) {
    plan.warnings.push_back(fmt::format(
        "checkpoint.type=all_ranks: without effect {}",
        config.compat.v2_0
            ? "under --compat v2.0, as in the reference (Q32)"
            : "on a transformer, whose sharding says which ranks write"));
  }
  return plan;
}

Status CheckCheckpointRoom(storage::Backend& backend, std::uint64_t saves,
                           std::uint64_t bytes) {
  STOKER_ASSIGN(const std::uint64_t free, backend.FreeBytes());
  if (bytes == 0 || free == UINT64_MAX || saves <= free / bytes) {
    return {};
  }
  STOKER_ASSIGN(const std::uint64_t there, BytesThere(backend));
  if (saves <= (free + there) / bytes) {
    return {};
  }
  return {Code::kIoError,
          fmt::format("save checkpoints to {}: {} of {} each are to be made, "
                      "{} are free; remedy: make room there, another "
                      "checkpoint.checkpoint_folder, or fewer checkpoints",
                      backend.uri(), saves,
                      core::FormatBytes(static_cast<double>(bytes)),
                      core::FormatBytes(static_cast<double>(free))),
          ENOSPC};
}

core::Result<std::unique_ptr<TrainingCheckpoints>> TrainingCheckpoints::Make(
    const RankContext& context, const TrainRequest& request,
    const RunPlan& plan) {
  std::unique_ptr<TrainingCheckpoints> made(new TrainingCheckpoints());
  STOKER_TRY(comm::Agree(*context.comm, made->Open(context, request, plan)));
  STOKER_TRY(made->MakeSaver(context, request));
  return made;
}

Status TrainingCheckpoints::Open(const RankContext& context,
                                 const TrainRequest& request,
                                 const RunPlan& plan) {
  const config::LoadedConfig& config = *request.config;
  const std::string& folder = config.workload.checkpoint.checkpoint_folder;
  const auto ranks = static_cast<std::uint32_t>(context.comm->size());
  STOKER_TRY(CheckStorage(folder, context.comm->size())
                 .WithContext("checkpoint.checkpoint_folder"));
  STOKER_ASSIGN(plan_, PlanTrainingCheckpoints(config, ranks, plan.saves));
  STOKER_ASSIGN(backend_, OpenStorage(context, folder, request.io_timeout));
  // Now, not hours later, is told that nothing can be made there.
  STOKER_TRY(
      backend_->EnsureFolder("").WithContext("checkpoint.checkpoint_folder"));
  const bool all_ranks = EveryRankSaves(config);
  // The reference counts one copy, as it makes no more.
  facts_ = {.count = plan.saves,
            .bytes = all_ranks ? plan_.bytes.total() : plan_.reported_bytes,
            .files = plan_.bytes.files,
            .stored_bytes = plan_.stored_bytes,
            .storage_uri = backend_->uri(),
            .format = std::string(checkpoint::NameOf(plan_.format)),
            .fsync = plan_.fsync,
            .all_ranks = all_ranks};
  return Leads(context)
             ? CheckCheckpointRoom(*backend_, plan.saves, plan_.stored_bytes)
             : Status();
}

Status TrainingCheckpoints::MakeSaver(const RankContext& context,
                                      const TrainRequest& request) {
  const bool compat = request.config->compat.v2_0;
  STOKER_ASSIGN(const std::uint64_t save_id,
                checkpoint::DrawSaveId(*context.comm));
  shard_ = {.backend = backend_.get(),
            .clock = context.clock,
            .cancel = context.cancel,
            .style = compat ? checkpoint::IoStyle::kReference
                            : checkpoint::IoStyle::kLean,
            .io_timeout = request.io_timeout};
  saver_ = std::make_unique<checkpoint::Saver>(
      *context.comm, shard_,
      checkpoint::SaveOptions{.format = plan_.format,
                              .fsync = plan_.fsync,
                              .in_place = compat,
                              .rank_sync = plan_.rank_sync,
                              .random = plan_.random},
      checkpoint::SaveIdentity{.tool = request.tool,
                               .model = request.model,
                               .spec = plan_.model,
                               .layout = plan_.layout,
                               .save_id = save_id});
  return {};
}

core::Result<metrics::CheckpointOp> TrainingCheckpoints::Save(
    std::uint32_t epoch, std::uint64_t step) {
  return saver_->Save(epoch, step);
}

std::uint64_t TrainingCheckpoints::memory_bytes() const {
  return std::min(shard_.pool_bytes, saver_->stored_bytes());
}

}  // namespace stoker::run::internal
