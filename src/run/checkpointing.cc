#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/restore.h"
#include "checkpoint/save.h"
#include "checkpoint/verify.h"
#include "comm/communicator.h"
#include "core/text.h"
#include "core/units.h"
#include "metrics/checkpoint_collect.h"
#include "metrics/checkpoint_summary.h"
#include "metrics/economics.h"
#include "metrics/host_facts.h"
#include "reporting/checkpoint_report.h"
#include "reporting/dlio_log.h"
#include "reporting/record_report.h"
#include "reporting/result_folder.h"
#include "rules/checkpoint_rules.h"
#include "run/checkpoint_phases.h"
#include "run/checkpoint_plan.h"
#include "run/internal/between.h"
#include "run/internal/checkpoint_events.h"
#include "run/internal/host_checks.h"
#include "run/internal/open_storage.h"
#include "run/internal/preflight.h"
#include "run/internal/retire.h"
#include "run/internal/setup.h"
#include "storage/registry.h"

namespace stoker::run {

namespace {

using core::Code;
using core::Status;
using metrics::CheckpointKind;

metrics::WallTime WallNow() {
  return std::chrono::time_point_cast<core::Nanos>(
      std::chrono::system_clock::now());
}

std::string_view NameOf(Between between) {
  switch (between) {
    case Between::kNone:
      return "none";
    case Between::kFlush:
      return "flush";
    case Between::kDropCaches:
      return "drop-caches";
    case Between::kCommand:
      return "command";
  }
  return "";
}

// What was saved may have to be written back first.
constexpr core::Nanos kDropCachesLimit = std::chrono::hours(1);
constexpr std::uint64_t kEpoch = 1;  // of all step folders, as the reference

// One rank's checkpoint run, from the plan to the files of the result.
class Checkpointing {
 public:
  Checkpointing(const RankContext& context, const CheckpointRequest& request,
                CheckpointPlan plan)
      : context_(context),
        request_(request),
        plan_(std::move(plan)),
        mine_(plan_.restores > 0 || plan_.saves > 0
                  ? checkpoint::FilesOf(plan_.model, plan_.layout, rank())
                  : std::vector<checkpoint::ShardFile>()) {
    rank_.anchor = {.wall = WallNow(), .run = context.clock->Now()};
  }

  Status Run() {
    STOKER_TRY(Prepare());
    Status status = Phases();
    if (status.ok()) {
      status = Finish();
    }
    if (!status.ok() && log_ != nullptr) {
      static_cast<void>(log_->Error(Wall(), status.message()));
    }
    return status;
  }

 private:
  comm::Communicator& comm() { return *context_.comm; }
  bool leads() const { return context_.comm->rank() == 0; }
  std::uint32_t rank() const {
    return static_cast<std::uint32_t>(context_.comm->rank());
  }
  metrics::WallTime Wall() const {
    return rank_.anchor.ToWall(context_.clock->Now());
  }
  std::string PathOf(std::string_view file) const {
    return fmt::format("{}/{}", request_.folder, file);
  }

  // --- Before anything is timed ---------------------------------------------

  Status Prepare() {
    auto opened =
        internal::OpenStorage(context_, request_.uri, request_.io_timeout);
    STOKER_TRY(comm::Agree(comm(), opened.status()));
    backend_ = std::move(opened).value();
    STOKER_TRY(CompareHosts());
    host_ = metrics::ReadHostFacts();
    host_.ranks = static_cast<std::uint32_t>(context_.comm->local_size());
    STOKER_TRY(comm::Agree(comm(), CheckRoom()));
    STOKER_ASSIGN(save_id_, checkpoint::DrawSaveId(comm()));
    STOKER_TRY(MakeFacts());
    if (plan_.saves == 0) {
      STOKER_TRY(Find());
    }
    STOKER_TRY(comm::Agree(comm(), leads() ? OpenReports() : Status()));
    if (leads()) {
      context_.console->Info(
          internal::CheckpointStartEvent(facts_, request_.pool_bytes));
    }
    return {};
  }

  Status CompareHosts() {
    const auto identify = [this] {
      return internal::ReadHostIdentity(
          *request_.config,
          {{"--checkpoint-folder", request_.uri},
           {"--io",
            request_.io == checkpoint::IoStyle::kLean ? "lean" : "reference"},
           {"--between", std::string(NameOf(request_.between))},
           {"--keep", fmt::to_string(request_.keep)},
           {"--pool", fmt::to_string(request_.pool_bytes)}});
    };
    STOKER_TRY(comm::Agree(comm(), internal::CompareHosts(context_, identify)));
    const bool asks = plan_.saves > 0 && backend_->capabilities().stores_data;
    return comm::Agree(
        comm(),
        asks ? internal::CheckSharedPlace(context_, *backend_) : Status());
  }

  // Files this rank has open at once: one, and its queue's.
  Status CheckRoom() {
    constexpr std::uint64_t kOpenFiles = 64;
    STOKER_TRY(internal::CheckHost(request_.pool_bytes,
                                   context_.comm->local_size(), kOpenFiles));
    if (!leads() || plan_.saves == 0) {
      return {};
    }
    STOKER_ASSIGN(const std::uint64_t bytes, backend_->FreeBytes());
    STOKER_ASSIGN(const std::uint64_t objects, backend_->FreeObjects());
    STOKER_ASSIGN(const std::uint64_t there, CountThere());
    return internal::CheckRoomForCheckpoints(bytes, objects, plan_,
                                             request_.keep, there);
  }

  // Checkpoints that will be overwritten.
  core::Result<std::uint64_t> CountThere() {
    std::uint64_t there = 0;
    for (std::uint64_t step = 1; step <= plan_.saves; ++step) {
      const auto size = storage::ObjectSize(
          *backend_,
          checkpoint::ObjectName(checkpoint::StepFolder(kEpoch, step),
                                 checkpoint::kManifestName),
          *context_.clock);
      if (!size.ok() && size.status().code() != Code::kNotFound) {
        return size.status();
      }
      there += size.ok() ? 1 : 0;
    }
    return there;
  }

  // Collective: whether the rules want caches cleared, by what each host holds
  // and has.
  Status JudgeCaches() {
    std::uint64_t payload = 0;
    for (const checkpoint::ShardFile& file : mine_) {
      payload += file.payload_bytes();
    }
    const std::string message = fmt::format("{} {} {}", context_.comm->node(),
                                            payload, host_.memory_bytes);
    STOKER_ASSIGN(const std::vector<comm::Bytes> all,
                  comm::AllGather(comm(), comm::ToBytes(message)));
    struct Host {
      std::uint64_t payload = 0;
      std::uint64_t memory = 0;
    };
    std::vector<Host> hosts(
        static_cast<std::size_t>(context_.comm->node_count()));
    for (const comm::Bytes& bytes : all) {
      const std::string text = comm::ToText(bytes);
      const std::vector<std::string_view> words = core::Split(text, ' ');
      STOKER_ASSIGN(const std::int64_t node, core::ParseInt(words.at(0)));
      STOKER_ASSIGN(const std::int64_t held, core::ParseInt(words.at(1)));
      STOKER_ASSIGN(const std::int64_t memory, core::ParseInt(words.at(2)));
      Host& host = hosts.at(static_cast<std::size_t>(node));
      host.payload += static_cast<std::uint64_t>(held);
      host.memory = static_cast<std::uint64_t>(memory);
    }
    for (const Host& host : hosts) {
      facts_.largest_bytes_per_host =
          std::max(facts_.largest_bytes_per_host, host.payload);
      facts_.clear_needed =
          facts_.clear_needed || rules::ClearNeeded(host.memory, host.payload);
    }
    return {};
  }

  Status MakeFacts() {
    const config::WorkloadConfig& workload = request_.config->workload;
    facts_.model = request_.model;
    facts_.num_processes = plan_.layout.ranks;
    facts_.num_hosts = static_cast<std::uint32_t>(context_.comm->node_count());
    facts_.tensor = plan_.layout.tensor;
    facts_.pipeline = plan_.layout.pipeline;
    facts_.data = plan_.layout.data;
    facts_.zero_stage = plan_.layout.zero_stage;
    facts_.subset = plan_.subset;
    facts_.parameters = plan_.parameters;
    facts_.model_bytes = plan_.bytes.model;
    facts_.optimizer_bytes = plan_.bytes.optimizer;
    facts_.checkpoint_bytes = plan_.reported_bytes;
    facts_.stored_bytes = plan_.stored_bytes;
    facts_.files = plan_.bytes.files;
    facts_.saves = plan_.saves;
    facts_.restores = plan_.restores;
    facts_.format = checkpoint::NameOf(plan_.format);
    facts_.io =
        request_.io == checkpoint::IoStyle::kLean ? "lean" : "reference";
    facts_.verify = checkpoint::NameOf(plan_.verify);
    facts_.fsync = plan_.fsync;
    facts_.rank_sync = plan_.rank_sync;
    facts_.rank_shift = plan_.rank_shift;
    facts_.compat_v2_0 = request_.config->compat.v2_0;
    facts_.between = NameOf(request_.between);
    facts_.seconds_between_checkpoints = plan_.seconds_between_checkpoints;
    facts_.save_id = save_id_;
    facts_.storage_uri = request_.uri;
    facts_.backend = backend_->scheme();
    facts_.storage_notes = storage::NotesOn(backend_->capabilities());
    facts_.warm_up = request_.warm_up;
    facts_.tool_version = request_.tool;
    facts_.command_line = request_.command_line;
    log_file_ = workload.output.log_file;
    return JudgeCaches();
  }

  Status OpenReports() {
    metrics::CheckpointRecord running;
    running.facts = facts_;
    running.started = rank_.anchor.wall;
    STOKER_TRY(reporting::WriteCheckpointRecord(PathOf(reporting::kRecordFile),
                                                running));
    STOKER_ASSIGN(auto log,
                  reporting::DlioLog::Open(PathOf(log_file_),
                                           reporting::DlioLog::Mode::kNew));
    log_ = std::make_unique<reporting::DlioLog>(std::move(log));
    STOKER_TRY(log_->RunStarted(rank_.anchor.wall, facts_));
    for (const std::string& warning : plan_.warnings) {
      STOKER_TRY(Warn(warning));
    }
    if (plan_.rank_shift && context_.comm->node_count() == 1) {
      STOKER_TRY(
          Warn("checkpoint.recovery_rank_shift has no effect on one host: "
               "every rank restores its own files"));
    }
    return {};
  }

  // On the console and in the log; rank 0.
  Status Warn(const std::string& text) {
    context_.console->Warn(text);
    return log_->Warning(Wall(), text);
  }

  // --- The phases ------------------------------------------------------------

  Status Phases() {
    STOKER_TRY(Save());
    STOKER_TRY(comm::Agree(comm(), Drain()));
    if (plan_.restores == 0) {
      return {};
    }
    if (plan_.saves > 0) {
      STOKER_TRY(Find());
    }
    STOKER_TRY(comm::Agree(comm(), DoBetween()));
    return Restore();
  }

  checkpoint::ShardContext ShardContextOf() {
    checkpoint::ShardContext shards;
    shards.backend = backend_.get();
    shards.clock = context_.clock;
    shards.cancel = context_.cancel;
    shards.style = request_.io;
    shards.pool_bytes = request_.pool_bytes;
    shards.io_timeout = request_.io_timeout;
    if (leads()) {
      shards.progress = [this](std::uint64_t bytes) {
        const core::TimePoint now = context_.clock->Now();
        if (context_.console->ProgressDue(now)) {
          progress_.bytes = bytes;
          progress_.elapsed = now - progress_start_;
          context_.console->Progress(
              internal::CheckpointProgressEvent(progress_));
        }
      };
    }
    return shards;
  }

  // Also before the first: as the reference.
  Status Pause() {
    const core::TimePoint until =
        context_.clock->Now() +
        core::FromSeconds(plan_.seconds_between_checkpoints);
    while (context_.clock->Now() < until) {
      if (context_.cancel->IsSet()) {
        return {Code::kCancelled, "asked to stop"};
      }
      context_.clock->SleepUntil(std::min(
          until, context_.clock->Now() +
                     std::chrono::milliseconds(core::kCancelPollMillis)));
    }
    return {};
  }

  // A checkpoint is about to be saved or restored.
  Status Begin(CheckpointKind kind, std::uint64_t number) {
    STOKER_TRY(Pause());
    const bool save = kind == CheckpointKind::kSave;
    progress_ = {.kind = kind,
                 .number = number,
                 .count = save ? plan_.saves : plan_.restores,
                 .bytes = 0,
                 .all = stored_mine_,
                 .elapsed = {}};
    progress_start_ = context_.clock->Now();
    return leads() ? log_->CheckpointStarted(Wall(), kind, number) : Status();
  }

  Status Done(const metrics::CheckpointOp& op) {
    rank_.ops.push_back(op);
    if (!leads()) {
      return {};
    }
    context_.console->Info(internal::CheckpointDoneEvent(facts_, op));
    return log_->CheckpointFinished(rank_.anchor, op, op.step,
                                    facts_.checkpoint_bytes);
  }

  Status Save() {
    if (plan_.saves == 0) {
      return {};
    }
    checkpoint::Saver saver(comm(), ShardContextOf(),
                            {.format = plan_.format,
                             .fsync = plan_.fsync,
                             .in_place = request_.config->compat.v2_0,
                             .rank_sync = plan_.rank_sync,
                             .random = plan_.random},
                            {.tool = "stoker " + request_.tool,
                             .model = request_.model,
                             .spec = plan_.model,
                             .layout = plan_.layout,
                             .save_id = save_id_});
    stored_mine_ = saver.stored_bytes();
    rank_.pool_bytes = saver.pool_bytes();
    for (std::uint64_t i = 1; i <= plan_.saves; ++i) {
      STOKER_TRY(comm::Agree(comm(), Begin(CheckpointKind::kSave, i)));
      STOKER_ASSIGN(const metrics::CheckpointOp op, saver.Save(kEpoch, i));
      STOKER_TRY(comm::Agree(comm(), Done(op)));
      STOKER_TRY(Retire(i));
    }
    return {};
  }

  // What a cache acknowledged is brought to the store: in no save's time, but
  // said. Before restores, so that it is in none of theirs either.
  Status Drain() {
    if (plan_.saves > 0) {
      const core::TimePoint start = context_.clock->Now();
      STOKER_TRY(
          internal::DrainStorage(context_, *backend_, request_.io_timeout));
      rank_.cache.drain = context_.clock->Now() - start;
    }
    before_restores_ =
        backend_->CacheActivity().value_or(storage::CacheCounts());
    return {};
  }

  // Of restores, by what served them.
  void NoteCacheTier() {
    const std::optional<storage::CacheCounts> counts =
        backend_->CacheActivity();
    metrics::CacheTierRecord& cache = rank_.cache;
    cache.known = counts.has_value();
    if (counts.has_value()) {
      cache.staged_bytes = counts->staged_bytes;
      cache.uploaded_bytes = counts->uploaded_bytes;
      cache.restored_device_bytes =
          counts->hit_bytes - before_restores_.hit_bytes;
      cache.restored_memory_bytes =
          counts->memory_bytes - before_restores_.memory_bytes;
      cache.restored_store_bytes =
          counts->store_bytes - before_restores_.store_bytes;
    }
  }

  // --keep: what is older than the last so many goes, untimed.
  Status Retire(std::uint64_t saved) {
    if (request_.keep == 0 || saved <= request_.keep) {
      return {};
    }
    return internal::RetireCheckpoint(
        context_, *backend_,
        checkpoint::StepFolder(kEpoch, saved - request_.keep));
  }

  // The first of those that Retire leaves.
  std::uint64_t FirstKept() const {
    return request_.keep == 0 || plan_.saves <= request_.keep
               ? 1
               : plan_.saves - request_.keep + 1;
  }

  Status Find() {
    STOKER_ASSIGN(found_,
                  checkpoint::FindCheckpoints(comm(), ShardContextOf(),
                                              plan_.model, plan_.layout,
                                              {.epoch = kEpoch,
                                               .first_step = FirstKept(),
                                               .count = plan_.restores,
                                               .rank_shift = Shift(),
                                               .foreign = request_.foreign}));
    return {};
  }

  std::uint32_t Shift() const {
    return plan_.rank_shift && context_.comm->node_count() > 1
               ? static_cast<std::uint32_t>(context_.comm->local_size())
               : 0;
  }

  Status DoBetween() {
    const core::TimePoint start = context_.clock->Now();
    Status status;
    const bool host_leader = context_.comm->local_rank() == 0;
    switch (request_.between) {
      case Between::kNone:
        break;
      case Between::kFlush:
        status = Flush();
        break;
      case Between::kDropCaches:
        status = host_leader ? internal::DropCaches(
                                   {.limit = kDropCachesLimit,
                                    .remedy = "run as root, --between flush "
                                              "(the checkpoint's own pages), "
                                              "or --between command:\"sudo "
                                              "...\""},
                                   *context_.cancel)
                             : Status();
        break;
      case Between::kCommand:
        status = host_leader ? internal::RunShellCommand(
                                   request_.between_command, *context_.clock,
                                   *context_.cancel)
                             : Status();
        break;
    }
    rank_.between = {.what = std::string(NameOf(request_.between)),
                     .duration = context_.clock->Now() - start};
    return status;
  }

  // What this rank will restore; it may lie in this host's memory whoever
  // wrote it.
  Status Flush() {
    const auto files = checkpoint::FilesOf(
        plan_.model, plan_.layout, (rank() + Shift()) % plan_.layout.ranks);
    for (const checkpoint::FoundCheckpoint& found : found_) {
      const std::string folder = checkpoint::StepFolder(kEpoch, found.step);
      for (const checkpoint::ShardFile& file : files) {
        STOKER_TRY(backend_->Forget(checkpoint::ObjectName(folder, file.name)));
      }
    }
    return {};
  }

  Status Restore() {
    checkpoint::Restorer restorer(comm(), ShardContextOf(),
                                  {.verify = plan_.verify,
                                   .rank_sync = plan_.rank_sync,
                                   .rank_shift = Shift(),
                                   .format = plan_.format},
                                  plan_.model, plan_.layout);
    for (const checkpoint::FoundCheckpoint& found : found_) {
      STOKER_TRY(
          comm::Agree(comm(), Begin(CheckpointKind::kRestore, found.step)));
      STOKER_ASSIGN(const metrics::CheckpointOp op, restorer.Restore(found));
      STOKER_TRY(comm::Agree(comm(), Done(op)));
    }
    facts_.engine = restorer.engine();
    rank_.pool_bytes = std::max(rank_.pool_bytes, restorer.pool_bytes());
    return {};
  }

  // --- Afterwards
  // -----------------------------------------------------------

  Status Finish() {
    STOKER_ASSIGN(const metrics::ClockOffset offset,
                  metrics::AlignClocks(comm(), *context_.clock));
    rank_.clock_offset = offset.offset;
    rank_.clock_error = offset.error;
    rank_.rank = rank();
    NoteCacheTier();
    STOKER_TRY(comm::Agree(comm(), reporting::WriteCheckpointRankReports(
                                       request_.folder, facts_, rank_, host_)));
    STOKER_ASSIGN(metrics::CheckpointRecord record,
                  metrics::CollectCheckpoints(comm(), facts_, rank_, host_));
    return comm::Agree(comm(), leads() ? WriteReports(record) : Status());
  }

  std::optional<metrics::CheckpointEconomics> EconomicsOf(
      const metrics::CheckpointSummary& summary) const {
    if (request_.accelerators == 0) {
      return std::nullopt;
    }
    const auto input = metrics::EconomicsInputOf(summary, request_.accelerators,
                                                 request_.mtbf);
    return input.has_value() ? std::optional(metrics::Economics(*input))
                             : std::nullopt;
  }

  Status WriteReports(metrics::CheckpointRecord& record) {
    record.started = rank_.anchor.wall;
    record.ended = Wall();
    const metrics::CheckpointSummary summary =
        metrics::SummariseCheckpoints(record);
    const auto economics = EconomicsOf(summary);
    STOKER_TRY(reporting::WriteCheckpointSummary(
        PathOf(reporting::kSummaryFile), record, summary, economics));
    STOKER_TRY(reporting::WriteCheckpointsCsv(
        PathOf(reporting::kCheckpointsFile), record));
    STOKER_TRY(
        log_->RunFinished(record.ended, record, summary, request_.folder));
    // The record says "complete" only once all the others are there.
    STOKER_TRY(reporting::WriteCheckpointRecord(PathOf(reporting::kRecordFile),
                                                record));
    context_.console->Info(internal::CheckpointSummaryEvent(
        record, summary, economics, request_.folder));
    return {};
  }

  const RankContext& context_;
  const CheckpointRequest& request_;
  CheckpointPlan plan_;
  std::vector<checkpoint::ShardFile> mine_;
  std::unique_ptr<storage::Backend> backend_;
  metrics::CheckpointFacts facts_;
  metrics::CheckpointRankRecord rank_;
  metrics::HostFacts host_;
  storage::CacheCounts before_restores_;
  std::uint64_t save_id_ = 0;
  std::uint64_t stored_mine_ = 0;
  std::vector<checkpoint::FoundCheckpoint> found_;
  internal::CheckpointProgress progress_;
  core::TimePoint progress_start_{};
  // Rank 0 only.
  std::string log_file_;
  std::unique_ptr<reporting::DlioLog> log_;
};

}  // namespace

Status RunCheckpointing(const RankContext& context,
                        const CheckpointRequest& request) {
  core::Result<CheckpointPlan> plan = MakeCheckpointPlan(
      *request.config, static_cast<std::uint32_t>(context.comm->size()));
  STOKER_TRY(comm::Agree(*context.comm, plan.status()));
  return Checkpointing(context, request, std::move(plan).value()).Run();
}

}  // namespace stoker::run
