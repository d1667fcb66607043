#include "reporting/internal/checkpoint_json.h"

#include <fmt/format.h>

#include <string>

#include "core/units.h"
#include "reporting/internal/record_json.h"
#include "reporting/time_text.h"

namespace stoker::reporting {

using metrics::CheckpointKind;
using metrics::CheckpointOp;
using metrics::CheckpointSeries;

std::string_view KindName(CheckpointKind kind) {
  return kind == CheckpointKind::kSave ? "save" : "restore";
}

std::string_view ReferenceKindName(CheckpointKind kind) {
  return kind == CheckpointKind::kSave ? "save" : "load";
}

Json OpJson(const CheckpointOp& op) {
  Json json = Json::MakeObject();
  json.Add("kind", KindName(op.kind));
  json.Add("step", op.step);
  json.Add("start_ns", Count(op.start));
  json.Add("first_byte_ns", Count(op.first_byte));
  json.Add("last_byte_ns", Count(op.last_byte));
  json.Add("synced_ns", Count(op.synced));
  json.Add("end_ns", Count(op.end));
  json.Add("files", op.files);
  json.Add("payload_bytes", op.payload_bytes);
  json.Add("file_bytes", op.file_bytes);
  json.Add("model_part_ns", Count(op.model_part));
  json.Add("optimizer_part_ns", Count(op.optimizer_part));
  json.Add("fsync_ns", Count(op.fsync));
  json.Add("content_ns", Count(op.content));
  json.Add("checksum_ns", Count(op.checksum));
  json.Add("stalled_ns", Count(op.stalled));
  json.Add("cpu_ns", Count(op.cpu));
  json.Add("verified_bytes", op.verified_bytes);
  json.Add("cached_bytes", op.cached_known ? Json(op.cached_bytes) : Json());
  json.Add("device_bytes", op.device_known ? Json(op.device_bytes) : Json());
  return json;
}

Json CacheTierJson(const metrics::CacheTierRecord& cache) {
  if (!cache.known) return {};
  Json json = Json::MakeObject();
  json.Add("staged_bytes", cache.staged_bytes);
  json.Add("uploaded_bytes", cache.uploaded_bytes);
  json.Add("drain_ns", cache.drain.count());
  json.Add("restored_device_bytes", cache.restored_device_bytes);
  json.Add("restored_memory_bytes", cache.restored_memory_bytes);
  json.Add("restored_store_bytes", cache.restored_store_bytes);
  return json;
}

Json StatsJson(std::uint64_t bytes, const metrics::TimeAnchor& anchor,
               const CheckpointOp& op) {
  Json json = Json::MakeObject();
  json.Add("start", LocalTime(anchor.ToWall(op.start)));
  json.Add("end", LocalTime(anchor.ToWall(op.end)));
  json.Add("duration", core::Seconds(op.duration()));
  json.Add("throughput",
           core::ToGiB(metrics::CheckpointRate(bytes, op.duration())));
  return json;
}

void AddStandardSeries(CheckpointKind kind, const CheckpointSeries& series,
                       Json& json) {
  const std::string name =
      fmt::format("{}_checkpoint", ReferenceKindName(kind));
  const bool any = !series.each.empty();
  const auto value = [any](double number) {
    return any ? Json(number) : Json();
  };
  json.Add(name + "_io_mean_GB_per_second",
           value(core::ToGiB(series.rank0_rate.mean)));
  json.Add(name + "_io_stdev_GB_per_second",
           value(core::ToGiB(series.rank0_rate.stdev)));
  json.Add(name + "_duration_mean_seconds",
           value(series.rank0_duration_s.mean));
  json.Add(name + "_duration_stdev_seconds",
           value(series.rank0_duration_s.stdev));
}

metrics::RunFacts DefaultDataset(const metrics::CheckpointFacts& facts) {
  metrics::RunFacts dataset;
  dataset.num_accelerators = facts.num_processes;
  dataset.num_hosts = facts.num_hosts;
  dataset.num_files_train = 8;
  dataset.num_samples_per_file = 1;
  dataset.record_length_bytes = 65536;
  return dataset;
}

}  // namespace stoker::reporting
