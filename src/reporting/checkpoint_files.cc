// The files of single ranks and checkpoints.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "metrics/checkpoint_summary.h"
#include "reporting/checkpoint_report.h"
#include "reporting/internal/checkpoint_json.h"
#include "reporting/internal/file_output.h"
#include "reporting/internal/host_json.h"
#include "reporting/result_folder.h"
#include "reporting/time_text.h"

namespace stoker::reporting {
namespace {

using metrics::CheckpointFacts;
using metrics::CheckpointOp;
using metrics::CheckpointRankRecord;

constexpr std::string_view kHeader =
    "kind,number,step,rank,node,start_s,first_byte_s,last_byte_s,synced_s,"
    "duration_s,model_s,optimizer_s,fsync_s,stalled_s,content_s,checksum_s,"
    "cpu_s,files,payload_bytes,file_bytes,verified_bytes,cached_bytes,"
    "device_bytes\n";

// Of a rank without checkpoints: the moment its clock was read.
core::TimePoint StartOf(const CheckpointRankRecord& rank) {
  return rank.ops.empty() ? rank.anchor.run : rank.ops.front().start;
}
core::TimePoint EndOf(const CheckpointRankRecord& rank) {
  return rank.ops.empty() ? rank.anchor.run : rank.ops.back().end;
}

// All that the reference keeps of steps, which a checkpoint run has none of.
core::Status WriteOutput(const std::string& path, const CheckpointFacts& facts,
                         const CheckpointRankRecord& rank,
                         const metrics::HostFacts& host) {
  Json epoch = Json::MakeObject();
  epoch.Add("start", LocalTime(rank.anchor.ToWall(StartOf(rank))));
  for (const char* key : {"load", "proc", "throughput", "au", "compute"})
    epoch.Add(key, Json::MakeObject());
  epoch.Add("end", LocalTime(rank.anchor.ToWall(EndOf(rank))));
  STOKER_ASSIGN(ObjectFile file, ObjectFile::Make(path));
  STOKER_TRY(AddHostFields(DefaultDataset(facts), host, file));
  STOKER_TRY(file.Add("1", epoch));
  STOKER_TRY(file.Add("hostname", host.hostname));
  return file.Commit();
}

core::Status WriteStats(const std::string& path, const CheckpointFacts& facts,
                        const CheckpointRankRecord& rank) {
  Json epoch = Json::MakeObject();
  epoch.Add("start", LocalTime(rank.anchor.ToWall(StartOf(rank))));
  // Counted anew for loads, as the reference does.
  std::array<std::uint64_t, 2> numbers{};
  for (const CheckpointOp& op : rank.ops) {
    epoch.Add(fmt::format("{}_ckpt{}", ReferenceKindName(op.kind),
                          ++numbers.at(static_cast<std::size_t>(op.kind))),
              StatsJson(facts.checkpoint_bytes, rank.anchor, op));
  }
  epoch.Add("end", LocalTime(rank.anchor.ToWall(EndOf(rank))));
  STOKER_ASSIGN(ObjectFile file, ObjectFile::Make(path));
  STOKER_TRY(file.Add("1", epoch));
  return file.Commit();
}

// Empty where the rank could not tell.
std::string Known(bool known, std::uint64_t bytes) {
  return known ? fmt::format("{}", bytes) : "";
}

void AppendRow(std::string_view keys, core::TimePoint zero,
               const CheckpointRankRecord& rank, const CheckpointOp& op,
               std::string& text) {
  const auto seconds = [&text](core::Nanos span) {
    fmt::format_to(std::back_inserter(text), "{:.9f},", core::Seconds(span));
  };
  fmt::format_to(std::back_inserter(text), "{},{},{},", keys, rank.rank,
                 rank.node);
  seconds(rank.OnRankZero(op.start) - zero);
  for (const core::TimePoint at :
       {op.first_byte, op.last_byte, op.synced, op.end}) {
    seconds(at - op.start);
  }
  for (const core::Nanos span : {op.model_part, op.optimizer_part, op.fsync,
                                 op.stalled, op.content, op.checksum, op.cpu}) {
    seconds(span);
  }
  fmt::format_to(std::back_inserter(text), "{},{},{},{},{},{}\n", op.files,
                 op.payload_bytes, op.file_bytes, op.verified_bytes,
                 Known(op.cached_known, op.cached_bytes),
                 Known(op.device_known, op.device_bytes));
}

}  // namespace

core::Status WriteCheckpointRankReports(const std::string& folder,
                                        const CheckpointFacts& facts,
                                        const CheckpointRankRecord& rank,
                                        const metrics::HostFacts& host) {
  STOKER_TRY(
      WriteOutput(folder + '/' + RankOutputFile(rank.rank), facts, rank, host));
  return WriteStats(folder + '/' + RankStatsFile(rank.rank), facts, rank);
}

core::Status WriteCheckpointsCsv(const std::string& path,
                                 const metrics::CheckpointRecord& record) {
  const std::vector<metrics::CheckpointOps> groups =
      metrics::GroupByCheckpoint(record);
  core::TimePoint zero = core::TimePoint::max();
  for (const metrics::CheckpointOps& group : groups) {
    for (const auto& [rank, op] : group.ranks)
      zero = std::min(zero, rank->OnRankZero(op->start));
  }
  std::string text(kHeader);
  std::array<std::uint64_t, 2> numbers{};
  for (const metrics::CheckpointOps& group : groups) {
    const std::string keys = fmt::format(
        "{},{},{}", KindName(group.kind),
        ++numbers.at(static_cast<std::size_t>(group.kind)), group.step);
    for (const auto& [rank, op] : group.ranks)
      AppendRow(keys, zero, *rank, *op, text);
  }
  return WriteFile(path, text);
}

}  // namespace stoker::reporting
