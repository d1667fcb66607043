#include "reporting/json_report.h"

#include <string>

#include "core/units.h"
#include "reporting/internal/checkpoint_json.h"
#include "reporting/internal/file_output.h"
#include "reporting/internal/host_json.h"
#include "reporting/time_text.h"

namespace stoker::reporting {
namespace {

using metrics::PhaseFigures;
using metrics::RunRecord;
using metrics::RunSummary;

void AddStandardPhase(const std::string& phase, const PhaseFigures& figures,
                      Json& json) {
  json.Add(phase + "_au_percentage", figures.au_percent);
  json.Add(phase + "_au_mean_percentage", figures.au.mean);
  json.Add(phase + "_au_meet_expectation", figures.au_met ? "success" : "fail");
  json.Add(phase + "_au_stdev_percentage", figures.au.stdev);
  json.Add(phase + "_throughput_samples_per_second",
           figures.samples_per_second);
  json.Add(phase + "_throughput_mean_samples_per_second", figures.samples.mean);
  json.Add(phase + "_throughput_stdev_samples_per_second",
           figures.samples.stdev);
  json.Add(phase + "_io_mean_MB_per_second", figures.io_mib_per_second.mean);
  json.Add(phase + "_io_stdev_MB_per_second", figures.io_mib_per_second.stdev);
}

void AddOwnPhase(const std::string& phase, const PhaseFigures& figures,
                 Json& json) {
  json.Add(phase + "_throughput_unbiased_samples_per_second",
           figures.unbiased_samples_per_second);
  json.Add(phase + "_throughput_unbiased_mean_samples_per_second",
           figures.unbiased_samples.mean);
  json.Add(phase + "_throughput_unbiased_stdev_samples_per_second",
           figures.unbiased_samples.stdev);
  json.Add(phase + "_io_exact_GiB_per_second", figures.exact_gib_per_second);
  json.Add(phase + "_io_exact_mean_GiB_per_second", figures.exact_gib.mean);
  json.Add(phase + "_io_exact_stdev_GiB_per_second", figures.exact_gib.stdev);
}

void AddOwnRun(const RunSummary& summary, Json& json) {
  json.Add("au_min_over_ranks_percentage", summary.au_min.value);
  json.Add("au_min_rank", summary.au_min.rank);
  json.Add("au_max_over_ranks_percentage", summary.au_max.value);
  json.Add("au_max_rank", summary.au_max.rank);
  json.Add("step_load_mean_seconds", summary.step.load);
  json.Add("step_compute_mean_seconds", summary.step.compute);
  json.Add("step_barrier_mean_seconds", summary.step.barrier);
  json.Add("step_overshoot_mean_seconds", summary.step.overshoot);
  json.Add("step_overshoot_max_seconds", summary.overshoot_max.value);
  json.Add("step_overshoot_max_rank", summary.overshoot_max.rank);
  json.Add("load_share_percentage", 100 * summary.load_share);
  json.Add("compute_share_percentage", 100 * summary.compute_share);
  json.Add("barrier_share_percentage", 100 * summary.barrier_share);
  json.Add("overshoot_share_percentage", 100 * summary.overshoot_share);
  json.Add("longest_load_p50_seconds", summary.longest_load_p50);
  json.Add("longest_load_p99_seconds", summary.longest_load_p99);
  json.Add("longest_load_max_seconds", summary.longest_load_max);
  json.Add("bound", BoundName(summary.bound));
  json.Add("slowest_rank", summary.slowest_rank);
  json.Add("epoch_wall_seconds", summary.epoch_wall_seconds);
  json.Add("wall_seconds", summary.wall_seconds);
  json.Add("client_cpu_seconds", summary.cpu_seconds);
  json.Add("client_cpu_reading_seconds", core::Seconds(summary.cpu.reading));
  json.Add("client_cpu_checking_seconds", core::Seconds(summary.cpu.checking));
  json.Add("client_cpu_rest_seconds", core::Seconds(summary.cpu.rest));
  json.Add("client_cpu_percentage", summary.client_cpu_percent);
  json.Add("client_GiB_per_core_second", summary.gib_per_core_second);
  json.Add("train_steps", summary.steps);
  json.Add("train_samples", summary.samples);
  json.Add("train_payload_bytes", summary.payload_bytes);
  json.Add("discarded_bytes", summary.discarded_bytes);
  json.Add("discarded_samples", summary.discarded_samples);
  json.Add("files_opened", summary.files_opened);
  json.Add("samples_of_unexpected_size", summary.unexpected_sizes);
  json.Add("storage_reads", summary.reads.reads);
  json.Add("storage_read_bytes", summary.reads.bytes);
  json.Add("storage_read_errors", summary.reads.errors);
  json.Add("storage_read_latency_mean_seconds",
           summary.read_latency_mean_seconds);
  json.Add("storage_read_latency_max_seconds",
           core::Seconds(summary.reads.latency_max));
}

// Over all ranks, as the rules define and the reference's checker names it.
void AddOwnSaves(const metrics::CheckpointSeries& saves, Json& json) {
  json.Add("num_save_ops", saves.each.size());
  if (saves.each.empty()) return;
  json.Add("mean_of_max_save_duration", saves.duration_max_s.mean);
  json.Add("mean_of_min_save_throughput", core::ToGiB(saves.rate_min.mean));
}

Json MetricJson(const RunRecord& record, const RunSummary& summary) {
  Json json = Json::MakeObject();
  if (summary.saves) {
    AddStandardSeries(metrics::CheckpointKind::kSave, *summary.saves, json);
    json.Add("checkpoint_size_GB",
             core::ToGiB(static_cast<double>(
                 metrics::BytesOfCheckpoint(record.facts))));
  }
  AddStandardPhase("train", summary.train, json);
  if (summary.eval) AddStandardPhase("eval", *summary.eval, json);
  AddOwnPhase("train", summary.train, json);
  if (summary.eval) AddOwnPhase("eval", *summary.eval, json);
  AddOwnRun(summary, json);
  if (summary.saves) AddOwnSaves(*summary.saves, json);
  return json;
}

}  // namespace

Json SummaryJson(const RunRecord& record, const RunSummary& summary) {
  const metrics::RunFacts& facts = record.facts;
  Json json = Json::MakeObject();
  json.Add("start", LocalTime(record.started));
  json.Add("num_accelerators", facts.num_accelerators);
  json.Add("num_hosts", facts.num_hosts);
  json.Add("hostname", record.hosts.front().hostname);
  json.Add("metric", MetricJson(record, summary));
  json.Add("num_files_train", facts.num_files_train);
  json.Add("num_files_eval", facts.num_files_eval);
  json.Add("num_samples_per_file", facts.num_samples_per_file);
  AddHostFields(record.hosts, summary.hosts, json);
  json.Add("epochs", summary.epochs);
  json.Add("end", LocalTime(record.ended));

  json.Add("start_zoned", ZonedTime(record.started));
  json.Add("end_zoned", ZonedTime(record.ended));
  json.Add("au_target_percentage", facts.au_target * 100);
  json.Add("computation_time_configured_seconds", facts.computation_time);
  json.Add("op_stream_hash", record.op_stream_hash);
  json.Add("storage_notes", facts.storage_notes);
  json.Add("stoker_version", facts.tool_version);
  return json;
}

core::Status WriteSummary(const std::string& path, const RunRecord& record,
                          const RunSummary& summary) {
  return WriteFile(path, DumpJson(SummaryJson(record, summary), 4) + '\n');
}

}  // namespace stoker::reporting
