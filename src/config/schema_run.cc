// Rows of the sections that describe the work done with the data.

#include <array>

#include "config/schema.h"

namespace stoker::config {

namespace {

constexpr std::int64_t kMaxEpochs = 1'000'000;
// What numpy takes for a seed, less room for one more per epoch.
constexpr std::int64_t kMaxSeed = 4294967295 - kMaxEpochs;
constexpr double kMaxSeconds = 1e6;
// Of ranks that share a model one way; two such fit a 32-bit product.
constexpr std::int64_t kMaxParallel = 32768;

template <auto... kMembers>
constexpr auto kTrain = &At<&WorkloadConfig::train, kMembers...>;
template <auto... kMembers>
constexpr auto kEvaluation = &At<&WorkloadConfig::evaluation, kMembers...>;
template <auto... kMembers>
constexpr auto kCheckpoint = &At<&WorkloadConfig::checkpoint, kMembers...>;
template <auto... kMembers>
constexpr auto kModel = &At<&WorkloadConfig::model, kMembers...>;
template <auto... kMembers>
constexpr auto kParallelism = kModel<&ModelConfig::parallelism, kMembers...>;
template <auto... kMembers>
constexpr auto kTransformer = kModel<&ModelConfig::transformer, kMembers...>;
template <auto... kMembers>
constexpr auto kOutput = &At<&WorkloadConfig::output, kMembers...>;
template <auto... kMembers>
constexpr auto kWorkflow = &At<&WorkloadConfig::workflow, kMembers...>;
template <auto... kMembers>
constexpr auto kProfiling = &At<&WorkloadConfig::profiling, kMembers...>;
template <auto... kMembers>
constexpr auto kMetric = &At<&WorkloadConfig::metric, kMembers...>;

using Parallelism = ModelConfig::Parallelism;
using Transformer = ModelConfig::Transformer;

constexpr std::array<Word, 2> kCheckpointTypes{{{"rank_zero"}, {"all_ranks"}}};
constexpr std::array<Word, 2> kCheckpointModes{{{"default"}, {"subset"}}};
constexpr std::array<Word, 4> kCheckpointFormats{
    {{"torchzip"}, {"torchzip-2.1"}, {"torchzip-1.13"}, {"raw"}}};
constexpr std::array<Word, 3> kCheckpointVerify{
    {{"none"}, {"sample"}, {"full"}}};
constexpr std::array<Word, 6> kDatatypes{
    {{"fp16"}, {"fp32"}, {"fp64"}, {"bf16"}, {"int8"}, {"uint8"}}};
constexpr std::array<Word, 4> kProfilers{
    {{"none"}, {"iostat"}, {"darshan"}, {"tensorboard"}}};

constexpr std::string_view kNoMerging =
    "memory pages of a checkpoint are not merged";
constexpr std::string_view kNoProfiler = "no profiler is started";

const std::array kRunRows{
    Row{"train.epochs", IntField{kTrain<&TrainConfig::epochs>, 1, kMaxEpochs},
        "epochs", "passes over the training set"},
    Row{"train.total_training_steps",
        IntField{kTrain<&TrainConfig::total_training_steps>, -1}, "steps",
        "above 0: at most that many steps in each epoch (Q16)"},
    Row{"train.steps_per_epoch_limit",
        IntField{kTrain<&TrainConfig::steps_per_epoch_limit>, -1}, "steps",
        "the same under a true name, which takes precedence; Stoker's own "
        "key"},
    Row{"train.seed_change_epoch",
        BoolField{kTrain<&TrainConfig::seed_change_epoch>}, "",
        "whether the epoch is added to the seed"},
    Row{"train.computation_time",
        TimeField{kTrain<&TrainConfig::computation_time>}, "s",
        "emulated computation of a step", "", true},
    Row{"train.computation_time_stdev",
        TimeStdevField{kTrain<&TrainConfig::computation_time>}, "s",
        "makes `train.computation_time` normally distributed"},
    Row{"train.seed", IntField{kTrain<&TrainConfig::seed>, 0, kMaxSeed}, "",
        "of shuffling; data generation has its own"},

    Row{"evaluation.eval_time",
        TimeField{kEvaluation<&EvaluationConfig::eval_time>}, "s",
        "emulated computation of an evaluation step", "", true},
    Row{"evaluation.eval_time_stdev",
        TimeStdevField{kEvaluation<&EvaluationConfig::eval_time>}, "s",
        "makes `evaluation.eval_time` normally distributed"},
    Row{"evaluation.eval_after_epoch",
        IntField{kEvaluation<&EvaluationConfig::eval_after_epoch>, 1}, "epochs",
        "first epoch followed by an evaluation"},
    Row{"evaluation.epochs_between_evals",
        IntField{kEvaluation<&EvaluationConfig::epochs_between_evals>, 1},
        "epochs", "epochs from one evaluation to the next"},

    Row{"checkpoint.checkpoint_folder",
        TextField{kCheckpoint<&CheckpointConfig::checkpoint_folder>, false,
                  true},
        "", "where checkpoints are written"},
    Row{"checkpoint.checkpoint_after_epoch",
        IntField{kCheckpoint<&CheckpointConfig::checkpoint_after_epoch>, 1},
        "epochs", "first epoch that ends with a checkpoint"},
    Row{"checkpoint.epochs_between_checkpoints",
        IntField{kCheckpoint<&CheckpointConfig::epochs_between_checkpoints>, 1},
        "epochs", "epochs from one checkpoint to the next"},
    Row{"checkpoint.steps_between_checkpoints",
        IntField{kCheckpoint<&CheckpointConfig::steps_between_checkpoints>, -1},
        "steps", "0 and above: a checkpoint after so many steps instead"},
    Row{"checkpoint.type",
        WordField{kCheckpoint<&CheckpointConfig::type>, kCheckpointTypes}, "",
        "which ranks write during training (Q32)"},
    Row{"checkpoint.checkpoint_mechanism_classname", PluginField{}, "",
        "Python class that writes checkpoints"},
    Row{"checkpoint.fsync", BoolField{kCheckpoint<&CheckpointConfig::fsync>},
        "", "whether a checkpoint is flushed to storage"},
    Row{"checkpoint.time_between_checkpoints",
        RealField{kCheckpoint<&CheckpointConfig::time_between_checkpoints>, -1,
                  kMaxSeconds},
        "s", "pause between checkpoints when nothing is trained"},
    Row{"checkpoint.num_checkpoints_write",
        IntField{kCheckpoint<&CheckpointConfig::num_checkpoints_write>, -1}, "",
        "checkpoints to write when nothing is trained"},
    Row{"checkpoint.num_checkpoints_read",
        IntField{kCheckpoint<&CheckpointConfig::num_checkpoints_read>, -1}, "",
        "checkpoints to read back when nothing is trained"},
    Row{"checkpoint.recovery_rank_shift",
        BoolField{kCheckpoint<&CheckpointConfig::recovery_rank_shift>}, "",
        "whether a rank reads what a rank of another host wrote"},
    Row{"checkpoint.rank_sync",
        BoolField{kCheckpoint<&CheckpointConfig::rank_sync>}, "",
        "whether ranks wait for each other within the timed region"},
    Row{"checkpoint.mode",
        WordField{kCheckpoint<&CheckpointConfig::mode>, kCheckpointModes}, "",
        "whole model, or the part of some ranks"},
    Row{"checkpoint.randomize_tensor",
        BoolField{kCheckpoint<&CheckpointConfig::randomize_tensor>}, "",
        "random content instead of constant"},
    Row{"checkpoint.format",
        WordField{kCheckpoint<&CheckpointConfig::format>, kCheckpointFormats},
        "",
        "bytes around the tensors: as torch.save writes them, now or in older "
        "versions, or none; Stoker's own key"},
    Row{"checkpoint.verify",
        WordField{kCheckpoint<&CheckpointConfig::verify>, kCheckpointVerify},
        "",
        "how many of the bytes read back are compared with those written; "
        "Stoker's own key"},
    Row{"checkpoint.ksm.madv_mergeable_id", IgnoredField{"integer", "12"}, "",
        "madvise() advice that merges pages", kNoMerging},
    Row{"checkpoint.ksm.high_ram_trigger", IgnoredField{"number", "30"},
        "percent", "memory use at which merging is awaited", kNoMerging},
    Row{"checkpoint.ksm.low_ram_exit", IgnoredField{"number", "15"}, "percent",
        "memory use at which waiting ends", kNoMerging},
    Row{"checkpoint.ksm.await_time", IgnoredField{"number", "200"}, "s",
        "longest wait", kNoMerging},
    Row{"checkpoint.model_size", AliasField{"model.model_size_bytes"}, "",
        "name of v1.0"},

    Row{"model.name", TextField{kModel<&ModelConfig::name>}, "",
        "label; names the result folder"},
    Row{"model.type", TextField{kModel<&ModelConfig::type>, true}, "",
        "`transformer` changes what a checkpoint holds", "", true},
    Row{"model.model_size_bytes",
        IntField{kModel<&ModelConfig::model_size_bytes>, 0}, "bytes",
        "checkpoint size of a model that is no transformer"},
    Row{"model.model_size", AliasField{"model.model_size_bytes"}, "",
        "spelling of the unet3d files (Q2)"},
    Row{"model.optimization_groups",
        IntListField{kModel<&ModelConfig::optimization_groups>}, "",
        "optimizer tensors of a checkpoint", "", true},
    Row{"model.num_layers", IntField{kModel<&ModelConfig::num_layers>, -1}, "",
        "layers of a checkpoint"},
    Row{"model.layer_parameters",
        IntListField{kModel<&ModelConfig::layer_parameters>}, "",
        "tensors of a layer", "", true},
    Row{"model.model_datatype",
        WordField{kModel<&ModelConfig::model_datatype>, kDatatypes}, "",
        "element type of weights"},
    Row{"model.optimizer_datatype",
        WordField{kModel<&ModelConfig::optimizer_datatype>, kDatatypes}, "",
        "element type of optimizer state"},
    Row{"model.parallelism.tensor",
        IntField{kParallelism<&Parallelism::tensor>, 1, kMaxParallel}, "",
        "ranks that share a layer"},
    Row{"model.parallelism.pipeline",
        IntField{kParallelism<&Parallelism::pipeline>, 1, kMaxParallel}, "",
        "groups of layers"},
    Row{"model.parallelism.data",
        IntField{kParallelism<&Parallelism::data>, -1, kMaxParallel}, "",
        "copies of the whole model of which a subset is written; -1: all "
        "ranks"},
    Row{"model.parallelism.zero_stage",
        IntField{kParallelism<&Parallelism::zero_stage>, 0, 3}, "",
        "stage of ZeRO sharding"},
    Row{"model.transformer.vocab_size",
        IntField{kTransformer<&Transformer::vocab_size>, 1}, "",
        "entries of the vocabulary"},
    Row{"model.transformer.hidden_size",
        IntField{kTransformer<&Transformer::hidden_size>, 1}, "",
        "width of a layer"},
    Row{"model.transformer.ffn_hidden_size",
        IntField{kTransformer<&Transformer::ffn_hidden_size>, 1}, "",
        "width of the feed-forward part"},
    Row{"model.transformer.num_attention_heads",
        IntField{kTransformer<&Transformer::num_attention_heads>, 1}, "",
        "attention heads"},
    Row{"model.transformer.num_kv_heads",
        IntField{kTransformer<&Transformer::num_kv_heads>, 1}, "",
        "key and value heads"},

    Row{"output.folder", TextField{kOutput<&OutputConfig::folder>, true}, "",
        "where DLIO puts result files",
        "--results-dir chooses the folder of results", true},
    Row{"output.log_file", TextField{kOutput<&OutputConfig::log_file>}, "",
        "name of the log within the output folder"},
    Row{"output.metric.exclude_start_steps",
        IntField{kMetric<&MetricConfig::exclude_start_steps>, 0}, "steps",
        "steps at the start of an epoch that do not count"},
    Row{"output.metric.exclude_end_steps",
        IntField{kMetric<&MetricConfig::exclude_end_steps>, 0}, "steps",
        "steps at the end of an epoch that do not count"},

    Row{"workflow.train", BoolField{kWorkflow<&WorkflowConfig::train>}, "",
        "whether to train"},
    Row{"workflow.generate_data",
        BoolField{kWorkflow<&WorkflowConfig::generate_data>}, "",
        "whether to generate the data set first"},
    Row{"workflow.evaluation",
        BoolField{kWorkflow<&WorkflowConfig::evaluation>}, "",
        "whether to evaluate after epochs"},
    Row{"workflow.checkpoint",
        BoolField{kWorkflow<&WorkflowConfig::checkpoint>}, "",
        "whether to write checkpoints"},
    Row{"workflow.profiling", BoolField{kWorkflow<&WorkflowConfig::profiling>},
        "", "whether to run a profiler", kNoProfiler},
    Row{"workflow.query", IgnoredField{"text", "null"}, "",
        "key to print, for a tool of DLIO", "`configview` prints all keys",
        true},

    Row{"profiling.profiler",
        WordField{kProfiling<&ProfilingConfig::profiler>, kProfilers}, "",
        "which profiler", kNoProfiler},
    Row{"profiling.iostat_devices",
        TextListField{kProfiling<&ProfilingConfig::iostat_devices>}, "",
        "devices iostat watches", kNoProfiler, true},

    Row{"metric.au", RealField{kMetric<&MetricConfig::au>, 0, 1}, "fraction",
        "accelerator utilisation a run must reach"},
};

}  // namespace

std::span<const Row> RunRows() { return kRunRows; }

}  // namespace stoker::config
