#include "reporting/checkpoint_report.h"

#include <fmt/format.h>

#include <utility>

#include "core/units.h"
#include "metrics/summary.h"
#include "reporting/internal/checkpoint_json.h"
#include "reporting/internal/file_output.h"
#include "reporting/internal/host_json.h"
#include "reporting/time_text.h"

namespace stoker::reporting {
namespace {

using metrics::CheckpointEconomics;
using metrics::CheckpointFacts;
using metrics::CheckpointFigures;
using metrics::CheckpointKind;
using metrics::CheckpointRecord;
using metrics::CheckpointSeries;
using metrics::CheckpointSummary;
using metrics::MeanStdev;

Json MaybeJson(const auto& value) { return value ? Json(*value) : Json(); }

Json MetricJson(const CheckpointFacts& facts,
                const CheckpointSummary& summary) {
  Json json = Json::MakeObject();
  AddStandardSeries(CheckpointKind::kSave, summary.saves, json);
  if (!summary.restores.each.empty())
    AddStandardSeries(CheckpointKind::kRestore, summary.restores, json);
  json.Add("checkpoint_size_GB",
           core::ToGiB(static_cast<double>(facts.checkpoint_bytes)));
  return json;
}

// The names under which the reference's checker keeps what the rules define.
void AddCheckedFigures(CheckpointKind kind, const CheckpointSeries& series,
                       Json& json) {
  const std::string_view name = ReferenceKindName(kind);
  json.Add(fmt::format("num_{}_ops", name), series.each.size());
  if (series.each.empty()) return;
  std::vector<double> least;
  least.reserve(series.each.size());
  for (const CheckpointFigures& figures : series.each)
    least.push_back(core::ToGiB(figures.rate_min));
  json.Add(fmt::format("mean_of_max_{}_duration", name),
           series.duration_max_s.mean);
  json.Add(fmt::format("mean_of_min_{}_throughput", name),
           core::ToGiB(series.rate_min.mean));
  json.Add(fmt::format("min_throughput_list_{}", name), least);
  json.Add(fmt::format("calculated_mean_{}_throughput_from_strict_times", name),
           core::ToGiB(series.rate_strict.mean));
}

Json FiguresJson(const CheckpointFigures& figures) {
  Json json = Json::MakeObject();
  json.Add("step", figures.step);
  json.Add("duration_max_seconds", core::Seconds(figures.duration_max));
  json.Add("slowest_rank", figures.slowest_rank);
  json.Add("throughput_min_GiB_per_second", core::ToGiB(figures.rate_min));
  json.Add("strict_span_seconds", core::Seconds(figures.strict_span));
  json.Add("throughput_strict_GiB_per_second",
           core::ToGiB(figures.rate_strict));
  json.Add("rank0_duration_seconds", core::Seconds(figures.rank0_duration));
  json.Add("rank0_throughput_GiB_per_second", core::ToGiB(figures.rank0_rate));
  json.Add("fsync_max_seconds", core::Seconds(figures.fsync_max));
  json.Add("stalled_max_seconds", core::Seconds(figures.stalled_max));
  json.Add("content_sum_seconds", core::Seconds(figures.content_sum));
  json.Add("checksum_sum_seconds", core::Seconds(figures.checksum_sum));
  json.Add("client_cpu_seconds", core::Seconds(figures.cpu_sum));
  json.Add("file_bytes", figures.file_bytes);
  if (figures.kind == CheckpointKind::kRestore) {
    json.Add("verified_bytes", figures.verified_bytes);
    json.Add("cached_fraction", MaybeJson(figures.cached_fraction));
    json.Add("device_bytes", MaybeJson(figures.device_bytes));
    json.Add("cache_state", metrics::NameOf(metrics::CacheStateOf(figures)));
  }
  return json;
}

Json SeriesJson(const CheckpointSeries& series) {
  if (series.each.empty()) return {};
  const auto add_rate = [](const std::string& name, const MeanStdev& rate,
                           Json& json) {
    json.Add(name + "_mean_GiB_per_second", core::ToGiB(rate.mean));
    json.Add(name + "_stdev_GiB_per_second", core::ToGiB(rate.stdev));
  };
  Json::Array each;
  for (const CheckpointFigures& figures : series.each)
    each.push_back(FiguresJson(figures));
  Json json = Json::MakeObject();
  json.Add("duration_max_mean_seconds", series.duration_max_s.mean);
  json.Add("duration_max_stdev_seconds", series.duration_max_s.stdev);
  add_rate("throughput_min", series.rate_min, json);
  add_rate("throughput_strict", series.rate_strict, json);
  json.Add("bound", BoundName(series.bound));
  json.Add("slowest_rank", series.slowest_rank);
  json.Add("client_cpu_seconds", core::Seconds(series.cpu_sum));
  json.Add("client_cpu_seconds_per_GiB", series.cpu_s_per_gib);
  json.Add("checkpoints", std::move(each));
  return json;
}

Json EconomicsJson(const std::optional<CheckpointEconomics>& economics) {
  if (!economics) return {};
  const metrics::CheckpointEconomicsInput& input = economics->input;
  Json json = Json::MakeObject();
  json.Add("accelerators", input.accelerators);
  json.Add("mtbf_seconds", core::Seconds(input.mtbf));
  json.Add("save_seconds", core::Seconds(input.save));
  json.Add("restore_seconds", core::Seconds(input.restore));
  json.Add("young_interval_seconds", economics->young_interval_s);
  json.Add("daly_interval_seconds", economics->daly_interval_s);
  json.Add("goodput", economics->goodput);
  json.Add("lost_to_saving", economics->lost_to_saving);
  json.Add("lost_to_failures", economics->lost_to_failures);
  json.Add("lost_accelerator_hours_per_day",
           economics->lost_accelerator_hours_per_day);
  return json;
}

Json OwnJson(const CheckpointRecord& record, const CheckpointSummary& summary,
             const std::optional<CheckpointEconomics>& economics) {
  const CheckpointFacts& facts = record.facts;
  Json json = Json::MakeObject();
  json.Add("stoker_version", facts.tool_version);
  json.Add("start_zoned", ZonedTime(record.started));
  json.Add("end_zoned", ZonedTime(record.ended));
  json.Add("model", facts.model);
  json.Add("storage_notes", facts.storage_notes);
  json.Add("format", facts.format);
  json.Add("io", facts.io);
  json.Add("fsync", facts.fsync);
  json.Add("verify", facts.verify);
  json.Add("checkpoint_size_GiB",
           core::ToGiB(static_cast<double>(facts.checkpoint_bytes)));
  json.Add("checkpoint_stored_bytes", facts.stored_bytes);
  json.Add("checkpoint_files", facts.files);
  AddCheckedFigures(CheckpointKind::kSave, summary.saves, json);
  AddCheckedFigures(CheckpointKind::kRestore, summary.restores, json);
  json.Add("save", SeriesJson(summary.saves));
  json.Add("restore", SeriesJson(summary.restores));
  json.Add("restored_from_cache", summary.restored_from_cache);
  json.Add("cache_tier", CacheTierJson(summary.cache));
  json.Add("between", facts.between);
  json.Add("between_max_seconds", core::Seconds(summary.between_max));
  json.Add("clear_needed", facts.clear_needed);
  json.Add("largest_bytes_per_host", facts.largest_bytes_per_host);
  json.Add("clock_error_max_seconds", core::Seconds(summary.clock_error_max));
  json.Add("economics", EconomicsJson(economics));
  json.Add("warnings", CheckpointWarnings(record, summary));
  return json;
}

}  // namespace

Json CheckpointSummaryJson(
    const CheckpointRecord& record, const CheckpointSummary& summary,
    const std::optional<CheckpointEconomics>& economics) {
  const CheckpointFacts& facts = record.facts;
  const metrics::RunFacts dataset = DefaultDataset(facts);
  Json json = Json::MakeObject();
  json.Add("start", LocalTime(record.started));
  json.Add("num_accelerators", facts.num_processes);
  json.Add("num_hosts", facts.num_hosts);
  json.Add("hostname", record.hosts.front().hostname);
  json.Add("metric", MetricJson(facts, summary));
  json.Add("num_files_train", dataset.num_files_train);
  json.Add("num_files_eval", dataset.num_files_eval);
  json.Add("num_samples_per_file", dataset.num_samples_per_file);
  AddHostFields(record.hosts, metrics::FiguresOfHosts(dataset, record.hosts),
                json);
  json.Add("epochs", 0);
  json.Add("end", LocalTime(record.ended));
  json.Add("stoker", OwnJson(record, summary, economics));
  return json;
}

core::Status WriteCheckpointSummary(
    const std::string& path, const CheckpointRecord& record,
    const CheckpointSummary& summary,
    const std::optional<CheckpointEconomics>& economics) {
  return WriteFile(
      path,
      DumpJson(CheckpointSummaryJson(record, summary, economics), 4) + '\n');
}

}  // namespace stoker::reporting
