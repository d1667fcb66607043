#include <fmt/format.h>

#include <utility>

#include "reporting/checkpoint_report.h"
#include "reporting/internal/checkpoint_json.h"
#include "reporting/internal/file_output.h"
#include "reporting/internal/record_json.h"
#include "reporting/result_folder.h"

namespace stoker::reporting {
namespace {

using metrics::CheckpointFacts;
using metrics::CheckpointOp;

Json FactsJson(const CheckpointFacts& facts) {
  Json json = Json::MakeObject();
  json.Add("model", facts.model);
  json.Add("num_processes", facts.num_processes);
  json.Add("num_hosts", facts.num_hosts);
  json.Add("tensor", facts.tensor);
  json.Add("pipeline", facts.pipeline);
  json.Add("data", facts.data);
  json.Add("zero_stage", facts.zero_stage);
  json.Add("subset", facts.subset);
  json.Add("parameters", facts.parameters);
  json.Add("model_bytes", facts.model_bytes);
  json.Add("optimizer_bytes", facts.optimizer_bytes);
  json.Add("checkpoint_bytes", facts.checkpoint_bytes);
  json.Add("stored_bytes", facts.stored_bytes);
  json.Add("files", facts.files);
  json.Add("saves", facts.saves);
  json.Add("restores", facts.restores);
  json.Add("format", facts.format);
  json.Add("io", facts.io);
  json.Add("verify", facts.verify);
  json.Add("fsync", facts.fsync);
  json.Add("rank_sync", facts.rank_sync);
  json.Add("rank_shift", facts.rank_shift);
  json.Add("compat_v2_0", facts.compat_v2_0);
  json.Add("between", facts.between);
  json.Add("seconds_between_checkpoints", facts.seconds_between_checkpoints);
  json.Add("save_id", fmt::format("{:016x}", facts.save_id));
  json.Add("clear_needed", facts.clear_needed);
  json.Add("largest_bytes_per_host", facts.largest_bytes_per_host);
  json.Add("storage_uri", facts.storage_uri);
  json.Add("backend", facts.backend);
  json.Add("storage_notes", facts.storage_notes);
  json.Add("engine", facts.engine);
  json.Add("warm_up", facts.warm_up);
  return json;
}

Json RankJson(const metrics::CheckpointRankRecord& rank) {
  Json clock = AnchorJson(rank.anchor);
  clock.Add("to_rank0_ns", Count(rank.clock_offset));
  clock.Add("to_rank0_error_ns", Count(rank.clock_error));
  Json between = Json::MakeObject();
  between.Add("what", rank.between.what);
  between.Add("duration_ns", Count(rank.between.duration));
  Json::Array checkpoints;
  for (const CheckpointOp& op : rank.ops) checkpoints.push_back(OpJson(op));
  Json json = Json::MakeObject();
  json.Add("rank", rank.rank);
  json.Add("node", rank.node);
  json.Add("local_rank", rank.local_rank);
  json.Add("pool_bytes", rank.pool_bytes);
  json.Add("clock", std::move(clock));
  json.Add("between", std::move(between));
  json.Add("cache_tier", CacheTierJson(rank.cache));
  json.Add("checkpoints", std::move(checkpoints));
  return json;
}

Json CompanionsJson(const CheckpointFacts& facts) {
  Json json = Json::MakeObject();
  json.Add("summary", kSummaryFile);
  json.Add("checkpoints", kCheckpointsFile);
  AddCommonCompanions(facts.num_processes, json);
  return json;
}

}  // namespace

Json CheckpointRecordJson(const metrics::CheckpointRecord& record) {
  Json::Array ranks;
  for (const metrics::CheckpointRankRecord& rank : record.ranks)
    ranks.push_back(RankJson(rank));
  Json json = Json::MakeObject();
  // The cause is for whoever marks it as aborted.
  AddHead({.state = record.state,
           .cause = {},
           .tool_version = record.facts.tool_version,
           .command_line = record.facts.command_line,
           .started = record.started,
           .ended = record.ended},
          json);
  json.Add("program", "checkpointing");
  json.Add("run", FactsJson(record.facts));
  json.Add("hosts", RecordHostsJson(record.hosts));
  json.Add("ranks", std::move(ranks));
  json.Add("files", CompanionsJson(record.facts));
  return json;
}

core::Status WriteCheckpointRecord(const std::string& path,
                                   const metrics::CheckpointRecord& record) {
  return WriteFile(path, DumpJson(CheckpointRecordJson(record), 2) + '\n');
}

}  // namespace stoker::reporting
