#include "run/internal/setup.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>
#include <variant>

#include "core/text.h"
#include "core/units.h"
#include "dataset/manifest.h"
#include "reporting/json.h"
#include "run/internal/host_checks.h"
#include "run/internal/preflight.h"

namespace stoker::run::internal {

namespace {

using core::Code;
using core::Status;
using reporting::Json;
using reporting::TextField;

Status CheckManifest(const dataset::Manifest& manifest, const RunPlan& plan) {
  if (manifest.sizes.record_length == plan.sizes.record_length &&
      manifest.sizes.stdev == plan.sizes.stdev &&
      manifest.samples_per_file == plan.samples_per_file &&
      manifest.chunk_edge == plan.chunk_edge) {
    return {};
  }
  const auto describe = [](const dataset::SizeModel& sizes,
                           std::uint64_t samples, std::uint32_t chunk_edge) {
    return fmt::format(
        "record_length_bytes={}, stdev={}, num_samples_per_file={}{}",
        sizes.record_length, sizes.stdev, samples,
        chunk_edge > 0 ? fmt::format(", chunks of {0} x {0}", chunk_edge)
                       : std::string());
  };
  return {
      Code::kInvalidArgument,
      fmt::format(
          "the dataset was generated with {}; this run wants {}; remedy: the "
          "same --params as for datagen, or another --data-dir",
          describe(manifest.sizes, manifest.samples_per_file,
                   manifest.chunk_edge),
          describe(plan.sizes, plan.samples_per_file, plan.chunk_edge))};
}

core::Result<dataset::Discovered> Look(const RankContext& context,
                                       storage::Backend& backend,
                                       const config::LoadedConfig& config,
                                       const RunPlan& plan) {
  const config::DatasetConfig& data = config.workload.dataset;
  STOKER_ASSIGN(dataset::Discovered found,
                dataset::Discover(
                    backend,
                    {.format = std::string(plan.format->name()),
                     .files_train = plan.train.files,
                     .files_eval = plan.eval.files,
                     .subfolders_train =
                         static_cast<std::uint64_t>(data.num_subfolders_train),
                     .subfolders_eval =
                         static_cast<std::uint64_t>(data.num_subfolders_eval)},
                    *context.clock));
  if (found.manifest.has_value()) {
    STOKER_TRY(CheckManifest(*found.manifest, plan)
                   .WithContext("dataset " + backend.uri()));
  }
  for (const std::string& warning : found.warnings) {
    context.console->Warn(warning);
  }
  return found;
}

Json NamingJson(const dataset::Naming& naming) {
  Json json = Json::MakeObject();
  json.Add("set", naming.set)
      .Add("prefix", naming.prefix)
      .Add("suffix", naming.suffix)
      .Add("total", std::to_string(naming.total))
      .Add("subfolders", std::to_string(naming.subfolders));
  return json;
}

core::Result<std::uint64_t> CountField(const Json& json, std::string_view key) {
  STOKER_ASSIGN(const std::int64_t count, core::ParseInt(TextField(json, key)));
  return static_cast<std::uint64_t>(count);
}

core::Result<dataset::Naming> ParseNaming(const Json* json) {
  if (json == nullptr) {
    return Status(Code::kCorruption, "rank 0's message about the dataset");
  }
  dataset::Naming naming;
  naming.set = TextField(*json, "set");
  naming.prefix = TextField(*json, "prefix");
  naming.suffix = TextField(*json, "suffix");
  STOKER_ASSIGN(naming.total, CountField(*json, "total"));
  STOKER_ASSIGN(naming.subfolders, CountField(*json, "subfolders"));
  return naming;
}

std::string Encode(const dataset::Discovered& found) {
  Json json = Json::MakeObject();
  json.Add("train", NamingJson(found.train))
      .Add("valid", NamingJson(found.valid))
      .Add("distinct", std::to_string(found.manifest.has_value()
                                          ? found.manifest->content.distinct
                                          : 0));
  return reporting::DumpJson(json, 0);
}

// All but the shapes.
core::Result<Dataset> Decode(std::string_view text) {
  STOKER_ASSIGN(const Json json, reporting::ParseJson(text));
  Dataset dataset;
  STOKER_ASSIGN(dataset.train, ParseNaming(json.Find("train")));
  STOKER_ASSIGN(dataset.valid, ParseNaming(json.Find("valid")));
  STOKER_ASSIGN(dataset.distinct, CountField(json, "distinct"));
  return dataset;
}

dataset::ShapeSets SetsOf(const Dataset& dataset, const RunPlan& plan) {
  return {.train_files = dataset.train.total,
          .valid_files = dataset.valid.total,
          .distinct = dataset.distinct,
          .train_used = plan.train.files,
          .valid_used = plan.eval.files};
}

// A number in a file of its own; `otherwise` where there is none ("max").
std::uint64_t NumberIn(const char* path, std::uint64_t otherwise) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? number : otherwise;
}

// The memory limit of the container (cgroup v2 or v1).
std::uint64_t CgroupMemoryLimit() {
  constexpr std::uint64_t kNone = UINT64_MAX;
  const std::uint64_t limit =
      std::min(NumberIn("/sys/fs/cgroup/memory.max", kNone),
               NumberIn("/sys/fs/cgroup/memory/memory.limit_in_bytes", kNone));
  return limit;
}

}  // namespace

std::uint64_t AvailableMemory() {
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    if (line.starts_with("MemAvailable:")) {
      const std::uint64_t host =
          std::stoull(line.substr(line.find(':') + 1)) * core::kKiB;
      return std::min(host, CgroupMemoryLimit());
    }
  }
  return UINT64_MAX;
}

namespace {

// `use`: what the bytes are for; `less`: what would make them fewer.
Status CheckMemory(std::uint64_t bytes_per_rank, int ranks_on_host,
                   std::string_view use, std::string_view less) {
  const std::uint64_t wanted =
      bytes_per_rank * static_cast<std::uint64_t>(ranks_on_host);
  const std::uint64_t available = AvailableMemory();
  if (wanted <= available) {
    return {};
  }
  return {
      Code::kInvalidArgument,
      fmt::format("the {} ranks of this host would take {} for {} ({} "
                  "each), {} are available; remedy: fewer accelerators "
                  "per host, or {}",
                  ranks_on_host, core::FormatBytes(static_cast<double>(wanted)),
                  use, core::FormatBytes(static_cast<double>(bytes_per_rank)),
                  core::FormatBytes(static_cast<double>(available)), less)};
}

}  // namespace

core::Result<Dataset> FindDataset(const RankContext& context,
                                  storage::Backend& backend,
                                  const config::LoadedConfig& config,
                                  const RunPlan& plan) {
  comm::Bytes message;
  Status status;
  if (context.comm->rank() == 0) {
    core::Result<dataset::Discovered> found =
        Look(context, backend, config, plan);
    status = found.status();
    if (found.ok()) {
      message = comm::ToBytes(Encode(found.value()));
    }
  }
  STOKER_TRY(comm::Agree(*context.comm, status));
  STOKER_TRY(context.comm->Broadcast(message, 0));
  STOKER_ASSIGN(Dataset dataset, Decode(comm::ToText(message)));
  const dataset::ShapeSets sets = SetsOf(dataset, plan);
  STOKER_TRY(comm::Agree(
      *context.comm,
      CheckMemory(dataset::Shapes::TableBytes(plan.sizes, sets),
                  context.comm->local_size(), "the sizes of the files",
                  "--distinct with datagen, or fewer files")));
  dataset.shapes = dataset::Shapes::Make(plan.sizes, sets);
  STOKER_TRY(
      comm::Agree(*context.comm, CompareDatasets(context, backend, dataset)));
  return dataset;
}

Status CheckBeforeRun(const RankContext& context, const TrainRequest& request,
                      const RunPlan& plan) {
  const auto identify = [&request] {
    return ReadHostIdentity(
        *request.config,
        {{"--data-dir", request.data_uri},
         {"--no-check", request.check ? "false" : "true"},
         {"--io-timeout",
          core::FormatSeconds(core::Seconds(request.io_timeout))}});
  };
  STOKER_TRY(comm::Agree(*context.comm, CompareHosts(context, identify)));
  const auto ranks = static_cast<std::uint64_t>(context.comm->size());
  return comm::Agree(
      *context.comm,
      CheckResultsRoom(request.folder, NeedOfResults(plan, ranks)));
}

emulator::LoaderData LoaderDataOf(storage::Backend& backend,
                                  const RunPlan& plan, const Dataset& dataset,
                                  bool valid) {
  return {.backend = &backend,
          .format = plan.format,
          .specs = {.shapes = &dataset.shapes,
                    .train_files = dataset.train.total,
                    .distinct = dataset.distinct,
                    .samples_per_file = plan.samples_per_file,
                    .nominal_edge = dataset::NominalEdge(plan.sizes),
                    .record_bytes = dataset::RecordBytes(plan.sizes),
                    .chunk_edge = plan.chunk_edge},
          .first_index = valid ? dataset.train.total : 0,
          .naming = valid ? dataset.valid : dataset.train,
          .returned_bytes = plan.returned_bytes};
}

Status CheckHost(std::uint64_t pool_bytes_per_rank, int ranks_on_host,
                 std::uint64_t files_open_per_rank) {
  STOKER_TRY(CheckMemory(pool_bytes_per_rank, ranks_on_host,
                         "request buffers, batches read ahead and tables",
                         "a smaller reader.prefetch_size or "
                         "reader.computation_threads"));
  // Beside the data: libraries, logs, pipes of the launcher.
  constexpr std::uint64_t kOthers = 64;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < files_open_per_rank + kOthers) {
    files.rlim_cur =
        std::min<rlim_t>(files.rlim_max, files_open_per_rank + kOthers);
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  if (files.rlim_cur < files_open_per_rank + kOthers) {
    return {Code::kInvalidArgument,
            fmt::format("a rank opens up to {} files at a time, the limit is "
                        "{}; remedy: ulimit -n {}",
                        files_open_per_rank, files.rlim_cur,
                        files_open_per_rank + kOthers)};
  }
  return {};
}

}  // namespace stoker::run::internal
