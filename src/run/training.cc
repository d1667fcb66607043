#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>

#include "dataset/op_stream.h"
#include "emulator/epoch.h"
#include "emulator/read_order.h"
#include "metrics/collect.h"
#include "metrics/host_facts.h"
#include "metrics/recorder.h"
#include "metrics/step_gather.h"
#include "metrics/summary.h"
#include "reporting/dlio_log.h"
#include "reporting/json_report.h"
#include "reporting/ledger_report.h"
#include "reporting/rank_report.h"
#include "reporting/record_report.h"
#include "reporting/result_folder.h"
#include "reporting/steps_csv.h"
#include "run/internal/cache_outlook.h"
#include "run/internal/epoch_witness.h"
#include "run/internal/live_view.h"
#include "run/internal/open_storage.h"
#include "run/internal/setup.h"
#include "run/internal/tell_order.h"
#include "run/internal/training_checkpoints.h"
#include "run/internal/training_events.h"
#include "run/phases.h"
#include "storage/registry.h"

namespace stoker::run {

namespace {

using core::Status;

metrics::WallTime WallNow() {
  return std::chrono::time_point_cast<core::Nanos>(
      std::chrono::system_clock::now());
}

// One rank's training, from the plan to the files of the result.
class Training final : private emulator::LoopObserver {
 public:
  Training(const RankContext& context, const TrainRequest& request,
           RunPlan plan)
      : context_(context),
        request_(request),
        workload_(request.config->workload),
        plan_(std::move(plan)),
        anchor_{.wall = WallNow(), .run = context.clock->Now()} {}

  Status Run() {
    STOKER_TRY(comm::Agree(*context_.comm, Open()));
    STOKER_ASSIGN(dataset_, internal::FindDataset(context_, *backend_,
                                                  *request_.config, plan_));
    STOKER_ASSIGN(seed_, ShuffleSeed());
    STOKER_ASSIGN(order_,
                  internal::OrderOfReads(context_, DataOf(false),
                                         LoaderOptionsOf(false), plan_));
    if (plan_.saves > 0) {
      STOKER_ASSIGN(checkpoints_, internal::TrainingCheckpoints::Make(
                                      context_, request_, plan_));
      plan_.warnings.insert(plan_.warnings.end(),
                            checkpoints_->warnings().begin(),
                            checkpoints_->warnings().end());
    }
    // All look before any takes its memory.
    STOKER_TRY(comm::Agree(*context_.comm, CheckRoom()));
    STOKER_TRY(comm::Agree(*context_.comm, Prepare()));
    if (order_ != nullptr) {
      backend_->HintOrder(*order_);
    }
    STOKER_TRY(internal::WarmUp(context_, plan_, dataset_, *backend_));
    STOKER_ASSIGN(outlook_, internal::LookAhead(context_, request_, plan_,
                                                dataset_, *backend_));
    STOKER_TRY(MakeLiveView());
    Announce();
    began_ = context_.clock->Now();
    Status status = Loop();
    if (status.ok() && checkpoints_ != nullptr) {
      status = comm::Agree(*context_.comm,
                           checkpoints_->Drain(context_, request_.io_timeout));
    }
    if (status.ok()) {
      status = Finish();
    }
    if (!status.ok() && log_ != nullptr) {
      static_cast<void>(log_->Error(Wall(), status.message()));
    }
    return status;
  }

 private:
  bool leads() const { return context_.comm->rank() == 0; }
  std::uint32_t rank() const {
    return static_cast<std::uint32_t>(context_.comm->rank());
  }
  metrics::WallTime Wall() const {
    return anchor_.ToWall(context_.clock->Now());
  }
  std::string PathOf(std::string_view file) const {
    return fmt::format("{}/{}", request_.folder, file);
  }

  Status Open() {
    STOKER_ASSIGN(backend_, internal::OpenStorage(context_, request_.data_uri,
                                                  request_.io_timeout));
    return {};
  }

  // `random` shuffles differ from run to run, but not from rank to rank.
  core::Result<std::uint32_t> ShuffleSeed() {
    auto seed = static_cast<std::uint32_t>(workload_.train.seed);
    if (workload_.reader.sample_shuffle != config::Shuffle::kRandom &&
        workload_.reader.file_shuffle != config::Shuffle::kRandom) {
      return seed;
    }
    comm::Bytes message;
    if (leads()) {
      message = comm::ToBytes(std::to_string(std::random_device{}()));
    }
    STOKER_TRY(context_.comm->Broadcast(message, 0));
    return static_cast<std::uint32_t>(std::stoul(comm::ToText(message)));
  }

  RankSeat Seat() const {
    return {.rank = rank(),
            .seed = seed_,
            .io_timeout = request_.io_timeout,
            .settle = context_.shares_cores,
            .check = request_.check};
  }
  emulator::LoaderOptions LoaderOptionsOf(bool valid) const {
    return valid ? EvalLoaderOptions(*request_.config, plan_, Seat())
                 : TrainLoaderOptions(*request_.config, plan_, Seat());
  }
  emulator::LoaderData DataOf(bool valid) const {
    return internal::LoaderDataOf(*backend_, plan_, dataset_, valid);
  }

  Status CheckRoom() {
    STOKER_ASSIGN(
        const auto queue,
        backend_->NewReadQueue({.depth = 1,
                                .access = emulator::AccessOf(
                                    DataOf(false), LoaderOptionsOf(false))},
                               *context_.clock));
    real_data_ = queue->limits().real_data;
    std::uint64_t pool = SavingBytes() + OrderBytes();
    std::uint64_t files = 0;
    for (const bool valid : {false, true}) {
      if (valid && plan_.eval_steps == 0) {
        break;
      }
      const emulator::LoaderOptions options = LoaderOptionsOf(valid);
      pool += emulator::PoolBytes(plan_.shape, DataOf(valid), options,
                                  queue->limits());
      files += emulator::OpenFiles(plan_.shape, DataOf(valid), options);
    }
    return internal::CheckHost(pool, context_.comm->local_size(), files);
  }

  Status Prepare() {
    STOKER_ASSIGN(train_loader_, MakeLoader(false));
    if (plan_.eval_steps > 0) {
      STOKER_ASSIGN(eval_loader_, MakeLoader(true));
    }
    const config::LoadedConfig& config = *request_.config;
    accelerator_ = std::make_unique<emulator::Accelerator>(
        MakeTimeSource(config, workload_.train.computation_time, rank(),
                       Purpose::kCompute),
        *context_.clock, *context_.cancel);
    eval_accelerator_ = std::make_unique<emulator::Accelerator>(
        MakeTimeSource(config, workload_.evaluation.eval_time, rank(),
                       Purpose::kEval),
        *context_.clock, *context_.cancel);
    FillFacts();
    host_ = metrics::ReadHostFacts();
    host_.ranks = static_cast<std::uint32_t>(context_.comm->local_size());
    STOKER_ASSIGN(auto recorder,
                  metrics::RankRecorder::Make(facts_, request_.folder));
    recorder_ = std::make_unique<metrics::RankRecorder>(std::move(recorder));
    witness_ = std::make_unique<internal::EpochWitness>(
        context_, *backend_,
        internal::EpochWitnessOptions{.names = dataset_.train,
                                      .files = plan_.train.files,
                                      .drop_caches = request_.drop_caches,
                                      .drop_limit = request_.io_timeout});
    STOKER_TRY(witness_->Check());
    return leads() ? OpenReports() : Status();
  }

  core::Result<std::unique_ptr<emulator::Loader>> MakeLoader(bool valid) const {
    return emulator::MakeLoader(plan_.shape, DataOf(valid),
                                LoaderOptionsOf(valid), *context_.clock,
                                *context_.cancel);
  }

  void FillFacts() {
    facts_.model = request_.model;
    facts_.accelerator = request_.accelerator;
    facts_.num_accelerators = static_cast<std::uint32_t>(context_.comm->size());
    facts_.num_hosts = static_cast<std::uint32_t>(context_.comm->node_count());
    facts_.epochs = plan_.epochs;
    facts_.batch_size = plan_.train.batch_size;
    facts_.batch_size_eval =
        static_cast<std::uint64_t>(workload_.reader.batch_size_eval);
    facts_.num_files_train = plan_.train.files;
    facts_.num_files_eval =
        static_cast<std::uint64_t>(workload_.dataset.num_files_eval);
    facts_.dataset_files_train = dataset_.train.total;
    facts_.dataset_files_eval = dataset_.valid.total;
    facts_.num_samples_per_file = plan_.samples_per_file;
    facts_.distinct_contents = dataset_.distinct;
    facts_.record_length_bytes = plan_.sizes.record_length;
    facts_.steps_per_epoch = plan_.steps;
    facts_.eval_steps = plan_.eval_steps;
    facts_.exclude_start_steps = workload_.metric.exclude_start_steps;
    facts_.exclude_end_steps = workload_.metric.exclude_end_steps;
    facts_.au_target = workload_.metric.au;
    facts_.computation_time = DescribeTime(workload_.train.computation_time);
    facts_.eval_time = DescribeTime(workload_.evaluation.eval_time);
    facts_.evaluation = plan_.eval_steps > 0;
    facts_.storage_uri = request_.data_uri;
    facts_.backend = backend_->scheme();
    facts_.storage_notes = storage::NotesOn(backend_->capabilities());
    facts_.engine = train_loader_->engine();
    facts_.loader_model = workload_.reader.loader_model;
    facts_.data_loader =
        workload_.reader.data_loader == config::DataLoader::kPytorch
            ? "pytorch"
            : "tensorflow";
    facts_.format = plan_.format->name();
    facts_.read_threads =
        static_cast<std::uint32_t>(workload_.reader.read_threads);
    if (checkpoints_ != nullptr) {
      facts_.checkpoints = checkpoints_->facts();
    }
    facts_.compat_v2_0 = request_.config->compat.v2_0;
    facts_.seed = seed_;
    facts_.content_checks = request_.check && real_data_;
    facts_.warm_up = request_.warm_up;
    facts_.tool_version = request_.tool;
    facts_.command_line = request_.command_line;
  }

  Status OpenReports() {
    metrics::RunRecord running;
    running.facts = facts_;
    running.started = anchor_.wall;
    STOKER_TRY(reporting::WriteRecord(PathOf(reporting::kRecordFile), running));
    STOKER_ASSIGN(auto csv,
                  reporting::StepsCsv::Make(PathOf(reporting::kStepsFile)));
    steps_csv_ = std::make_unique<reporting::StepsCsv>(std::move(csv));
    STOKER_ASSIGN(auto log,
                  reporting::DlioLog::Open(PathOf(workload_.output.log_file),
                                           reporting::DlioLog::Mode::kNew));
    log_ = std::make_unique<reporting::DlioLog>(std::move(log));
    STOKER_TRY(log_->RunStarted(anchor_.wall, facts_));
    for (const std::string& warning : plan_.warnings) {
      STOKER_TRY(Warn(warning));
    }
    return {};
  }

  // On the console and in the log; rank 0.
  Status Warn(const std::string& text) {
    context_.console->Warn(text);
    return log_->Warning(Wall(), text);
  }

  // Memory this rank takes to save checkpoints, at most.
  std::uint64_t SavingBytes() const {
    return checkpoints_ != nullptr ? checkpoints_->memory_bytes() : 0;
  }

  // And to tell its order.
  std::uint64_t OrderBytes() const {
    return order_ == nullptr
               ? 0
               : emulator::ReadOrderBytes(plan_.shape, LoaderOptionsOf(false));
  }

  // Memory this rank has taken for reading.
  std::uint64_t PoolBytes() const {
    return dataset_.shapes.table_bytes() + OrderBytes() +
           train_loader_->pool_bytes() +
           (eval_loader_ != nullptr ? eval_loader_->pool_bytes() : 0);
  }

  void Announce() {
    context_.console->Info(internal::StartEvent(facts_, PoolBytes()));
    if (outlook_.has_value() && request_.predict && leads()) {
      context_.console->Info(internal::ExpectationEvent(*outlook_));
    }
    context_.console->RestartProgress();
  }

  emulator::LoopOptions LoopOptionsOf() const {
    return {.epochs = plan_.epochs,
            .steps = plan_.steps,
            .evaluation = plan_.eval_steps > 0,
            .eval_steps = plan_.eval_steps,
            .eval_after_epoch = static_cast<std::uint32_t>(
                workload_.evaluation.eval_after_epoch),
            .epochs_between_evals = static_cast<std::uint32_t>(
                workload_.evaluation.epochs_between_evals),
            .checkpoints = plan_.checkpoints,
            .settle = context_.shares_cores};
  }

  // Rank 0 names the host of a slow rank.
  Status MakeLiveView() {
    STOKER_ASSIGN(const std::vector<comm::Bytes> names,
                  context_.comm->Gather(comm::ToBytes(host_.hostname), 0));
    if (!leads()) {
      return {};
    }
    internal::LivePlan plan{
        .epochs = plan_.epochs,
        .steps = plan_.steps,
        .eval_steps = plan_.eval_steps,
        .evaluations = emulator::EvaluationEpochs(LoopOptionsOf()).size(),
        .eval_compute = MeanEvalCompute(),
        .counted = metrics::TrainCounted(facts_),
        .hostname = {}};
    for (const comm::Bytes& name : names) {
      plan.hostname.push_back(comm::ToText(name));
    }
    live_ = std::make_unique<internal::LiveView>(std::move(plan));
    return {};
  }

  core::Nanos MeanEvalCompute() const {
    constexpr int kDraws = 64;
    emulator::TimeSource source =
        MakeTimeSource(*request_.config, workload_.evaluation.eval_time, rank(),
                       Purpose::kEval);
    core::Nanos sum{};
    for (int i = 0; i < kDraws; ++i) {
      sum += source.Next();
    }
    return sum / kDraws;
  }

  Status Loop() {
    const emulator::LoopOptions options = LoopOptionsOf();
    return emulator::RunEpochs(options,
                               {.comm = context_.comm,
                                .clock = context_.clock,
                                .cancel = context_.cancel,
                                .train_loader = train_loader_.get(),
                                .accelerator = accelerator_.get(),
                                .eval_loader = eval_loader_.get(),
                                .eval_accelerator = eval_accelerator_.get(),
                                .checkpoints = checkpoints_.get(),
                                .observer = this});
  }

  Status OnEpochStart(std::uint32_t epoch) override {
    recorder_->BeginEpoch();
    backend_->NoteEpoch(epoch, plan_.epochs);
    STOKER_TRY(witness_->Begin());
    if (leads()) {
      live_->BeginEpoch(epoch, context_.clock->Now());
      return log_->EpochStarted(Wall(), facts_, epoch);
    }
    return {};
  }

  void OnStep(std::uint32_t /*epoch*/, std::uint64_t /*step*/,
              const metrics::StepRecord& record,
              const comm::RankedValue& longest_load) override {
    if (leads()) {
      live_->AddStep(record, longest_load);
      ShowProgress();
    }
  }

  void OnSave(std::uint32_t epoch, const metrics::CheckpointOp& save) override {
    if (leads()) {
      live_->BeginBlock();
      context_.console->Info(internal::SaveEvent(facts_, epoch, save));
    }
  }

  void OnEvalStep(std::uint32_t /*epoch*/, std::uint64_t /*step*/,
                  const metrics::StepRecord& record) override {
    if (leads()) {
      live_->AddEvalStep(record);
      ShowProgress();
    }
  }

  void ShowProgress() {
    if (context_.console->ProgressDue(context_.clock->Now())) {
      context_.console->Progress(live_->ProgressEvent());
    }
  }

  Status OnEpochEnd(metrics::EpochRecord&& record) override {
    STOKER_TRY(witness_->End(record));
    if (record.train_loader.unexpected_sizes > 0 && leads()) {
      STOKER_TRY(Warn(fmt::format(
          "epoch {}: {} samples have another size than dataset."
          "record_length_bytes implies; the nominal I/O rate is off",
          record.epoch, record.train_loader.unexpected_sizes)));
    }
    STOKER_ASSIGN(const std::vector<metrics::EpochRecord> ranks,
                  metrics::GatherSteps(*context_.comm, record));
    if (leads()) {
      STOKER_TRY(steps_csv_->AddEpoch(ranks));
      STOKER_TRY(log_->EpochFinished(facts_, anchor_, record));
      SayEpoch(ranks);
    }
    return recorder_->AddEpoch(std::move(record));
  }

  void SayEpoch(std::span<const metrics::EpochRecord> ranks) const {
    std::vector<metrics::EpochSummary> summaries;
    summaries.reserve(ranks.size());
    for (const metrics::EpochRecord& record : ranks) {
      summaries.push_back(metrics::SummariseEpoch(
          record, metrics::TrainCounted(facts_), metrics::EvalCounted(facts_)));
    }
    context_.console->Info(internal::EpochEvent(facts_, summaries));
  }

  Status Finish() {
    metrics::RankFacts rank_facts;
    rank_facts.rank = rank();
    rank_facts.op_stream_hash = train_loader_->op_stream_hash();
    rank_facts.pool_bytes = PoolBytes();
    if (eval_loader_ != nullptr) {
      rank_facts.op_stream_hash = core::StreamKey(
          rank_facts.op_stream_hash, eval_loader_->op_stream_hash());
    }
    rank_facts.engine = train_loader_->engine();
    rank_facts.anchor = anchor_;
    STOKER_TRY(comm::Agree(*context_.comm, reporting::WriteRankReports(
                                               request_.folder, facts_,
                                               rank_facts, host_, *recorder_)));
    STOKER_ASSIGN(metrics::RunRecord record,
                  metrics::Collect(*context_.comm, facts_, rank_facts, host_,
                                   *recorder_));
    STOKER_TRY(internal::LookAround(context_, began_, *backend_, outlook_));
    const Status status = leads() ? WriteReports(record) : Status();
    return comm::Agree(*context_.comm, status);
  }

  Status WriteReports(metrics::RunRecord& record) {
    std::vector<std::uint64_t> hashes;
    hashes.reserve(record.ranks.size());
    for (const metrics::RankRecord& rank_record : record.ranks) {
      hashes.push_back(rank_record.facts.op_stream_hash);
    }
    record.op_stream_hash = dataset::CombineHashes(hashes);
    record.longest_loads = live_->longest_loads();
    record.ledger = witness_->ledger();
    record.started = anchor_.wall;
    record.ended = Wall();
    const metrics::RunSummary summary = metrics::Summarise(record);
    if (outlook_.has_value()) {
      internal::LookBack(summary, *record.ledger, facts_.num_hosts, *backend_,
                         *outlook_);
      record.cache = outlook_;
    }
    STOKER_TRY(reporting::WriteSummary(PathOf(reporting::kSummaryFile), record,
                                       summary));
    STOKER_TRY(reporting::WriteLedger(PathOf(reporting::kLedgerFile),
                                      *record.ledger, record.hosts));
    STOKER_TRY(
        log_->RunFinished(record.ended, record, summary, request_.folder));
    // The record says "complete" only once all the others are there.
    STOKER_TRY(reporting::WriteRecord(PathOf(reporting::kRecordFile), record));
    context_.console->Info(
        internal::SummaryEvent(record, summary, request_.folder));
    if (request_.on_summary) {
      request_.on_summary(summary);
    }
    return {};
  }

  const RankContext& context_;
  const TrainRequest& request_;
  const config::WorkloadConfig& workload_;
  RunPlan plan_;
  metrics::TimeAnchor anchor_;
  core::TimePoint began_{};                    // the first epoch
  std::unique_ptr<storage::ReadOrder> order_;  // where storage is told
  std::unique_ptr<storage::Backend> backend_;
  internal::Dataset dataset_;
  std::uint32_t seed_ = 0;
  bool real_data_ = true;
  std::unique_ptr<emulator::Loader> train_loader_;
  std::unique_ptr<emulator::Loader> eval_loader_;
  std::unique_ptr<internal::TrainingCheckpoints> checkpoints_;  // if any
  std::unique_ptr<emulator::Accelerator> accelerator_;
  std::unique_ptr<emulator::Accelerator> eval_accelerator_;
  metrics::RunFacts facts_;
  metrics::HostFacts host_;
  std::unique_ptr<metrics::RankRecorder> recorder_;
  std::unique_ptr<internal::EpochWitness> witness_;
  std::optional<metrics::CacheOutlook> outlook_;  // with a cache of ours
  // Rank 0 only.
  std::unique_ptr<reporting::StepsCsv> steps_csv_;
  std::unique_ptr<reporting::DlioLog> log_;
  std::unique_ptr<internal::LiveView> live_;
};

}  // namespace

Status RunTraining(const RankContext& context, const TrainRequest& request) {
  core::Result<RunPlan> plan =
      MakePlan(*request.config,
               {.ranks = static_cast<std::uint32_t>(context.comm->size())});
  STOKER_TRY(comm::Agree(*context.comm, plan.status()));
  STOKER_TRY(internal::CheckBeforeRun(context, request, plan.value()));
  return Training(context, request, std::move(plan).value()).Run();
}

}  // namespace stoker::run
