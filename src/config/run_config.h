#pragma once

// The effective configuration of a run: every workload key, typed and checked.
// Sections and names are those of DLIO workload files, so that the C++ name of
// a key is its dotted name. Filled by config::Load; nobody else parses text.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace stoker::config {

enum class Framework : std::uint8_t { kTensorflow, kPytorch };
enum class Shuffle : std::uint8_t { kOff, kSeed, kRandom };
enum class DataLoader : std::uint8_t {
  kTensorflow,
  kPytorch,
  kSynthetic,
  kNone
};

// A duration to emulate, in seconds; random kinds are drawn per step.
struct TimeSpec {
  enum class Kind : std::uint8_t {
    kNone,  // no time at all
    kConstant,
    kNormal,
    kUniform,
    kGamma,
    kExponential,
    kPoisson,
  } kind = Kind::kNone;
  double mean = 0;   // constant, normal: s
  double stdev = 0;  // normal: s
  double min = 0;    // uniform: s
  double max = 0;    // uniform: s
  double shape = 0;  // gamma
  double scale = 0;  // gamma, exponential: s
  double lam = 0;    // poisson: s
};

struct StorageConfig {
  std::string storage_type = "local_fs";
  std::string storage_root = "./";
};

struct DatasetConfig {
  double record_length_bytes = 65536;
  double record_length_bytes_stdev = 0;
  double record_length_bytes_resize = 0;  // 0: as read
  std::int64_t num_files_train = 8;
  std::int64_t num_files_eval = 0;
  std::int64_t num_samples_per_file = 1;
  std::string data_folder = "./data";     // without a trailing '/'
  std::int64_t num_subfolders_train = 0;  // 0 and 1: flat
  std::int64_t num_subfolders_eval = 0;
  std::int64_t generation_buffer_size = 2147483648;
  bool enable_chunking = false;
  std::int64_t chunk_size = 0;
  std::string compression = "none";
  std::int64_t compression_level = 4;
  std::string file_prefix = "img";
  std::string format = "tfrecord";
  bool keep_files = true;
};

struct ReaderConfig {
  DataLoader data_loader = DataLoader::kTensorflow;
  std::int64_t batch_size = 1;  // samples per step and rank
  std::int64_t batch_size_eval = 1;
  std::int64_t read_threads = 1;
  std::int64_t computation_threads = 1;
  std::int64_t prefetch_size = 2;  // batches
  Shuffle file_shuffle = Shuffle::kOff;
  Shuffle sample_shuffle = Shuffle::kOff;
  std::int64_t shuffle_size = 1024;  // samples
  std::string file_access = "multi";
  std::string read_type = "on_demand";
  std::int64_t transfer_size = 262144;  // bytes of a request
  bool odirect = false;
  TimeSpec preprocess_time;  // per sample
  bool pin_memory = true;
  bool dont_use_mmap = false;
  std::string multiprocessing_context = "fork";
  // Ours: which pipeline is emulated ("dlio-v2").
  std::string loader_model = "dlio-v2";
  // Ours: threads that drive a rank's lanes.
  std::int64_t pump_threads = 1;
  // Ours, for the loader model lean.
  std::int64_t request_bytes = 1 << 20;    // of a read; a multiple of 4096
  std::int64_t byte_budget = 256LL << 20;  // of payload read ahead per rank
};

struct TrainConfig {
  std::int64_t epochs = 1;
  // > 0: at most that many steps in each epoch.
  std::int64_t total_training_steps = -1;
  // Ours, with the name that says it: > 0 takes precedence over
  // total_training_steps.
  std::int64_t steps_per_epoch_limit = -1;
  bool seed_change_epoch = true;
  TimeSpec computation_time;  // per step
  std::int64_t seed = 123;
};

struct EvaluationConfig {
  TimeSpec eval_time;  // per step
  std::int64_t eval_after_epoch = 1;
  std::int64_t epochs_between_evals = 1;
};

struct CheckpointConfig {
  std::string checkpoint_folder = "./checkpoints";  // without a trailing '/'
  std::int64_t checkpoint_after_epoch = 1;
  std::int64_t epochs_between_checkpoints = 1;
  std::int64_t steps_between_checkpoints = -1;
  std::string type = "rank_zero";
  bool fsync = false;
  double time_between_checkpoints = -1;
  std::int64_t num_checkpoints_write = -1;
  std::int64_t num_checkpoints_read = -1;
  bool recovery_rank_shift = false;
  bool rank_sync = false;
  std::string mode = "default";
  bool randomize_tensor = true;
  // Ours: what stands around the tensors of a file, and what a restore looks
  // at. Words of checkpoint::ParseFileFormat and checkpoint::ParseVerify.
  std::string format = "torchzip";
  std::string verify = "none";
};

struct ModelConfig {
  std::string name = "default";
  std::string type;
  std::int64_t model_size_bytes = 10240;
  std::vector<std::int64_t> optimization_groups;
  std::int64_t num_layers = -1;
  std::vector<std::int64_t> layer_parameters;
  std::string model_datatype = "fp16";
  std::string optimizer_datatype = "fp32";
  struct Parallelism {
    std::int64_t tensor = 1;
    std::int64_t pipeline = 1;
    std::int64_t data = -1;
    std::int64_t zero_stage = 0;
  } parallelism;
  struct Transformer {
    std::int64_t vocab_size = 32000;
    std::int64_t hidden_size = 2048;
    std::int64_t ffn_hidden_size = 8192;
    std::int64_t num_attention_heads = 32;
    std::int64_t num_kv_heads = 8;
  } transformer;
};

struct OutputConfig {
  std::string folder;  // "": chosen by the command
  std::string log_file = "dlio.log";
};

struct WorkflowConfig {
  bool train = true;
  bool generate_data = false;
  bool evaluation = false;
  bool checkpoint = false;
  bool profiling = false;
};

struct ProfilingConfig {
  std::string profiler = "iostat";
  std::vector<std::string> iostat_devices;
};

struct MetricConfig {
  double au = 0.90;  // fraction
  std::int64_t exclude_start_steps = 1;
  std::int64_t exclude_end_steps = 0;
};

struct WorkloadConfig {
  Framework framework = Framework::kTensorflow;
  StorageConfig storage;
  DatasetConfig dataset;
  ReaderConfig reader;
  TrainConfig train;
  EvaluationConfig evaluation;
  CheckpointConfig checkpoint;
  ModelConfig model;
  OutputConfig output;
  WorkflowConfig workflow;
  ProfilingConfig profiling;
  MetricConfig metric;
};

}  // namespace stoker::config
