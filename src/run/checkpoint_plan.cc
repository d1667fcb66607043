#include "run/checkpoint_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

namespace stoker::run {

namespace {

using config::CheckpointConfig;
using config::ModelConfig;
using core::Code;
using core::Status;

std::uint64_t Unsigned(std::int64_t value) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0));
}

// Elements of a legacy tensor.
core::Result<std::vector<std::uint64_t>> Elements(
    std::string_view key, const std::vector<std::int64_t>& values) {
  std::vector<std::uint64_t> elements;
  for (const std::int64_t value : values) {
    if (value < 0) {
      return Status(Code::kInvalidArgument,
                    fmt::format("{}: {} is no number of elements; remedy: 0 "
                                "and above",
                                key, value));
    }
    elements.push_back(static_cast<std::uint64_t>(value));
  }
  return elements;
}

core::Result<checkpoint::ModelSpec> ModelSpecOf(const ModelConfig& model) {
  const ModelConfig::Transformer& shape = model.transformer;
  checkpoint::ModelSpec spec;
  spec.type = model.type;
  spec.model_size_bytes = Unsigned(model.model_size_bytes);
  spec.layers = model.num_layers;
  spec.hidden = Unsigned(shape.hidden_size);
  spec.ffn_hidden = Unsigned(shape.ffn_hidden_size);
  spec.attention_heads = Unsigned(shape.num_attention_heads);
  spec.kv_heads = Unsigned(shape.num_kv_heads);
  spec.vocabulary = Unsigned(shape.vocab_size);
  STOKER_ASSIGN(spec.layer_parameters,
                Elements("model.layer_parameters", model.layer_parameters));
  STOKER_ASSIGN(spec.optimization_groups, Elements("model.optimization_groups",
                                                   model.optimization_groups));
  STOKER_ASSIGN(spec.model_type,
                checkpoint::ParseDataType(model.model_datatype));
  STOKER_ASSIGN(spec.optimizer_type,
                checkpoint::ParseDataType(model.optimizer_datatype));
  return spec;
}

// The copies that the formulas divide by: as configured for a subset, else as
// many as there are ranks for.
checkpoint::Layout LayoutOf(const ModelConfig& model, bool subset,
                            std::uint32_t ranks) {
  checkpoint::Layout layout{
      .ranks = ranks,
      .tensor = static_cast<std::uint32_t>(model.parallelism.tensor),
      .pipeline = static_cast<std::uint32_t>(model.parallelism.pipeline),
      .zero_stage = static_cast<std::uint32_t>(model.parallelism.zero_stage)};
  layout.data = subset ? static_cast<std::uint32_t>(
                             std::max<std::int64_t>(model.parallelism.data, 1))
                       : std::max(ranks / layout.model_ranks(), 1U);
  return layout;
}

Status SetCounts(const CheckpointConfig& keys, CheckpointPlan& plan) {
  plan.saves = Unsigned(keys.num_checkpoints_write);
  plan.restores = Unsigned(keys.num_checkpoints_read);
  if (plan.saves + plan.restores == 0) {
    return {Code::kInvalidArgument,
            "checkpoint.num_checkpoints_write and num_checkpoints_read: "
            "neither is above 0, so nothing would be done; remedy: "
            "--num-checkpoints-write N, --num-checkpoints-read N, or both"};
  }
  return {};
}

// The reference sleeps for the absolute value, so that its default of -1 is a
// second.
void SetPause(const config::LoadedConfig& config, CheckpointPlan& plan) {
  const double seconds = config.workload.checkpoint.time_between_checkpoints;
  plan.seconds_between_checkpoints =
      config.compat.v2_0 ? std::abs(seconds) : std::max(seconds, 0.0);
}

// In the reference both keys are read into a name that nothing looks at.
void SetDeadKeys(const config::LoadedConfig& config, CheckpointPlan& plan) {
  const CheckpointConfig& keys = config.workload.checkpoint;
  const auto effective = [&](bool wanted, std::string_view key) {
    if (wanted && config.compat.v2_0) {
      plan.warnings.push_back(fmt::format(
          "{}: without effect under --compat v2.0, as in DLIO v2.0 (Q19)",
          key));
    }
    return wanted && !config.compat.v2_0;
  };
  plan.fsync = effective(keys.fsync, "checkpoint.fsync");
  plan.rank_shift =
      effective(keys.recovery_rank_shift, "checkpoint.recovery_rank_shift");
}

struct RankSizes {
  checkpoint::CheckpointBytes bytes;
  std::uint64_t stored = 0;

  bool operator==(const RankSizes& other) const {
    return bytes.model == other.bytes.model &&
           bytes.optimizer == other.bytes.optimizer &&
           bytes.files == other.bytes.files && stored == other.stored;
  }
};

RankSizes SizesOf(const CheckpointPlan& plan, std::uint32_t rank) {
  RankSizes sizes{.bytes = checkpoint::BytesOfRanks(plan.model, plan.layout,
                                                    rank, rank + 1)};
  for (const checkpoint::ShardFile& file :
       checkpoint::FilesOf(plan.model, plan.layout, rank)) {
    sizes.stored += checkpoint::FileLayout(file, plan.format).file_bytes();
  }
  return sizes;
}

void SetSizes(CheckpointPlan& plan) {
  // Only the stage, and whether it is that of the first copy, make a
  // difference: ranks by the thousand share few sizes.
  std::map<std::pair<std::uint32_t, bool>, RankSizes> known;
  for (std::uint32_t rank = 0; rank < plan.layout.ranks; ++rank) {
    const checkpoint::Coordinates at =
        checkpoint::CoordinatesOf(plan.layout, rank);
    const std::pair key(at.pipeline, at.data == 0);
    auto found = known.find(key);
    if (found == known.end()) {
      found = known.emplace(key, SizesOf(plan, rank)).first;
    }
    const RankSizes& sizes = found->second;
    plan.bytes.model += sizes.bytes.model;
    plan.bytes.optimizer += sizes.bytes.optimizer;
    plan.bytes.files += sizes.bytes.files;
    plan.stored_bytes += sizes.stored;
    const bool as_before =
        !plan.classes.empty() &&
        RankSizes{.bytes = plan.classes.back().bytes,
                  .stored = plan.classes.back().stored_bytes} == sizes;
    if (as_before) {
      plan.classes.back().last = rank;
    } else {
      plan.classes.push_back({.first = rank,
                              .last = rank,
                              .bytes = sizes.bytes,
                              .stored_bytes = sizes.stored});
    }
  }
  plan.parameters = checkpoint::ParametersOf(plan.model);
  plan.reported_bytes = checkpoint::ReportedBytes(plan.model, plan.layout);
}

}  // namespace

core::Result<CheckpointPlan> MakeCheckpointPlan(
    const config::LoadedConfig& config, std::uint32_t ranks) {
  const config::WorkloadConfig& workload = config.workload;
  const CheckpointConfig& keys = workload.checkpoint;
  CheckpointPlan plan;
  STOKER_ASSIGN(plan.model, ModelSpecOf(workload.model));
  plan.subset = keys.mode == "subset";
  plan.layout = LayoutOf(workload.model, plan.subset, ranks);
  STOKER_TRY(checkpoint::CheckLayout(plan.model, plan.layout, plan.subset));
  STOKER_ASSIGN(plan.format, checkpoint::ParseFileFormat(keys.format));
  STOKER_ASSIGN(plan.verify, checkpoint::ParseVerify(keys.verify));
  STOKER_TRY(SetCounts(keys, plan));
  plan.rank_sync = keys.rank_sync;
  plan.random = keys.randomize_tensor;
  SetPause(config, plan);
  SetDeadKeys(config, plan);
  if (workload.framework != config::Framework::kPytorch) {
    plan.warnings.emplace_back(
        "framework: checkpoints are those of pytorch, whatever the framework");
  }
  SetSizes(plan);
  if (plan.bytes.total() == 0) {
    return Status(Code::kInvalidArgument,
                  "a checkpoint of this model is empty; remedy: "
                  "model.type=transformer with model.num_layers, or "
                  "model.model_size_bytes");
  }
  return plan;
}

std::vector<std::uint64_t> BytesPerHost(
    const CheckpointPlan& plan,
    const std::vector<std::uint32_t>& ranks_of_host) {
  std::vector<std::uint64_t> bytes;
  std::uint64_t first = 0;
  for (const std::uint32_t ranks : ranks_of_host) {
    const std::uint64_t end = first + ranks;
    std::uint64_t sum = 0;
    for (const RankClass& group : plan.classes) {
      const std::uint64_t from = std::max<std::uint64_t>(first, group.first);
      const std::uint64_t to =
          std::min<std::uint64_t>(end, std::uint64_t{group.last} + 1);
      if (from < to) {
        sum += (to - from) * group.bytes.total();
      }
    }
    bytes.push_back(sum);
    first = end;
  }
  return bytes;
}

}  // namespace stoker::run
