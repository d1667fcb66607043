#include "reporting/record_report.h"

#include <fmt/format.h>

#include <string>

#include "metrics/summary.h"
#include "reporting/cache_report.h"
#include "reporting/internal/checkpoint_json.h"
#include "reporting/internal/file_output.h"
#include "reporting/internal/host_json.h"
#include "reporting/internal/record_json.h"
#include "reporting/ledger_report.h"
#include "reporting/result_folder.h"
#include "reporting/time_text.h"

namespace stoker::reporting {
namespace {

using metrics::BlockSummary;
using metrics::EpochSummary;
using metrics::RunFacts;
using metrics::RunState;

Json CheckpointsJson(const metrics::TrainingCheckpoints& checkpoints) {
  Json json = Json::MakeObject();
  json.Add("count", checkpoints.count);
  json.Add("bytes", checkpoints.bytes);
  json.Add("files", checkpoints.files);
  json.Add("stored_bytes", checkpoints.stored_bytes);
  json.Add("storage_uri", checkpoints.storage_uri);
  json.Add("format", checkpoints.format);
  json.Add("fsync", checkpoints.fsync);
  json.Add("all_ranks", checkpoints.all_ranks);
  return json;
}

Json FactsJson(const RunFacts& facts) {
  Json json = Json::MakeObject();
  json.Add("model", facts.model);
  json.Add("accelerator", facts.accelerator);
  json.Add("num_accelerators", facts.num_accelerators);
  json.Add("num_hosts", facts.num_hosts);
  json.Add("epochs", facts.epochs);
  json.Add("batch_size", facts.batch_size);
  json.Add("batch_size_eval", facts.batch_size_eval);
  json.Add("num_files_train", facts.num_files_train);
  json.Add("num_files_eval", facts.num_files_eval);
  json.Add("dataset_files_train", facts.dataset_files_train);
  json.Add("dataset_files_eval", facts.dataset_files_eval);
  json.Add("num_samples_per_file", facts.num_samples_per_file);
  json.Add("distinct_contents", facts.distinct_contents);
  json.Add("record_length_bytes", facts.record_length_bytes);
  json.Add("steps_per_epoch", facts.steps_per_epoch);
  json.Add("eval_steps", facts.eval_steps);
  json.Add("exclude_start_steps", facts.exclude_start_steps);
  json.Add("exclude_end_steps", facts.exclude_end_steps);
  json.Add("au_target", facts.au_target);
  json.Add("computation_time", facts.computation_time);
  json.Add("evaluation", facts.evaluation);
  json.Add("eval_time", facts.eval_time);
  json.Add("storage_uri", facts.storage_uri);
  json.Add("backend", facts.backend);
  json.Add("storage_notes", facts.storage_notes);
  json.Add("engine", facts.engine);
  json.Add("loader_model", facts.loader_model);
  json.Add("data_loader", facts.data_loader);
  json.Add("format", facts.format);
  json.Add("read_threads", facts.read_threads);
  json.Add("checkpoints",
           facts.checkpoints ? CheckpointsJson(*facts.checkpoints) : Json());
  json.Add("compat_v2_0", facts.compat_v2_0);
  json.Add("seed", facts.seed);
  json.Add("content_checks", facts.content_checks);
  json.Add("warm_up", facts.warm_up);
  return json;
}

Json BlockJson(const BlockSummary& block) {
  const metrics::BlockSums& sums = block.sums;
  Json json = Json::MakeObject();
  json.Add("start_ns", Count(block.start));
  json.Add("end_ns", Count(block.end));
  json.Add("closed", sums.closed);
  json.Add("steps", sums.steps);
  json.Add("wall_ns", Count(sums.wall));
  json.Add("excluded_proc_ns", Count(sums.excluded_proc));
  json.Add("counted_steps", sums.counted_steps);
  json.Add("counted_samples", sums.counted_samples);
  json.Add("counted_bytes", sums.counted_bytes);
  json.Add("counted_load_ns", Count(sums.counted_load));
  json.Add("counted_compute_ns", Count(sums.counted_compute));
  json.Add("counted_barrier_ns", Count(sums.counted_barrier));
  json.Add("counted_overshoot_ns", Count(sums.counted_overshoot));
  json.Add("max_overshoot_ns", Count(sums.max_overshoot));
  json.Add("total_load_ns", Count(sums.total_load));
  json.Add("total_compute_ns", Count(sums.total_compute));
  json.Add("total_barrier_ns", Count(sums.total_barrier));
  json.Add("total_overshoot_ns", Count(sums.total_overshoot));
  json.Add("total_samples", sums.total_samples);
  json.Add("total_bytes", sums.total_bytes);
  return json;
}

Json LoaderJson(const metrics::LoaderCounters& loader) {
  Json json = Json::MakeObject();
  json.Add("files_opened", loader.files_opened);
  json.Add("samples_delivered", loader.samples_delivered);
  json.Add("payload_bytes_delivered", loader.payload_bytes_delivered);
  json.Add("samples_discarded", loader.samples_discarded);
  json.Add("bytes_discarded", loader.bytes_discarded);
  json.Add("unexpected_sizes", loader.unexpected_sizes);
  json.Add("reads", loader.reads.reads);
  json.Add("size_queries", loader.reads.size_queries);
  json.Add("read_bytes", loader.reads.bytes);
  json.Add("read_errors", loader.reads.errors);
  json.Add("read_bytes_from_cache", loader.reads.bytes_from_cache);
  json.Add("read_bytes_from_memory", loader.reads.bytes_from_memory);
  json.Add("read_latency_sum_ns", Count(loader.reads.latency_sum));
  json.Add("read_latency_max_ns", Count(loader.reads.latency_max));
  json.Add("checking_ns", Count(loader.checking));
  return json;
}

Json EpochJson(const EpochSummary& epoch) {
  Json::Array blocks;
  for (const BlockSummary& block : epoch.blocks)
    blocks.push_back(BlockJson(block));
  Json::Array saves;
  for (const metrics::CheckpointOp& save : epoch.saves)
    saves.push_back(OpJson(save));
  Json json = Json::MakeObject();
  json.Add("epoch", epoch.epoch);
  json.Add("start_ns", Count(epoch.start));
  json.Add("train_end_ns", Count(epoch.train_end));
  json.Add("end_ns", Count(epoch.end));
  json.Add("blocks", std::move(blocks));
  json.Add("saves", std::move(saves));
  json.Add("eval", epoch.eval ? BlockJson(*epoch.eval) : Json());
  json.Add("train_loader", LoaderJson(epoch.train_loader));
  json.Add("eval_loader", LoaderJson(epoch.eval_loader));
  json.Add("cpu_user_ns", Count(epoch.cpu.user));
  json.Add("cpu_system_ns", Count(epoch.cpu.system));
  const metrics::CpuSplit cpu = metrics::SplitCpu(epoch);
  json.Add("cpu_reading_ns", Count(cpu.reading));
  json.Add("cpu_checking_ns", Count(cpu.checking));
  json.Add("cpu_rest_ns", Count(cpu.rest));
  return json;
}

Json RankJson(const metrics::RankRecord& rank) {
  const metrics::RankFacts& facts = rank.facts;
  Json::Array epochs;
  for (const EpochSummary& epoch : rank.epochs)
    epochs.push_back(EpochJson(epoch));
  Json json = Json::MakeObject();
  json.Add("rank", facts.rank);
  json.Add("node", facts.node);
  json.Add("local_rank", facts.local_rank);
  json.Add("op_stream_hash", fmt::format("{:016x}", facts.op_stream_hash));
  json.Add("pool_bytes", facts.pool_bytes);
  json.Add("engine", facts.engine);
  json.Add("clock", AnchorJson(facts.anchor));
  json.Add("epochs", std::move(epochs));
  return json;
}

Json CompanionsJson(const metrics::RunRecord& record) {
  Json json = Json::MakeObject();
  json.Add("summary", kSummaryFile);
  json.Add("steps", kStepsFile);
  json.Add("ledger", kLedgerFile);
  AddCommonCompanions(record.facts.num_accelerators, json);
  return json;
}

}  // namespace

Json RecordJson(const metrics::RunRecord& record) {
  Json::Array ranks;
  for (const metrics::RankRecord& rank : record.ranks)
    ranks.push_back(RankJson(rank));
  Json json = Json::MakeObject();
  AddHead({.state = record.state,
           .cause = record.cause,
           .tool_version = record.facts.tool_version,
           .command_line = record.facts.command_line,
           .started = record.started,
           .ended = record.ended},
          json);
  json.Add("run", FactsJson(record.facts));
  json.Add("op_stream_hash", record.op_stream_hash);
  json.Add("longest_load_ns", HistogramJson(record.longest_loads));
  json.Add("ledger", record.ledger ? LedgerDigestJson(*record.ledger) : Json());
  json.Add("cache", CacheOutlookJson(record.cache));
  json.Add("hosts", RecordHostsJson(record.hosts));
  json.Add("ranks", std::move(ranks));
  json.Add("files", CompanionsJson(record));
  return json;
}

core::Status WriteRecord(const std::string& path,
                         const metrics::RunRecord& record) {
  return WriteFile(path, DumpJson(RecordJson(record), 2) + '\n');
}

std::vector<metrics::HostFacts> RecordedHosts(const std::string& path) {
  std::vector<metrics::HostFacts> hosts;
  const core::Result<std::string> text = ReadFile(path);
  if (!text.ok()) return hosts;
  const core::Result<Json> record = ParseJson(text.value());
  const Json* list = record.ok() ? record.value().Find("hosts") : nullptr;
  const auto* items =
      list == nullptr ? nullptr : std::get_if<Json::Array>(&list->value());
  if (items != nullptr) {
    for (const Json& item : *items) hosts.push_back(HostOf(item));
  }
  return hosts;
}

core::Status MarkAborted(const std::string& path, std::string_view cause,
                         metrics::WallTime now, bool knows_better) {
  STOKER_ASSIGN(const std::string text, ReadFile(path));
  core::Result<Json> parsed = ParseJson(text);
  if (!parsed.ok()) return parsed.status().WithContext(path);
  Json record = std::move(parsed).value();
  const std::string name = TextField(record, "state");
  if (name.empty()) {
    return core::Status(
        core::Code::kCorruption,
        fmt::format("{}: not a run record: it has no \"state\"", path));
  }
  const bool running = name == StateName(RunState::kRunning);
  const bool aborted = name == StateName(RunState::kAborted);
  if (!running && !(aborted && knows_better)) return {};
  record.Set("cause", cause);
  if (running) {
    record.Set("state", StateName(RunState::kAborted));
    record.Set("end", ZonedTime(now));
  }
  return WriteFile(path, DumpJson(record, 2) + '\n');
}

}  // namespace stoker::reporting
