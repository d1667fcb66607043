#include "run/checkpoint_sizing.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

#include "checkpoint/archive.h"
#include "checkpoint/restore.h"
#include "core/units.h"
#include "rules/checkpoint_rules.h"
#include "run/checkpoint_plan.h"
#include "run/internal/admission.h"
#include "run/internal/open_storage.h"
#include "run/internal/preflight.h"
#include "storage/registry.h"

namespace stoker::run {

namespace {

using reporting::Json;

std::string Bytes(std::uint64_t bytes) {
  return core::FormatBytes(static_cast<double>(bytes));
}

double Gib(std::uint64_t bytes) {
  return core::ToGiB(static_cast<double>(bytes));
}

// Everything that follows from a question.
struct Sizes {
  CheckpointPlan plan;
  std::vector<std::uint64_t> host_bytes;
  std::uint32_t most_ranks = 0;        // of a host
  std::optional<bool> clear_needed{};  // none: memory is not given
  internal::CheckpointRoom room;
  std::optional<double> seconds{};  // of a checkpoint; none: no rate is given
};

core::Result<Sizes> SizesOf(const CheckpointQuestion& question) {
  const std::vector<std::uint32_t>& hosts = question.ranks_of_host;
  Sizes sizes;
  STOKER_ASSIGN(
      sizes.plan,
      MakeCheckpointPlan(*question.config,
                         std::accumulate(hosts.begin(), hosts.end(), 0U)));
  sizes.host_bytes = BytesPerHost(sizes.plan, hosts);
  sizes.most_ranks = std::ranges::max(hosts);
  if (question.memory_gib_per_host > 0) {
    sizes.clear_needed = rules::ClearNeeded(
        static_cast<std::uint64_t>(question.memory_gib_per_host) * core::kGiB,
        sizes.host_bytes);
  }
  sizes.room = internal::RoomOfCheckpoints(sizes.plan, question.keep);
  if (question.gib_per_second > 0) {
    sizes.seconds = Gib(sizes.plan.bytes.total()) / question.gib_per_second;
  }
  return sizes;
}

std::string RankRange(const RankClass& group) {
  return group.first == group.last
             ? fmt::format("rank {}", group.first)
             : fmt::format("ranks {}-{}", group.first, group.last);
}

std::string ClassLine(const RankClass& group) {
  if (group.bytes.files == 0) {
    return fmt::format("  {}: none\n", RankRange(group));
  }
  return fmt::format(
      "  {}: {} ({} bytes) in {} file{}, {} of them of the model\n",
      RankRange(group), Bytes(group.bytes.total()),
      core::FormatCount(group.bytes.total()), group.bytes.files,
      group.bytes.files == 1 ? "" : "s", Bytes(group.bytes.model));
}

std::string ModelLines(const CheckpointQuestion& question,
                       const CheckpointPlan& plan) {
  const checkpoint::Layout& layout = plan.layout;
  std::string text = fmt::format(
      "{}: {} parameters on {} ranks{}: tensor {}, pipeline {}, data {}, ZeRO "
      "{}\n",
      question.model, core::FormatCount(plan.parameters), layout.ranks,
      plan.subset ? " (a subset)" : "", layout.tensor, layout.pipeline,
      layout.data, layout.zero_stage);
  text += fmt::format(
      "Checkpoint: {} ({} bytes) of tensors: {} of the model, {} of the "
      "optimizer; {} files of {} together, format {}\n",
      Bytes(plan.bytes.total()), core::FormatCount(plan.bytes.total()),
      Bytes(plan.bytes.model), Bytes(plan.bytes.optimizer),
      core::FormatCount(plan.bytes.files), Bytes(plan.stored_bytes),
      checkpoint::NameOf(plan.format));
  text += "Tensors of each rank:\n";
  for (const RankClass& group : plan.classes) {
    text += ClassLine(group);
  }
  return text;
}

std::string HostLine(const Sizes& sizes) {
  const auto [least, most] = std::ranges::minmax(sizes.host_bytes);
  if (sizes.host_bytes.size() == 1) {
    return fmt::format("One host: {}\n", Bytes(most));
  }
  return least == most
             ? fmt::format("Each of {} hosts: {}\n", sizes.host_bytes.size(),
                           Bytes(most))
             : fmt::format("Each of {} hosts: {} to {}\n",
                           sizes.host_bytes.size(), Bytes(least), Bytes(most));
}

std::string ClearLine(const CheckpointQuestion& question, const Sizes& sizes) {
  if (!sizes.clear_needed) {
    return fmt::format(
        "Caches: must be cleared between saving and restoring where a host has "
        "more than {} of memory, {} times its part\n",
        Bytes(rules::kClearMultiple * std::ranges::min(sizes.host_bytes)),
        rules::kClearMultiple);
  }
  return fmt::format(
      "Caches: {} cleared between saving and restoring: {} GiB of memory are "
      "{} than {} times a host's part\n",
      *sizes.clear_needed ? "must be" : "need not be",
      question.memory_gib_per_host, *sizes.clear_needed ? "more" : "not more",
      rules::kClearMultiple);
}

std::string RunLines(const CheckpointQuestion& question, const Sizes& sizes) {
  const CheckpointPlan& plan = sizes.plan;
  std::string text = fmt::format(
      "Run: {} written, {} read; {} ({} bytes) and {} files and folders on "
      "storage at once{}\n",
      plan.saves, plan.restores, Bytes(sizes.room.bytes),
      core::FormatCount(sizes.room.bytes),
      core::FormatCount(sizes.room.objects),
      question.keep > 0 ? fmt::format(", {} kept", question.keep) : "");
  text += fmt::format(
      "Memory: {} for requests in each rank, {} in a host of {} ranks\n",
      Bytes(question.pool_bytes), Bytes(question.pool_bytes * sizes.most_ranks),
      sizes.most_ranks);
  text += ClearLine(question, sizes);
  if (sizes.seconds) {
    const double total = static_cast<double>(plan.saves + plan.restores) *
                         (*sizes.seconds + plan.seconds_between_checkpoints);
    text +=
        fmt::format("Time: {} a checkpoint at {} GiB/s, {} with all pauses\n",
                    core::FormatSeconds(*sizes.seconds),
                    question.gib_per_second, core::FormatSeconds(total));
  }
  return text;
}

template <class T>
Json OrNull(const std::optional<T>& value) {
  return value.has_value() ? Json(*value) : Json();
}

Json ClassesJson(const CheckpointPlan& plan) {
  Json::Array classes;
  for (const RankClass& group : plan.classes) {
    classes.push_back(Json::Object{{"first_rank", group.first},
                                   {"last_rank", group.last},
                                   {"model_bytes", group.bytes.model},
                                   {"optimizer_bytes", group.bytes.optimizer},
                                   {"bytes", group.bytes.total()},
                                   {"files", group.bytes.files},
                                   {"stored_bytes", group.stored_bytes}});
  }
  return classes;
}

Event EventOf(std::string name, const CheckpointQuestion& question,
              const Sizes& sizes) {
  const CheckpointPlan& plan = sizes.plan;
  const checkpoint::Layout& layout = plan.layout;
  Event event{.name = std::move(name)};
  event.text =
      ModelLines(question, plan) + HostLine(sizes) + RunLines(question, sizes);
  for (const std::string& warning : plan.warnings) {
    event.text += fmt::format("warning: {}\n", warning);
  }
  event.fields = {
      {"model", question.model},
      {"ranks", layout.ranks},
      {"hosts", question.ranks_of_host.size()},
      {"tensor", layout.tensor},
      {"pipeline", layout.pipeline},
      {"data", layout.data},
      {"zero_stage", layout.zero_stage},
      {"subset", plan.subset},
      {"parameters", plan.parameters},
      {"model_bytes", plan.bytes.model},
      {"optimizer_bytes", plan.bytes.optimizer},
      {"checkpoint_bytes", plan.bytes.total()},
      {"checkpoint_size_gib", Gib(plan.reported_bytes)},
      {"stored_bytes", plan.stored_bytes},
      {"files", plan.bytes.files},
      {"format", checkpoint::NameOf(plan.format)},
      {"verify", checkpoint::NameOf(plan.verify)},
      {"fsync", plan.fsync},
      {"rank_classes", ClassesJson(plan)},
      {"host_ranks", question.ranks_of_host},
      {"host_bytes", sizes.host_bytes},
      {"saves", plan.saves},
      {"restores", plan.restores},
      {"seconds_between_checkpoints", plan.seconds_between_checkpoints},
      {"room_bytes", sizes.room.bytes},
      {"room_objects", sizes.room.objects},
      {"pool_bytes", question.pool_bytes},
      {"host_pool_bytes", question.pool_bytes * sizes.most_ranks},
      {"clear_needed", OrNull(sizes.clear_needed)},
      {"seconds_per_checkpoint", OrNull(sizes.seconds)},
      {"storage_uri", question.uri},
      {"warnings", plan.warnings}};
  return event;
}

// What the place has left, if it can tell.
struct Free {
  std::optional<std::uint64_t> bytes{};
  std::optional<std::uint64_t> objects{};
  std::string problem{};  // why not
};

Free FreeOf(const std::string& uri) {
  const auto backend = internal::OpenBehindCaches(uri);
  if (!backend.ok()) {
    return {.problem = std::string(backend.status().message())};
  }
  const core::Result<std::uint64_t> bytes = backend.value()->FreeBytes();
  const core::Result<std::uint64_t> objects = backend.value()->FreeObjects();
  if (!bytes.ok() || !objects.ok()) {
    const core::Status failed = bytes.ok() ? objects.status() : bytes.status();
    return {.problem = std::string(failed.message())};
  }
  return {.bytes = bytes.value(), .objects = objects.value()};
}

// Adds what is free to the answer, and whether it is enough.
void AddFree(const CheckpointQuestion& question, const Sizes& sizes,
             Event& event) {
  const Free free = FreeOf(question.uri);
  event.fields.emplace_back("free_bytes", OrNull(free.bytes));
  event.fields.emplace_back("free_objects", OrNull(free.objects));
  if (!free.bytes || !free.objects) {
    event.text += fmt::format("Free: unknown: {}\n", free.problem);
    event.fields.emplace_back("fits", OrNull(std::optional<bool>()));
    return;
  }
  const core::Status fits = internal::CheckRoomForCheckpoints(
      *free.bytes, *free.objects, sizes.plan, question.keep);
  event.fields.emplace_back("fits", fits.ok());
  event.text += fmt::format(
      "Free: {} at {}: {}\n",
      *free.bytes == UINT64_MAX ? std::string("as much as wanted")
                                : Bytes(*free.bytes),
      question.uri,
      fits.ok() ? std::string("enough") : std::string(fits.message()));
}

}  // namespace

std::optional<std::int64_t> SubsetCopies(const config::LoadedConfig& config,
                                         std::string_view model,
                                         std::int64_t ranks) {
  if (!rules::WritesSubset(model, ranks)) {
    return std::nullopt;
  }
  const config::ModelConfig::Parallelism& shares =
      config.workload.model.parallelism;
  const std::int64_t closed = rules::ClosedRanks(model).value_or(0);
  return std::max<std::int64_t>(closed / (shares.tensor * shares.pipeline), 1);
}

core::Result<Event> DescribeCheckpointSizing(
    const CheckpointQuestion& question) {
  STOKER_ASSIGN(const Sizes sizes, SizesOf(question));
  Event event = EventOf("datasize", question, sizes);
  if (!question.uri.empty()) {
    AddFree(question, sizes, event);
  }
  event.text.pop_back();  // the break
  return event;
}

core::Result<Event> DescribeCheckpointPlan(const CheckpointQuestion& question) {
  STOKER_ASSIGN(const Sizes sizes, SizesOf(question));
  Event event = EventOf("plan", question, sizes);
  event.text += fmt::format("Place: {}", question.uri);
  return event;
}

Admission AdmitCheckpoints(const CheckpointAdmissionRequest& request) {
  const CheckpointQuestion& question = request.question;
  const core::Result<Sizes> sized = SizesOf(question);
  if (!sized.ok()) {
    return {};
  }
  const CheckpointPlan& plan = sized.value().plan;
  const rules::Judgement judgement = rules::Judge(rules::CheckpointClaim{
      .model = question.model,
      .overrides = request.overrides,
      .ranks = plan.layout.ranks,
      .model_ranks = plan.layout.model_ranks(),
      .subset = plan.subset,
      .hosts = question.ranks_of_host.size(),
      .least_ranks_per_host = std::ranges::min(question.ranks_of_host),
      .saves = plan.saves,
      .restores = plan.restores,
      .fsync = plan.fsync,
      .raw = plan.format == checkpoint::FileFormat::kRaw,
      .foreign = request.foreign,
      .keeps_all = question.keep == 0,
      .compat_v2_0 = question.config->compat.v2_0,
      .reference_io = request.reference_io,
      .clear_needed = sized.value().clear_needed,
      .clears = request.clears,
      .memory_needed = !request.what_if,
      .real_storage = internal::IsRealStorage(question.uri)});
  return internal::AdmissionOf(judgement, request.division,
                               request.allow_invalid);
}

}  // namespace stoker::run
