#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "core/units.h"
#include "formats/registry.h"
#include "generators/generate.h"
#include "run/internal/host_checks.h"
#include "run/internal/preflight.h"
#include "run/phases.h"
#include "storage/registry.h"

namespace stoker::run {

namespace {

using core::Status;

constexpr core::Nanos kProgressInterval = std::chrono::milliseconds(500);

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
  plan.content.distinct = request.distinct;
  plan.write_index = request.write_index;
  plan.tool = request.tool;
  return plan;
}

void ReportDone(const RankContext& context, const DatagenRequest& request,
                const generators::GeneratePlan& plan,
                const generators::GenerateResult& result) {
  const std::string place =
      fmt::format("{} {} files{} in {}",
                  core::FormatCount(plan.train.total + plan.valid.total),
                  plan.format->name(),
                  plan.content.distinct > 0
                      ? fmt::format(" ({} distinct contents, the rest hard "
                                    "links)",
                                    plan.content.distinct)
                      : std::string(),
                  request.data_uri);
  if (result.reused) {
    context.console->Info(
        fmt::format("dataset: {}: already there, nothing to do", place));
    return;
  }
  const double seconds = core::Seconds(result.elapsed);
  const double bytes = static_cast<double>(result.bytes) *
                       static_cast<double>(context.comm->size());
  context.console->Info(
      fmt::format("dataset: {}: done in {}, about {}/s", place,
                  core::FormatSeconds(seconds),
                  core::FormatBytes(seconds > 0 ? bytes / seconds : 0)));
}

// That all hosts are about to do the same, in one place, which has room.
Status CheckPlace(const RankContext& context, const DatagenRequest& request,
                  const generators::GeneratePlan& plan,
                  storage::Backend& backend) {
  const internal::HostIdentity mine = internal::ReadHostIdentity(
      *request.config, {{"--data-dir", request.data_uri},
                        {"--distinct", std::to_string(request.distinct)}});
  STOKER_TRY(comm::Agree(*context.comm, internal::CompareHosts(context, mine)));
  Status room;
  if (Leads(context)) {
    const auto contents = [&](std::uint64_t total) {
      return request.distinct == 0 ? total : std::min(total, request.distinct);
    };
    room = internal::CheckObjectRoom(
        backend, contents(plan.train.total) + contents(plan.valid.total));
  }
  STOKER_TRY(comm::Agree(*context.comm, room));
  return comm::Agree(*context.comm,
                     internal::CheckSharedPlace(context, backend));
}

}  // namespace

core::Status RunDatagen(const RankContext& context,
                        const DatagenRequest& request) {
  const core::Result<generators::GeneratePlan> planned = PlanOf(request);
  STOKER_TRY(comm::Agree(*context.comm, planned.status()));
  const generators::GeneratePlan& plan = planned.value();
  const core::Result<std::unique_ptr<storage::Backend>> opened =
      storage::OpenBackend(request.data_uri);
  STOKER_TRY(comm::Agree(*context.comm, opened.status()));
  storage::Backend& backend = *opened.value();
  STOKER_TRY(CheckPlace(context, request, plan, backend));
  core::TimePoint next_progress{};
  const auto progress = [&](std::uint64_t done, std::uint64_t mine,
                            std::uint64_t bytes) {
    const core::TimePoint now = context.clock->Now();
    if (context.console->shows_progress() && now >= next_progress) {
      next_progress = now + kProgressInterval;
      context.console->Progress(
          fmt::format("datagen: rank 0 {} of {} files, {}", done, mine,
                      core::FormatBytes(static_cast<double>(bytes))));
    }
  };
  context.console->Info(fmt::format(
      "datagen: {} files of {} samples to {} with {} processes",
      core::FormatCount(plan.train.total + plan.valid.total),
      plan.samples_per_file, request.data_uri, context.comm->size()));
  STOKER_ASSIGN(
      const generators::GenerateResult result,
      generators::Generate(*context.comm, backend, plan, *context.clock,
                           *context.cancel, progress));
  ReportDone(context, request, plan, result);
  return {};
}

}  // namespace stoker::run
