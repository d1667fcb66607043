#include "checkpoint/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/text.h"

namespace stoker::checkpoint {
namespace {

using core::Code;
using core::Status;

struct TypeRow {
  DataType type;
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array<TypeRow, 6> kTypes{{{DataType::kInt8, "int8", 1},
                                         {DataType::kUint8, "uint8", 1},
                                         {DataType::kFp16, "fp16", 2},
                                         {DataType::kBf16, "bf16", 2},
                                         {DataType::kFp32, "fp32", 4},
                                         {DataType::kFp64, "fp64", 8}}};

const TypeRow& RowOf(DataType type) {
  return *std::ranges::find(kTypes, type, &TypeRow::type);
}

// Layers are told apart by an id each, and each has its tensors in memory.
constexpr std::int64_t kMaxLayers = 100'000;
// Sums of bytes stay within 64 bits.
constexpr double kMaxBytes = 0x1.0p62;
constexpr double kLargestType = 8;

Status Refuse(std::string message) {
  return {Code::kInvalidArgument, std::move(message)};
}

Status CheckShape(const ModelSpec& model) {
  struct Key {
    std::string_view name;
    std::uint64_t value;
  };
  const std::array<Key, 5> keys{{{"hidden_size", model.hidden},
                                 {"ffn_hidden_size", model.ffn_hidden},
                                 {"num_attention_heads", model.attention_heads},
                                 {"num_kv_heads", model.kv_heads},
                                 {"vocab_size", model.vocabulary}}};
  for (const Key& key : keys) {
    if (key.value == 0) {
      return Refuse(fmt::format(
          "model.transformer.{} is 0: a model with model.num_layers needs at "
          "least 1",
          key.name));
    }
  }
  if (model.layers > kMaxLayers) {
    return Refuse(fmt::format("model.num_layers is {}: at most {} are possible",
                              model.layers, kMaxLayers));
  }
  return {};
}

// Bytes of all ranks, from above. In floating point: the integers are what
// might overflow.
double TransformerBytes(const ModelSpec& model, const Layout& layout) {
  if (model.layers <= 0) {
    return 0;
  }
  const auto layers = static_cast<double>(model.layers);
  const auto hidden = static_cast<double>(model.hidden);
  const double heads = hidden / static_cast<double>(model.attention_heads) *
                       static_cast<double>(model.kv_heads);
  const double block =
      2 + 2 * hidden + 2 * heads + 3 * static_cast<double>(model.ffn_hidden);
  const double elements =
      hidden * (2 * static_cast<double>(model.vocabulary) + 1 + layers * block);
  // Norms are whole on every tensor-parallel rank.
  const double norms = hidden * (2 * layers + 1) * layout.tensor;
  // The model, and three times as optimizer state with 15 * hidden a rank.
  return kLargestType * (4 * elements + norms + 15 * hidden * layout.ranks);
}

Status CheckSize(const ModelSpec& model, const Layout& layout) {
  double legacy = 0;
  for (const std::uint64_t count : model.layer_parameters) {
    legacy += static_cast<double>(count);
  }
  legacy *= std::max(1.0, static_cast<double>(model.layers));
  for (const std::uint64_t count : model.optimization_groups) {
    legacy += 3 * static_cast<double>(count);
  }
  const double bytes =
      TransformerBytes(model, layout) +
      (legacy + static_cast<double>(model.model_size_bytes)) * layout.ranks;
  if (!(bytes <= kMaxBytes)) {
    return Refuse(
        "the checkpoint has more than 2^62 bytes: make model.num_layers, "
        "model.transformer, model.layer_parameters, model.optimization_groups "
        "or model.model_size_bytes smaller");
  }
  return {};
}

Status CheckStages(const ModelSpec& model, const Layout& layout) {
  if (layout.zero_stage > 3) {
    return Refuse(
        fmt::format("model.parallelism.zero_stage is {}: it must be 0, 1, 2 "
                    "or 3",
                    layout.zero_stage));
  }
  if (model.layers > 0 &&
      static_cast<std::uint64_t>(model.layers) < layout.pipeline) {
    return Refuse(
        fmt::format("model.num_layers is {}, fewer than the {} stages of "
                    "model.parallelism.pipeline: set the latter to at most {}",
                    model.layers, layout.pipeline, model.layers));
  }
  if (layout.pipeline > 1 && layout.zero_stage == 3) {
    return Refuse(fmt::format(
        "model.parallelism.zero_stage 3 shards every layer over all ranks and "
        "cannot be combined with model.parallelism.pipeline {}: set the "
        "pipeline to 1 or zero_stage to at most 2",
        layout.pipeline));
  }
  return {};
}

Status CheckRanks(const Layout& layout, bool subset) {
  const std::uint64_t model_ranks =
      std::uint64_t{layout.tensor} * layout.pipeline;
  if (subset) {
    if (layout.data == 0) {
      return Refuse(
          "checkpoint.mode subset needs model.parallelism.data: the number of "
          "copies of the model in the whole job");
    }
    if (layout.ranks > model_ranks * layout.data) {
      return Refuse(fmt::format(
          "{} ranks for checkpoint.mode subset, but the whole job has {} "
          "(model.parallelism.tensor {} * pipeline {} * data {}): start fewer, "
          "or leave checkpoint.mode and model.parallelism.data out",
          layout.ranks, model_ranks * layout.data, layout.tensor,
          layout.pipeline, layout.data));
    }
    return {};
  }
  if (layout.ranks % model_ranks != 0) {
    return Refuse(fmt::format(
        "{} ranks are no multiple of {} (model.parallelism.tensor {} * "
        "pipeline {}): start {} ranks, or set checkpoint.mode to subset and "
        "model.parallelism.data to the copies of the whole job",
        layout.ranks, model_ranks, layout.tensor, layout.pipeline,
        std::max<std::uint64_t>(1, layout.ranks / model_ranks) * model_ranks));
  }
  if (layout.data != layout.ranks / model_ranks) {
    return Refuse(fmt::format(
        "model.parallelism.data is {}, but {} ranks make {} copies of the "
        "model: leave it out, or set checkpoint.mode to subset",
        layout.data, layout.ranks, layout.ranks / model_ranks));
  }
  return {};
}

}  // namespace

std::uint64_t BytesOf(DataType type) { return RowOf(type).bytes; }

std::string_view NameOf(DataType type) { return RowOf(type).name; }

core::Result<DataType> ParseDataType(std::string_view name) {
  std::vector<std::string_view> names;
  for (const TypeRow& row : kTypes) {
    if (row.name == name) {
      return row.type;
    }
    names.push_back(row.name);
  }
  return Refuse(fmt::format("data type '{}': it must be one of {}", name,
                            core::Join(names, ", ")));
}

Coordinates CoordinatesOf(const Layout& layout, std::uint32_t rank) {
  return {.tensor = rank % layout.tensor,
          .pipeline = rank / layout.tensor % layout.pipeline,
          .data = rank / layout.model_ranks(),
          .model = rank % layout.model_ranks()};
}

std::vector<std::uint64_t> LayersOf(const ModelSpec& model,
                                    const Layout& layout, std::uint32_t stage) {
  std::vector<std::uint64_t> ids;
  if (model.layers <= 0) {
    return ids;
  }
  const auto layers = static_cast<std::uint64_t>(model.layers);
  const bool blocks_only = !model.layer_parameters.empty();
  // The first `longer` stages have a block more than the others.
  const std::uint64_t blocks = layers / layout.pipeline;
  const std::uint64_t longer = layers % layout.pipeline;
  const std::uint64_t first =
      stage * blocks + std::min<std::uint64_t>(stage, longer) + 1;
  const std::uint64_t count = blocks + (stage < longer ? 1 : 0);
  if (stage == 0 && !blocks_only) {
    ids.push_back(0);
  }
  for (std::uint64_t id = first; id < first + count; ++id) {
    ids.push_back(id);
  }
  if (stage == layout.pipeline - 1 && !blocks_only) {
    ids.push_back(layers + 1);
    ids.push_back(layers + 2);
  }
  return ids;
}

std::uint64_t ParametersOf(const ModelSpec& model) {
  if (model.layers <= 0) {
    return 0;
  }
  const std::uint64_t hidden = model.hidden;
  const std::uint64_t heads = hidden / model.attention_heads * model.kv_heads;
  const std::uint64_t block = 2 * hidden + hidden * (hidden + 2 * heads) +
                              hidden * hidden + 3 * hidden * model.ffn_hidden;
  return 2 * model.vocabulary * hidden +
         static_cast<std::uint64_t>(model.layers) * block + hidden;
}

std::string StepFolder(std::uint64_t epoch, std::uint64_t step) {
  return fmt::format("global_epoch{}_step{}", epoch, step);
}

core::Status CheckLayout(const ModelSpec& model, const Layout& layout,
                         bool subset) {
  if (layout.tensor == 0 || layout.pipeline == 0) {
    return Refuse(fmt::format(
        "model.parallelism.tensor is {} and model.parallelism.pipeline {}: "
        "both must be at least 1",
        layout.tensor, layout.pipeline));
  }
  constexpr std::uint64_t kMaxRanks = 1ULL << 31;
  if (std::uint64_t{layout.tensor} * layout.pipeline > kMaxRanks) {
    return Refuse(fmt::format(
        "model.parallelism.tensor {} * pipeline {}: more than 2^31 ranks",
        layout.tensor, layout.pipeline));
  }
  STOKER_TRY(CheckStages(model, layout));
  if (model.layers > 0) {
    STOKER_TRY(CheckShape(model));
  }
  STOKER_TRY(CheckSize(model, layout));
  return CheckRanks(layout, subset);
}

}  // namespace stoker::checkpoint
