// The files of each rank and the tensors in them.

#include <fmt/format.h>

#include <utility>

#include "checkpoint/model.h"

namespace stoker::checkpoint {
namespace {

bool SavesModel(const ModelSpec& model) {
  return model.type != "transformer" && model.model_size_bytes > 0;
}

// Element counts of a layer's tensors. Each division is done in turn and
// rounds down, as the reference does.
std::vector<std::uint64_t> LayerElements(const ModelSpec& model,
                                         const Layout& layout,
                                         std::uint64_t id) {
  const std::uint64_t tensor = layout.tensor;
  const std::uint64_t shards = layout.zero_stage == 3 ? layout.data : 1;
  const std::uint64_t hidden = model.hidden;
  const auto layers = static_cast<std::uint64_t>(model.layers);
  if (!model.layer_parameters.empty()) {
    std::vector<std::uint64_t> counts = model.layer_parameters;
    for (std::uint64_t& count : counts) {
      count /= tensor;
    }
    return counts;
  }
  if (id == 0 || id == layers + 1) {
    return {hidden * model.vocabulary / tensor / shards};
  }
  if (id == layers + 2) {
    return {hidden / shards};
  }
  const std::uint64_t heads = hidden / model.attention_heads * model.kv_heads;
  return {hidden / shards,
          hidden * (hidden + 2 * heads) / tensor / shards,
          hidden * hidden / tensor / shards,
          hidden / shards,
          2 * hidden * model.ffn_hidden / tensor / shards,
          hidden * model.ffn_hidden / tensor / shards};
}

// Keys are positions; tensors of no elements are left out.
void AppendTensors(std::vector<TensorSpec>& tensors, const std::string& group,
                   DataType type, const std::vector<std::uint64_t>& counts) {
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) {
      tensors.push_back({.group = group,
                         .key = std::to_string(i),
                         .type = type,
                         .elements = counts[i]});
    }
  }
}

std::vector<TensorSpec> OptimizerTensors(const ModelSpec& model,
                                         const Layout& layout) {
  std::vector<TensorSpec> tensors;
  if (!model.optimization_groups.empty()) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < model.optimization_groups.size(); ++i) {
      const std::uint64_t elements = model.optimization_groups[i];
      if (elements == 0) {
        continue;
      }
      sum += elements;
      for (const char* key : {"a", "b"}) {
        tensors.push_back({.group = std::to_string(i),
                           .key = key,
                           .type = DataType::kInt8,
                           .elements = elements});
      }
    }
    if (sum > 0) {
      tensors.push_back({.group = "",
                         .key = "combined",
                         .type = DataType::kInt8,
                         .elements = sum});
    }
    return tensors;
  }
  const std::uint64_t ranks =
      std::uint64_t{layout.model_ranks()} *
      (layout.zero_stage > 0 ? layout.data : std::uint32_t{1});
  const std::uint64_t share = ParametersOf(model) / ranks;
  if (share > 0) {
    const std::uint64_t norms = 5 * model.hidden;
    AppendTensors(tensors, "", model.optimizer_type,
                  {share, norms, share, norms, share, norms});
  }
  return tensors;
}

void AppendLayerFiles(std::vector<ShardFile>& files, const ModelSpec& model,
                      const Layout& layout, const Coordinates& at) {
  const DataType type =
      model.layer_parameters.empty() ? model.model_type : DataType::kInt8;
  const bool sharded = layout.zero_stage == 1 || layout.zero_stage == 2;
  if (sharded && at.data != 0) {
    return;
  }
  const bool by_layer = sharded && layout.pipeline > 1;
  ShardFile all{.part = ShardFile::Part::kModel, .name = "", .tensors = {}};
  for (const std::uint64_t id : LayersOf(model, layout, at.pipeline)) {
    const std::vector<std::uint64_t> counts = LayerElements(model, layout, id);
    if (!by_layer) {
      AppendTensors(all.tensors, std::to_string(id), type, counts);
      continue;
    }
    ShardFile& file = files.emplace_back();
    file.name = fmt::format("layer_{}-model_{}_model_states.pt", id, at.model);
    AppendTensors(file.tensors, "", type, counts);
  }
  if (!all.tensors.empty()) {
    all.name = sharded
                   ? fmt::format("model_{}_model_states.pt", at.model)
                   : fmt::format("zero_pp_rank_{}_mp_rank_{}_model_states.pt",
                                 at.data, at.model);
    files.push_back(std::move(all));
  }
}

}  // namespace

std::uint64_t ShardFile::payload_bytes() const {
  std::uint64_t sum = 0;
  for (const TensorSpec& tensor : tensors) {
    sum += tensor.bytes();
  }
  return sum;
}

std::vector<ShardFile> FilesOf(const ModelSpec& model, const Layout& layout,
                               std::uint32_t rank) {
  std::vector<ShardFile> files;
  if (layout.zero_stage == 0 && rank >= layout.model_ranks()) {
    return files;
  }
  const Coordinates at = CoordinatesOf(layout, rank);
  if (SavesModel(model)) {
    files.push_back({.part = ShardFile::Part::kModel,
                     .name = fmt::format("model_states-{}.pt", rank),
                     .tensors = {{.group = "",
                                  .key = "a",
                                  .type = DataType::kInt8,
                                  .elements = model.model_size_bytes}}});
  }
  AppendLayerFiles(files, model, layout, at);
  std::vector<TensorSpec> optimizer = OptimizerTensors(model, layout);
  if (!optimizer.empty()) {
    files.push_back(
        {.part = ShardFile::Part::kOptimizer,
         .name = fmt::format("zero_pp_rank_{}_mp_rank_{}_optim_states.pt",
                             at.data, at.model),
         .tensors = std::move(optimizer)});
  }
  return files;
}

CheckpointBytes BytesOfRanks(const ModelSpec& model, const Layout& layout,
                             std::uint32_t first, std::uint32_t last) {
  CheckpointBytes sum;
  for (std::uint32_t rank = first; rank < last; ++rank) {
    for (const ShardFile& file : FilesOf(model, layout, rank)) {
      const bool is_model = file.part == ShardFile::Part::kModel;
      (is_model ? sum.model : sum.optimizer) += file.payload_bytes();
      ++sum.files;
    }
  }
  return sum;
}

std::uint64_t ReportedBytes(const ModelSpec& model, const Layout& layout) {
  ModelSpec counted = model;
  // The legacy tensors are saved but not counted; what has no layers stands
  // for one copy, whoever saves it.
  const bool legacy_layers = !model.layer_parameters.empty();
  const bool legacy_groups = !model.optimization_groups.empty();
  counted.type = "transformer";
  counted.layer_parameters.clear();
  counted.optimization_groups.clear();
  const CheckpointBytes sum = BytesOfRanks(counted, layout, 0, layout.ranks);
  std::uint64_t bytes = legacy_layers ? 0 : sum.model;
  if (SavesModel(model)) {
    bytes = model.model_size_bytes;
  }
  return bytes + (legacy_groups ? 0 : sum.optimizer);
}

}  // namespace stoker::checkpoint
