#pragma once

// What a checkpoint holds: the model, how ranks share it, and the tensors and
// files that follow. Pure functions; sizes and names are those of MLPerf
// Storage v2.0 (docs/checkpoints.md).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace stoker::checkpoint {

enum class DataType : std::uint8_t {
  kInt8,
  kUint8,
  kFp16,
  kBf16,
  kFp32,
  kFp64
};

// Bytes of one element.
std::uint64_t BytesOf(DataType type);
// "fp16", … kInvalidArgument names what is allowed.
core::Result<DataType> ParseDataType(std::string_view name);
std::string_view NameOf(DataType type);

// The model as configured; < 0 or empty: not given.
struct ModelSpec {
  std::string type;  // "transformer": model_size_bytes does not count
  std::uint64_t model_size_bytes = 10240;
  std::int64_t layers = -1;
  std::uint64_t hidden = 2048;
  std::uint64_t ffn_hidden = 8192;
  std::uint64_t attention_heads = 32;
  std::uint64_t kv_heads = 8;
  std::uint64_t vocabulary = 32000;
  // Legacy: elements of each int8 tensor of a layer, and of each group.
  std::vector<std::uint64_t> layer_parameters{};
  std::vector<std::uint64_t> optimization_groups{};
  DataType model_type = DataType::kFp16;
  DataType optimizer_type = DataType::kFp32;
};

// How `ranks` ranks share the model. All at least 1. `data` is the number of
// copies that the formulas use; in subset mode there are fewer ranks than
// tensor * pipeline * data.
struct Layout {
  std::uint32_t ranks = 1;
  std::uint32_t tensor = 1;
  std::uint32_t pipeline = 1;
  std::uint32_t data = 1;
  std::uint32_t zero_stage = 0;  // 0 … 3

  std::uint32_t model_ranks() const { return tensor * pipeline; }
};

// A rank's place; tensor runs fastest, then pipeline, then data.
struct Coordinates {
  std::uint32_t tensor = 0;
  std::uint32_t pipeline = 0;
  std::uint32_t data = 0;
  std::uint32_t model = 0;  // pipeline * Layout::tensor + tensor
};
Coordinates CoordinatesOf(const Layout& layout, std::uint32_t rank);

// Ids of the layers of a pipeline stage, ascending: 0 is the embedding, 1 … L
// the blocks, L + 1 the output layer, L + 2 the last norm. With legacy layer
// parameters only blocks.
std::vector<std::uint64_t> LayersOf(const ModelSpec& model,
                                    const Layout& layout, std::uint32_t stage);

// One tensor, one-dimensional. Tensors of the same non-empty group follow each
// other and form a dict of that name; the others stand at the top.
struct TensorSpec {
  std::string group;  // "12": layer 12; "" for none
  std::string key;    // "0"
  DataType type = DataType::kFp16;
  std::uint64_t elements = 0;

  std::uint64_t bytes() const { return elements * BytesOf(type); }
  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};

// One file of one rank.
struct ShardFile {
  enum class Part : std::uint8_t { kModel, kOptimizer } part = Part::kModel;
  std::string name;  // within the step folder, ".pt" included
  std::vector<TensorSpec> tensors;

  std::uint64_t payload_bytes() const;
};

// The files a rank writes, in the order it writes them; empty for a rank that
// writes none. Requires what CheckLayout accepts, as do all that follow.
// Tensors of no elements are left out.
std::vector<ShardFile> FilesOf(const ModelSpec& model, const Layout& layout,
                               std::uint32_t rank);

// Parameters of the whole model; 0 without layers.
std::uint64_t ParametersOf(const ModelSpec& model);

// Sums of payload over ranks [first, last), for sizes and reports.
struct CheckpointBytes {
  std::uint64_t model = 0;
  std::uint64_t optimizer = 0;
  std::uint64_t files = 0;

  std::uint64_t total() const { return model + optimizer; }
};
CheckpointBytes BytesOfRanks(const ModelSpec& model, const Layout& layout,
                             std::uint32_t first, std::uint32_t last);
// What the reference reports as the checkpoint's size: as above over all ranks,
// but without tensors of the legacy keys, and model_size_bytes once whoever
// saves it.
std::uint64_t ReportedBytes(const ModelSpec& model, const Layout& layout);

// "global_epoch1_step3"
std::string StepFolder(std::uint64_t epoch, std::uint64_t step);

// kInvalidArgument names the keys and what would do: fewer layers than stages,
// stages with ZeRO 3, ranks that are no multiple of tensor * pipeline, ….
core::Status CheckLayout(const ModelSpec& model, const Layout& layout,
                         bool subset);

}  // namespace stoker::checkpoint
