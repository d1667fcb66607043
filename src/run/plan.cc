#include "run/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "formats/registry.h"
#include "run/internal/origin.h"

namespace stoker::run {

namespace {

using config::WorkloadConfig;
using core::Code;
using core::Status;

Status Invalid(std::string message) {
  return {Code::kInvalidArgument, std::move(message)};
}

// The limit of steps in each epoch, or -1.
std::int64_t StepLimit(const WorkloadConfig& workload) {
  return workload.train.steps_per_epoch_limit > 0
             ? workload.train.steps_per_epoch_limit
             : workload.train.total_training_steps;
}

// The reference's own copy of unet3d's workload turns checkpoints on where the
// file does not (quirk Q1); only an override is heard.
bool HiddenCheckpoint(const config::LoadedConfig& config) {
  return config.compat.v2_0 && config.workload.model.name == "unet3d" &&
         !internal::IsOverridden(config, "workflow.checkpoint");
}

void PlanCheckpoints(const config::LoadedConfig& config, RunPlan& plan) {
  const config::CheckpointConfig& keys = config.workload.checkpoint;
  if (!config.workload.workflow.checkpoint) {
    if (!HiddenCheckpoint(config)) {
      return;
    }
    plan.warnings.emplace_back(
        "workflow.checkpoint: --compat v2.0 turns it on for unet3d, as the "
        "reference's own copy of the workload does; "
        "++workload.workflow.checkpoint=False leaves it off");
  }
  plan.checkpoints = {
      .steps_between = keys.steps_between_checkpoints,
      .after_epoch = static_cast<std::uint32_t>(keys.checkpoint_after_epoch),
      .epochs_between =
          static_cast<std::uint32_t>(keys.epochs_between_checkpoints)};
  plan.saves =
      emulator::CountCheckpoints(plan.checkpoints, plan.epochs, plan.steps);
  if (plan.saves == 0) {
    plan.warnings.push_back(fmt::format(
        "workflow.checkpoint: no checkpoint falls into {} epoch(s) of {} steps",
        plan.epochs, plan.steps));
  } else if (keys.steps_between_checkpoints > 0 &&
             keys.steps_between_checkpoints <=
                 config.workload.metric.exclude_start_steps) {
    plan.warnings.push_back(fmt::format(
        "checkpoint.steps_between_checkpoints={}: after each checkpoint the "
        "first {} step(s) are excluded, so that no step counts and the "
        "utilisation is 0",
        keys.steps_between_checkpoints,
        config.workload.metric.exclude_start_steps));
  }
}

Status CheckKeys(const WorkloadConfig& workload) {
  const config::DataLoader loader = workload.reader.data_loader;
  if (loader != config::DataLoader::kPytorch &&
      loader != config::DataLoader::kTensorflow) {
    return Invalid(
        "reader.data_loader: this version emulates pytorch and tensorflow");
  }
  if (workload.output.log_file.find('/') != std::string::npos) {
    return Invalid(
        fmt::format("output.log_file: '{}' is not the name of a "
                    "file in the result folder",
                    workload.output.log_file));
  }
  return {};
}

emulator::PipelineShape ShapeOf(const WorkloadConfig& workload,
                                emulator::LoaderModel model,
                                const formats::Format& format) {
  if (model == emulator::LoaderModel::kLean) {
    return emulator::PipelineShape::kShuffled;
  }
  if (workload.reader.data_loader != config::DataLoader::kTensorflow) {
    return emulator::PipelineShape::kTorch;
  }
  return format.streams_samples() ? emulator::PipelineShape::kTfRecord
                                  : emulator::PipelineShape::kTfGenerator;
}

// What the loader model cannot do with this format.
Status CheckReader(const config::ReaderConfig& reader, const RunPlan& plan) {
  using Style = formats::ReaderOptions::Style;
  const bool lean = plan.model == emulator::LoaderModel::kLean;
  if (reader.odirect && !lean && !plan.format->Supports(Style::kDirect)) {
    return Invalid(fmt::format(
        "reader.odirect: the readers of {} have no O_DIRECT mode (npz and npy "
        "have one); remedy: leave it off, or reader.loader_model=lean",
        plan.format->name()));
  }
  constexpr std::int64_t kBlock = 4096;
  if (reader.request_bytes % kBlock != 0) {
    return Invalid(
        fmt::format("reader.request_bytes={} is not a multiple of {}",
                    reader.request_bytes, kBlock));
  }
  return {};
}

std::string StepsFormula(const dataset::OrderSpec& order) {
  return fmt::format("{} samples per file * {} files / batch {} / {} ranks",
                     order.samples_per_file, order.files, order.batch_size,
                     order.ranks);
}

Status PlanTraining(const config::LoadedConfig& config, RunPlan& plan) {
  const WorkloadConfig& workload = config.workload;
  const std::uint64_t available = dataset::StepsPerEpoch(plan.train, -1);
  if (available == 0) {
    return Invalid(fmt::format(
        "no rank gets a whole batch: floor({}) = 0 steps; remedy: more files "
        "(dataset.num_files_train), a smaller reader.batch_size or fewer "
        "accelerators",
        StepsFormula(plan.train)));
  }
  const std::int64_t limit = StepLimit(workload);
  if (limit > 0 && static_cast<std::uint64_t>(limit) > available) {
    return Invalid(fmt::format(
        "train.{}={} is more than the {} steps the dataset has: floor({})",
        workload.train.steps_per_epoch_limit > 0 ? "steps_per_epoch_limit"
                                                 : "total_training_steps",
        limit, available, StepsFormula(plan.train)));
  }
  if (limit > 0 && workload.train.steps_per_epoch_limit <= 0 &&
      workload.train.epochs > 1) {
    plan.warnings.push_back(fmt::format(
        "train.total_training_steps={} limits each of the {} epochs, as in the "
        "reference; train.steps_per_epoch_limit says so in its name",
        limit, workload.train.epochs));
  }
  plan.steps = dataset::StepsPerEpoch(plan.train, limit);
  const std::int64_t excluded =
      workload.metric.exclude_start_steps + workload.metric.exclude_end_steps;
  if (static_cast<std::int64_t>(plan.steps) <= excluded) {
    plan.warnings.push_back(fmt::format(
        "{} step(s) per epoch, of which {} are excluded: no step counts, the "
        "utilisation will be 0",
        plan.steps, excluded));
  }
  return {};
}

// Formats whose samples cannot be had one by one are read whole for each of
// them (quirk Q14).
Status CheckWholeFileReads(const config::LoadedConfig& config, RunPlan& plan) {
  if (plan.samples_per_file == 1 ||
      emulator::AsksForSingleSamples(*plan.format, plan.model)) {
    return {};
  }
  const std::string what = fmt::format(
      "{} with {} samples per file: the whole file is read for every sample",
      plan.format->name(), plan.samples_per_file);
  if (!config.compat.v2_0 || plan.model == emulator::LoaderModel::kLean) {
    return Invalid(
        fmt::format("{}; remedy: dataset.num_samples_per_file=1{}", what,
                    plan.model == emulator::LoaderModel::kLean
                        ? ", as reader.loader_model=lean reads nothing twice"
                        : ", or --compat v2.0 to read as the reference does"));
  }
  plan.warnings.push_back(what + ", as the reference does");
  return {};
}

Status CheckPipeline(const config::LoadedConfig& config, RunPlan& plan) {
  const WorkloadConfig& workload = config.workload;
  if (plan.shape == emulator::PipelineShape::kTfRecord) {
    for (std::uint64_t rank = 0; rank < plan.train.ranks; ++rank) {
      const dataset::ModuloShare share =
          dataset::TensorflowShare(plan.train, rank);
      if (share.records < plan.train.batch_size) {
        return Invalid(
            fmt::format("rank {} has {} records and cannot fill a batch of {}; "
                        "remedy: more "
                        "files, or fewer accelerators",
                        rank, share.records, plan.train.batch_size));
      }
    }
  } else if (config.compat.v2_0 &&
             plan.model == emulator::LoaderModel::kDlioV2 &&
             dataset::ReferenceShareIsUneven(plan.train, plan.steps)) {
    return Invalid(fmt::format(
        "--compat v2.0: with {} samples on {} ranks some ranks would have "
        "fewer "
        "than {} batches of {}, where the reference hangs; remedy: a multiple "
        "of ranks * batch, or without --compat",
        plan.train.samples(), plan.train.ranks, plan.steps,
        plan.train.batch_size));
  }
  STOKER_TRY(CheckWholeFileReads(config, plan));
  if (workload.reader.read_threads == 0 &&
      (plan.shape == emulator::PipelineShape::kTfRecord ||
       plan.shape == emulator::PipelineShape::kTfGenerator)) {
    plan.warnings.emplace_back(
        "reader.read_threads=0: the tensorflow pipeline uses 1");
  }
  return {};
}

Status PlanEvaluation(const WorkloadConfig& workload, RunPlan& plan) {
  if (!workload.workflow.evaluation) {
    plan.eval = {};
    return {};
  }
  plan.eval_steps = dataset::StepsPerEpoch(plan.eval, -1);
  if (plan.eval_steps == 0) {
    return Invalid(fmt::format(
        "workflow.evaluation: floor({}) = 0 evaluation steps; remedy: "
        "dataset.num_files_eval and reader.batch_size_eval",
        StepsFormula(plan.eval)));
  }
  return {};
}

dataset::OrderSpec OrderOf(std::int64_t files, std::int64_t samples,
                           std::int64_t batch, std::uint32_t ranks) {
  return {.files = static_cast<std::uint64_t>(files),
          .samples_per_file = static_cast<std::uint64_t>(samples),
          .batch_size = static_cast<std::uint64_t>(batch),
          .ranks = ranks};
}

emulator::LoaderOptions CommonLoaderOptions(const config::LoadedConfig& config,
                                            const RunPlan& plan,
                                            const RankSeat& seat) {
  const config::ReaderConfig& reader = config.workload.reader;
  emulator::LoaderOptions options;
  options.model = plan.model;
  options.rank = seat.rank;
  options.epochs = plan.epochs;
  options.read_threads = static_cast<std::uint32_t>(reader.read_threads);
  options.computation_threads =
      static_cast<std::uint32_t>(reader.computation_threads);
  options.prefetch_size = static_cast<std::uint32_t>(reader.prefetch_size);
  options.shuffle_size = static_cast<std::uint32_t>(reader.shuffle_size);
  options.transfer_size = static_cast<std::uint32_t>(reader.transfer_size);
  options.direct = reader.odirect;
  options.pump_threads = static_cast<std::uint32_t>(reader.pump_threads);
  options.request_bytes = static_cast<std::uint32_t>(reader.request_bytes);
  options.byte_budget = static_cast<std::uint64_t>(reader.byte_budget);
  options.shuffle_files = reader.file_shuffle != config::Shuffle::kOff;
  options.shuffle_samples = reader.sample_shuffle != config::Shuffle::kOff;
  options.seed = seat.seed;
  options.seed_change_epoch = config.workload.train.seed_change_epoch;
  // The reference forgets preprocess_time in its record pipeline.
  if (plan.shape != emulator::PipelineShape::kTfRecord || !config.compat.v2_0) {
    options.preprocess = MakeTimeSource(config, reader.preprocess_time,
                                        seat.rank, Purpose::kPreprocess);
  }
  options.check = seat.check;
  options.read_past_end =
      config.compat.v2_0 && plan.model == emulator::LoaderModel::kDlioV2;
  options.io_timeout = seat.io_timeout;
  options.settle = seat.settle;
  return options;
}

}  // namespace

core::Result<RunPlan> MakePlan(const config::LoadedConfig& config,
                               const PlanOptions& options) {
  const WorkloadConfig& workload = config.workload;
  const config::DatasetConfig& data = workload.dataset;
  RunPlan plan;
  STOKER_ASSIGN(plan.format, formats::FindFormat(data.format));
  STOKER_TRY(CheckKeys(workload));
  plan.sizes = {.record_length = data.record_length_bytes,
                .stdev = data.record_length_bytes_stdev,
                .resize = data.record_length_bytes_resize};
  plan.samples_per_file = static_cast<std::uint32_t>(data.num_samples_per_file);
  plan.chunk_edge = ChunkEdgeOf(data);
  plan.returned_bytes = dataset::ReturnedBytes(plan.sizes);
  STOKER_ASSIGN(plan.model,
                emulator::FindLoaderModel(workload.reader.loader_model));
  plan.shape = ShapeOf(workload, plan.model, *plan.format);
  plan.epochs = static_cast<std::uint32_t>(workload.train.epochs);
  plan.train = OrderOf(data.num_files_train, data.num_samples_per_file,
                       workload.reader.batch_size, options.ranks);
  plan.eval = OrderOf(data.num_files_eval, data.num_samples_per_file,
                      workload.reader.batch_size_eval, options.ranks);
  if (workload.workflow.train) {
    STOKER_TRY(CheckReader(workload.reader, plan));
    STOKER_TRY(PlanTraining(config, plan));
    STOKER_TRY(CheckPipeline(config, plan));
    STOKER_TRY(PlanEvaluation(workload, plan));
    PlanCheckpoints(config, plan);
  }
  return plan;
}

std::uint32_t ChunkEdgeOf(const config::DatasetConfig& data) {
  return data.format == "hdf5" && data.enable_chunking
             ? dataset::ChunkEdge(static_cast<std::uint64_t>(data.chunk_size))
             : 0;
}

emulator::LoaderOptions TrainLoaderOptions(const config::LoadedConfig& config,
                                           const RunPlan& plan,
                                           const RankSeat& seat) {
  emulator::LoaderOptions options = CommonLoaderOptions(config, plan, seat);
  options.order = plan.train;
  options.steps = plan.steps;
  return options;
}

emulator::LoaderOptions EvalLoaderOptions(const config::LoadedConfig& config,
                                          const RunPlan& plan,
                                          const RankSeat& seat) {
  emulator::LoaderOptions options = CommonLoaderOptions(config, plan, seat);
  options.order = plan.eval;
  options.steps = plan.eval_steps;
  return options;
}

namespace {

// Sizes of a dataset all of whose samples are as large as the largest of
// `files`, or by less than two edges larger. Holds no list.
dataset::SizeModel LargestOf(const dataset::SizeModel& sizes,
                             std::int64_t files) {
  if (!(sizes.stdev > 0)) {
    return sizes;
  }
  dataset::ShapeCursor cursor(sizes);
  std::uint64_t largest = 0;
  for (std::int64_t i = 0; i < files; ++i) {
    largest =
        std::max(largest, cursor.At(static_cast<std::uint64_t>(i)).bytes());
  }
  const double edge = std::ceil(std::sqrt(static_cast<double>(largest)));
  return {.record_length = edge * edge, .stdev = 0, .resize = sizes.resize};
}

}  // namespace

core::Result<std::uint64_t> LoaderBytesPerRank(
    const config::LoadedConfig& config, std::uint64_t ranks) {
  const WorkloadConfig& workload = config.workload;
  RunPlan plan;
  STOKER_ASSIGN(plan.format, formats::FindFormat(workload.dataset.format));
  STOKER_ASSIGN(plan.model,
                emulator::FindLoaderModel(workload.reader.loader_model));
  plan.shape = ShapeOf(workload, plan.model, *plan.format);
  plan.train = OrderOf(
      workload.dataset.num_files_train, workload.dataset.num_samples_per_file,
      workload.reader.batch_size, static_cast<std::uint32_t>(ranks));
  plan.steps = dataset::StepsPerEpoch(plan.train, -1);
  plan.sizes = {.record_length = workload.dataset.record_length_bytes,
                .stdev = workload.dataset.record_length_bytes_stdev,
                .resize = workload.dataset.record_length_bytes_resize};
  // The largest file stands for all.
  const dataset::Shapes shapes = dataset::Shapes::Make(
      LargestOf(plan.sizes, workload.dataset.num_files_train), 1);
  emulator::LoaderData data;
  data.format = plan.format;
  data.specs = {.shapes = &shapes,
                .train_files = shapes.files(),
                .samples_per_file = static_cast<std::uint32_t>(
                    workload.dataset.num_samples_per_file),
                .nominal_edge = dataset::NominalEdge(plan.sizes),
                .record_bytes = dataset::RecordBytes(plan.sizes),
                .chunk_edge = ChunkEdgeOf(workload.dataset)};
  data.returned_bytes = dataset::ReturnedBytes(plan.sizes);
  return emulator::PoolBytes(plan.shape, data,
                             TrainLoaderOptions(config, plan, {}),
                             storage::ReadLimits{}) +
         dataset::Shapes::TableBytes(plan.sizes,
                                     {.train_files = plan.train.files});
}

emulator::TimeSource MakeTimeSource(const config::LoadedConfig& config,
                                    const config::TimeSpec& spec,
                                    std::uint32_t rank, Purpose purpose) {
  using Kind = config::TimeSpec::Kind;
  using Model = emulator::TimeModel;
  Model model;
  switch (spec.kind) {
    case Kind::kNone:
      return {};
    case Kind::kConstant:
      model = {.kind = Model::Kind::kConstant, .a = spec.mean};
      break;
    case Kind::kNormal:
      model = {.kind = Model::Kind::kNormal, .a = spec.mean, .b = spec.stdev};
      break;
    case Kind::kUniform:
      model = {.kind = Model::Kind::kUniform, .a = spec.min, .b = spec.max};
      break;
    case Kind::kGamma:
      model = {.kind = Model::Kind::kGamma, .a = spec.shape, .b = spec.scale};
      break;
    case Kind::kExponential:
      model = {.kind = Model::Kind::kExponential, .a = spec.scale};
      break;
    case Kind::kPoisson:
      model = {.kind = Model::Kind::kPoisson, .a = spec.lam};
      break;
  }
  // Shuffling seeds the reference's ranks alike just before they draw; its
  // workers are seeded apart.
  const config::ReaderConfig& reader = config.workload.reader;
  const bool shuffles = reader.file_shuffle != config::Shuffle::kOff ||
                        reader.sample_shuffle != config::Shuffle::kOff;
  const bool alike =
      config.compat.v2_0 && shuffles && purpose != Purpose::kPreprocess;
  const std::uint64_t key =
      core::StreamKey(static_cast<std::uint64_t>(config.workload.train.seed),
                      static_cast<std::uint64_t>(purpose), alike ? 0 : rank);
  return {model, key};
}

std::string DescribeTime(const config::TimeSpec& spec) {
  using Kind = config::TimeSpec::Kind;
  switch (spec.kind) {
    case Kind::kNone:
      return "0";
    case Kind::kConstant:
      return fmt::format("{}", spec.mean);
    case Kind::kNormal:
      return fmt::format("normal(mean {}, stdev {})", spec.mean, spec.stdev);
    case Kind::kUniform:
      return fmt::format("uniform({} to {})", spec.min, spec.max);
    case Kind::kGamma:
      return fmt::format("gamma(shape {}, scale {})", spec.shape, spec.scale);
    case Kind::kExponential:
      return fmt::format("exponential(scale {})", spec.scale);
    case Kind::kPoisson:
      return fmt::format("poisson(lam {})", spec.lam);
  }
  return "";
}

}  // namespace stoker::run
