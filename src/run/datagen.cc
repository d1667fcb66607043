#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "core/units.h"
#include "formats/registry.h"
#include "generators/delete.h"
#include "generators/generate.h"
#include "generators/payload.h"
#include "generators/verify.h"
#include "run/internal/host_checks.h"
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
  plan.tool = request.tool;
  return plan;
}

std::string Rate(std::uint64_t bytes, core::Nanos elapsed) {
  const double seconds = core::Seconds(elapsed);
  return fmt::format(
      "{} ({} bytes) in {}, {:.2f} GiB/s",
      core::FormatBytes(static_cast<double>(bytes)), bytes,
      core::FormatSeconds(seconds),
      seconds > 0 ? core::ToGiB(static_cast<double>(bytes)) / seconds : 0);
}

// The phases share a back end and a progress line.
class Datagen {
 public:
  Datagen(const RankContext& context, const DatagenRequest& request)
      : context_(context), request_(request) {}

  Status Run() {
    auto opened = storage::OpenBackend(request_.data_uri);
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
    return [this, line = internal::ShareProgress(
                      verb, static_cast<std::uint64_t>(context_.comm->size()),
                      context_.clock->Now())](
               const generators::OwnProgress& own) mutable {
      const core::TimePoint now = context_.clock->Now();
      if (context_.console->ProgressDue(now)) {
        context_.console->Progress(line.Describe(own, now));
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
        return request_.distinct == 0 ? total
                                      : std::min(total, request_.distinct);
      };
      room = internal::CheckObjectRoom(
          *backend_, contents(plan.train.total) + contents(plan.valid.total));
    }
    STOKER_TRY(comm::Agree(*context_.comm, room));
    return comm::Agree(*context_.comm,
                       internal::CheckSharedPlace(context_, *backend_));
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
    ReportGenerated(plan, result);
    return {};
  }

  void ReportGenerated(const generators::GeneratePlan& plan,
                       const generators::GenerateResult& result) {
    std::string place = fmt::format(
        "{} {} files", core::FormatCount(plan.names()), plan.format->name());
    if (plan.content.distinct > 0) {
      place += fmt::format(" ({} distinct contents, the rest hard links)",
                           plan.content.distinct);
    }
    if (result.streams > 0) {
      place += fmt::format(" (the reference's bytes for {} processes)",
                           result.streams);
    }
    place += fmt::format(" in {}", request_.data_uri);
    if (result.reused) {
      context_.console->Info(
          fmt::format("dataset: {}: already there, nothing to do", place));
      return;
    }
    if (result.replaced > 0) {
      context_.console->Warn(fmt::format(
          "{} files of these names were there without a {}, so that what they "
          "held was not known: they were replaced",
          core::FormatCount(result.replaced), dataset::kManifestName));
    }
    if (result.kept > 0) {
      context_.console->Info(fmt::format(
          "dataset: {} of {} files were whole already and are kept",
          core::FormatCount(result.kept), core::FormatCount(plan.names())));
    }
    context_.console->Info(fmt::format("dataset: {}: wrote {}", place,
                                       Rate(result.all_bytes, result.elapsed)));
  }

  Status Verify() {
    context_.console->Info(fmt::format("verify: {} with {} processes",
                                       request_.data_uri,
                                       context_.comm->size()));
    STOKER_ASSIGN(const generators::VerifyResult result,
                  generators::Verify(*context_.comm, *backend_, *context_.clock,
                                     *context_.cancel, ProgressOf("verify")));
    return comm::Agree(*context_.comm,
                       Leads(context_) ? ReportVerified(result) : Status());
  }

  Status ReportVerified(const generators::VerifyResult& result) {
    context_.console->Info(
        fmt::format("verify: {}", dataset::DescribeManifest(result.manifest)));
    std::string read = fmt::format("{} files", core::FormatCount(result.names));
    if (result.contents != result.names) {
      read += fmt::format(" ({} contents read)",
                          core::FormatCount(result.contents));
    }
    if (result.indexes > 0) {
      read +=
          fmt::format(", {} record indexes", core::FormatCount(result.indexes));
    }
    context_.console->Info(fmt::format(
        "verify: {}: read {}{}", read, Rate(result.bytes, result.elapsed),
        result.whole() ? ", every byte as generated" : ""));
    if (result.whole()) {
      return {};
    }
    for (const std::string& problem : result.problems) {
      context_.console->Print(
          LogLevel::kWarning,
          Event{.name = "bad_object", .text = "verify: " + problem});
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
    STOKER_ASSIGN(const generators::DeleteResult result,
                  generators::Delete(*context_.comm, *backend_, *context_.clock,
                                     *context_.cancel, ProgressOf("delete")));
    context_.console->Info(
        fmt::format("delete: {} in {} is gone: {} of its {} files were there, "
                    "and {} sidecars and indexes; {}",
                    dataset::DescribeManifest(result.manifest),
                    request_.data_uri, core::FormatCount(result.names),
                    core::FormatCount(result.manifest.train.total +
                                      result.manifest.valid.total),
                    core::FormatCount(result.others),
                    core::FormatSeconds(core::Seconds(result.elapsed))));
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
