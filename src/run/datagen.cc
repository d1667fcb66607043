#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/units.h"
#include "formats/registry.h"
#include "generators/delete.h"
#include "generators/generate.h"
#include "generators/payload.h"
#include "generators/verify.h"
#include "run/internal/datagen_events.h"
#include "run/internal/host_checks.h"
#include "run/internal/open_storage.h"
#include "run/internal/preflight.h"
#include "run/internal/share_progress.h"
#include "run/phases.h"
#include "run/plan.h"
#include "storage/registry.h"

namespace stoker::run {

namespace {

using core::Status;

dataset::Naming NamingOf(const config::DatasetConfig& data,
                         std::string_view set, std::int64_t files,
                         std::int64_t subfolders) {
  return {.set = std::string(set),
          .prefix = data.file_prefix,
          .suffix = data.format,
          .total = static_cast<std::uint64_t>(files),
          .subfolders = static_cast<std::uint64_t>(subfolders)};
}

core::Result<generators::GeneratePlan> PlanOf(const DatagenRequest& request) {
  const config::DatasetConfig& data = request.config->workload.dataset;
  generators::GeneratePlan plan;
  STOKER_ASSIGN(plan.format, formats::FindFormat(data.format));
  plan.train =
      NamingOf(data, "train", data.num_files_train, data.num_subfolders_train);
  plan.valid =
      NamingOf(data, "valid", data.num_files_eval, data.num_subfolders_eval);
  plan.samples_per_file = static_cast<std::uint32_t>(data.num_samples_per_file);
  plan.sizes = {.record_length = data.record_length_bytes,
                .stdev = data.record_length_bytes_stdev,
                .resize = data.record_length_bytes_resize};
  plan.chunk_edge = ChunkEdgeOf(data);
  plan.content.mode = request.content;
  plan.content.distinct = request.distinct;
  plan.write_index = request.write_index;
  plan.replace = request.replace;
  plan.block_bytes = static_cast<std::uint64_t>(data.generation_buffer_size);
  plan.tool = request.tool;
  return plan;
}

// "2 unfinished files (1.2 GiB) of killed writers": what was swept.
std::string Swept(const storage::Unfinished& swept) {
  return fmt::format("{} unfinished files ({}) of killed writers",
                     core::FormatCount(swept.objects),
                     core::FormatBytes(static_cast<double>(swept.bytes)));
}

// The phases share a back end and a progress line.
class Datagen {
 public:
  Datagen(const RankContext& context, const DatagenRequest& request)
      : context_(context), request_(request) {}

  Status Run() {
    auto opened =
        internal::OpenStorage(context_, request_.data_uri, request_.io_timeout);
    STOKER_TRY(comm::Agree(*context_.comm, opened.status()));
    backend_ = std::move(opened).value();
    STOKER_TRY(CompareHosts());
    switch (request_.action) {
      case DatagenAction::kGenerate:
        return Generate();
      case DatagenAction::kVerify:
        return Verify();
      case DatagenAction::kDelete:
        return Delete();
    }
    return {};
  }

 private:
  generators::OnProgress ProgressOf(std::string_view verb) {
    if (!Leads(context_)) {
      return {};
    }
    context_.console->RestartProgress();
    return [this, verb, start = core::TimePoint(),
            line = std::optional<internal::ShareProgress>()](
               const generators::OwnProgress& own) mutable {
      const core::TimePoint now = context_.clock->Now();
      if (!line) {
        start = now;
        line.emplace(verb, now);
      }
      // What is said before a wait stands until its end; shares of a second are
      // not worth it, unless rank 0 had much less to do than others.
      const auto ranks = static_cast<std::uint64_t>(context_.comm->size());
      const bool waits =
          own.waiting && (now - start >= std::chrono::seconds(1) ||
                          2 * ranks * own.files_mine < own.files_all);
      if (context_.console->ProgressDue(now) || waits) {
        context_.console->Progress(line->Describe(own, now));
      }
    };
  }

  Status CompareHosts() {
    const auto identify = [this] {
      return internal::ReadHostIdentity(
          *request_.config,
          {{"--data-dir", request_.data_uri},
           {"--content", request_.content},
           {"--distinct", std::to_string(request_.distinct)}});
    };
    return comm::Agree(*context_.comm,
                       internal::CompareHosts(context_, identify));
  }

  // That the place has room, and is one.
  Status CheckPlace(const generators::GeneratePlan& plan) {
    Status room;
    if (Leads(context_)) {
      const auto contents = [&](std::uint64_t total) {
        return dataset::DistinctFiles(total, request_.distinct);
      };
      room = internal::CheckObjectRoom(
          *backend_, contents(plan.train.total) + contents(plan.valid.total));
    }
    STOKER_TRY(comm::Agree(*context_.comm, room));
    return CheckShared();
  }

  Status Generate() {
    const core::Result<generators::GeneratePlan> planned = PlanOf(request_);
    STOKER_TRY(comm::Agree(*context_.comm, planned.status()));
    const generators::GeneratePlan& plan = planned.value();
    STOKER_TRY(CheckPlace(plan));
    context_.console->Info(
        fmt::format("datagen: {} files of {} samples to {} with {} processes",
                    core::FormatCount(plan.names()), plan.samples_per_file,
                    request_.data_uri, context_.comm->size()));
    STOKER_ASSIGN(
        const generators::GenerateResult result,
        generators::Generate(*context_.comm, *backend_, plan, *context_.clock,
                             *context_.cancel, ProgressOf("datagen")));
    STOKER_TRY(comm::Agree(
        *context_.comm,
        internal::DrainStorage(context_, *backend_, request_.io_timeout)));
    ReportGenerated(plan, result);
    return {};
  }

  void ReportGenerated(const generators::GeneratePlan& plan,
                       const generators::GenerateResult& result) {
    if (result.replaced > 0) {
      context_.console->Warn(fmt::format(
          "{} files of these names were there without a {}, so that what they "
          "held was not known: they were replaced",
          core::FormatCount(result.replaced), dataset::kManifestName));
    }
    if (result.swept.objects > 0) {
      context_.console->Info("dataset: removed " + Swept(result.swept));
    }
    WarnOfBusy(result.swept);
    if (result.kept > 0 && !result.reused) {
      context_.console->Info(fmt::format(
          "dataset: {} of {} files were whole already and are kept",
          core::FormatCount(result.kept), core::FormatCount(plan.names())));
    }
    context_.console->Info(
        internal::GeneratedEvent(plan, result, request_.data_uri));
  }

  void WarnOfBusy(const storage::Unfinished& swept) {
    if (swept.busy > 0) {
      context_.console->Warn(fmt::format(
          "{} unfinished files stay, since their writers may still be at work; "
          "once these have ended datagen and --delete remove them (files of "
          "other hosts after five minutes)",
          core::FormatCount(swept.busy)));
    }
  }

  // Rank 0 looks around for all, so the others must see the same place.
  Status CheckShared() {
    return comm::Agree(*context_.comm,
                       internal::CheckSharedPlace(context_, *backend_));
  }

  // Where nothing can be written whether the place is shared cannot be tried.
  Status CheckSharedForReading() {
    Status shared = CheckShared();
    if (shared.os_error() != EROFS && shared.os_error() != EACCES &&
        shared.os_error() != EPERM) {
      return shared;
    }
    context_.console->Warn(fmt::format(
        "verify: {} cannot be written to, so whether all hosts see the same "
        "files was not tried; each host reads its share of what it sees",
        request_.data_uri));
    return {};
  }

  Status Verify() {
    STOKER_TRY(CheckSharedForReading());
    context_.console->Info(fmt::format("verify: {} with {} processes",
                                       request_.data_uri,
                                       context_.comm->size()));
    STOKER_ASSIGN(const generators::VerifyResult result,
                  generators::Verify(*context_.comm, *backend_, *context_.clock,
                                     *context_.cancel, ProgressOf("verify"),
                                     request_.io_timeout));
    return comm::Agree(*context_.comm,
                       Leads(context_) ? ReportVerified(result) : Status());
  }

  Status ReportVerified(const generators::VerifyResult& result) {
    context_.console->Info(
        fmt::format("verify: {}", dataset::DescribeManifest(result.manifest)));
    for (const generators::Problem& problem : result.problems) {
      context_.console->Warn(internal::ProblemEvent(problem));
    }
    const storage::Unfinished& hidden = result.unfinished;
    if (hidden.objects > 0) {
      context_.console->Warn(
          fmt::format("verify: {} lie hidden beside the dataset; datagen again "
                      "removes them",
                      Swept(hidden)));
    }
    context_.console->Info(internal::VerifiedEvent(result));
    if (result.whole()) {
      return {};
    }
    const std::uint64_t untold =
        result.bad + result.extra - result.problems.size();
    return {
        core::Code::kCorruption,
        fmt::format("verify {}: {} object(s) are missing or not as "
                    "generated, {} do not belong there{}; remedy: remove "
                    "what does not belong, delete the bad ones and call "
                    "datagen again, which writes what is missing",
                    request_.data_uri, result.bad, result.extra,
                    untold > 0 ? fmt::format(" ({} of them not listed)", untold)
                               : std::string())};
  }

  Status Delete() {
    STOKER_TRY(CheckShared());
    STOKER_ASSIGN(const generators::DeleteResult result,
                  generators::Delete(*context_.comm, *backend_, *context_.clock,
                                     *context_.cancel, ProgressOf("delete")));
    if (result.swept.objects > 0) {
      context_.console->Info("delete: removed " + Swept(result.swept));
    }
    context_.console->Info(internal::DeletedEvent(result, request_.data_uri));
    WarnOfBusy(result.swept);
    if (result.foreign > 0) {
      context_.console->Warn(
          fmt::format("{} files in its folders did not belong to it and stay",
                      core::FormatCount(result.foreign)));
    }
    return {};
  }

  const RankContext& context_;
  const DatagenRequest& request_;
  std::unique_ptr<storage::Backend> backend_;
};

}  // namespace

Status RunDatagen(const RankContext& context, const DatagenRequest& request) {
  return Datagen(context, request).Run();
}

core::Result<Event> DescribeDatagen(const DatagenRequest& request,
                                    std::int64_t processes) {
  STOKER_ASSIGN(generators::GeneratePlan plan, PlanOf(request));
  if (plan.content.mode == generators::kDlioMode) {
    plan.content.ranks = static_cast<std::uint64_t>(processes);
  }
  STOKER_TRY(generators::CheckContent(plan));
  const dataset::Manifest manifest = generators::ManifestOf(plan);
  Event event{.name = "plan"};
  event.text = fmt::format(
      "plan: {}\nplace: {}, written by {} processes\n"
      "payload: {} ({} bytes), stored: {} ({} bytes)",
      dataset::DescribeManifest(manifest), request.data_uri, processes,
      core::FormatBytes(static_cast<double>(manifest.payload_bytes)),
      manifest.payload_bytes,
      core::FormatBytes(static_cast<double>(manifest.stored_bytes)),
      manifest.stored_bytes);
  event.fields = {{"ranks", processes},
                  {"format", plan.format->name()},
                  {"files", manifest.train.total},
                  {"eval_files", manifest.valid.total},
                  {"samples_per_file", manifest.samples_per_file},
                  {"distinct_contents", manifest.content.distinct},
                  {"bytes", manifest.payload_bytes},
                  {"stored_bytes", manifest.stored_bytes},
                  {"storage_uri", request.data_uri}};
  return event;
}

}  // namespace stoker::run
