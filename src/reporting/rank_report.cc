#include "reporting/rank_report.h"

#include <fmt/format.h>

#include <functional>
#include <vector>

#include "metrics/utilisation.h"
#include "reporting/internal/checkpoint_json.h"
#include "reporting/internal/file_output.h"
#include "reporting/internal/host_json.h"
#include "reporting/result_folder.h"
#include "reporting/time_text.h"

namespace stoker::reporting {
namespace {

using metrics::BlockRecord;
using metrics::BlockSummary;
using metrics::EpochRecord;
using metrics::EpochSummary;
using metrics::RunFacts;
using metrics::StepRecord;

std::string BlockName(std::size_t index) {
  return fmt::format("block{}", index + 1);
}

Json StepSeconds(const BlockRecord& block, core::Nanos StepRecord::* span) {
  Json::Array seconds;
  for (const StepRecord& step : block.steps)
    seconds.emplace_back(core::Seconds(step.*span));
  return seconds;
}

// {"block1": […], …, "eval": […]}: one span of every step.
Json SpansJson(const EpochRecord& epoch, core::Nanos StepRecord::* span) {
  Json json = Json::MakeObject();
  for (std::size_t i = 0; i < epoch.blocks.size(); ++i)
    json.Add(BlockName(i), StepSeconds(epoch.blocks[i], span));
  if (epoch.eval) json.Add("eval", StepSeconds(*epoch.eval, span));
  return json;
}

using Figure = std::function<double(const metrics::BlockSums&)>;

// The figure, or the reference's empty list for a block that never closed.
Json FigureJson(const BlockSummary& block, const Figure& figure) {
  return block.sums.closed ? Json(figure(block.sums)) : Json(Json::Array{});
}

Json FiguresJson(const EpochSummary& epoch, const Figure& train,
                 const Figure& eval) {
  Json json = Json::MakeObject();
  for (std::size_t i = 0; i < epoch.blocks.size(); ++i)
    json.Add(BlockName(i), FigureJson(epoch.blocks[i], train));
  if (epoch.eval) json.Add("eval", FigureJson(*epoch.eval, eval));
  return json;
}

Json OutputEpochJson(const RunFacts& facts, const metrics::TimeAnchor& anchor,
                     const EpochRecord& epoch, const EpochSummary& summary) {
  const auto train_rate = [&facts](const metrics::BlockSums& sums) {
    return metrics::ReferenceSamplesPerSecond(sums, facts.batch_size);
  };
  const auto eval_rate = [&facts](const metrics::BlockSums& sums) {
    return metrics::EvalSamplesPerSecond(sums, facts.batch_size_eval);
  };
  Json json = Json::MakeObject();
  json.Add("load", SpansJson(epoch, &StepRecord::load));
  json.Add("proc", SpansJson(epoch, &StepRecord::proc));
  json.Add("throughput", FiguresJson(summary, train_rate, eval_rate));
  json.Add("au", FiguresJson(summary, metrics::UtilisationPercent,
                             metrics::UtilisationPercent));
  json.Add("compute", SpansJson(epoch, &StepRecord::compute));
  json.Add("host_meminfo", TableJson(epoch.meminfo));
  json.Add("end", LocalTime(anchor.ToWall(epoch.end)));
  return json;
}

core::Status WriteOutput(const std::string& path, const RunFacts& facts,
                         const metrics::TimeAnchor& anchor,
                         const metrics::HostFacts& host,
                         const metrics::RankRecorder& recorder) {
  STOKER_ASSIGN(ObjectFile file, ObjectFile::Make(path));
  STOKER_TRY(AddHostFields(facts, host, file));
  STOKER_TRY(recorder.ForEachEpoch(
      [&](const EpochRecord& epoch, const EpochSummary& summary) {
        return file.Add(fmt::format("{}", epoch.epoch),
                        OutputEpochJson(facts, anchor, epoch, summary));
      }));
  STOKER_TRY(file.Add("hostname", host.hostname));
  return file.Commit();
}

std::string DurationText(core::Nanos duration) {
  return fmt::format("{:.2f}", core::Seconds(duration));
}

Json SpanJson(const BlockSummary& block, const metrics::TimeAnchor& anchor) {
  Json json = Json::MakeObject();
  json.Add("start", LocalTime(anchor.ToWall(block.start)));
  if (block.sums.closed) {
    json.Add("end", LocalTime(anchor.ToWall(block.end)));
    json.Add("duration", DurationText(block.sums.wall));
  }
  return json;
}

Json StatsEpochJson(const RunFacts& facts, const EpochSummary& epoch,
                    const metrics::TimeAnchor& anchor) {
  Json json = Json::MakeObject();
  json.Add("start", LocalTime(anchor.ToWall(epoch.start)));
  for (std::size_t i = 0; i < epoch.blocks.size(); ++i) {
    json.Add(BlockName(i), SpanJson(epoch.blocks[i], anchor));
    if (i < epoch.saves.size()) {
      json.Add(
          fmt::format("save_ckpt{}", i + 1),
          StatsJson(metrics::BytesOfCheckpoint(facts), anchor, epoch.saves[i]));
    }
  }
  json.Add("end", LocalTime(anchor.ToWall(epoch.end)));
  // Of training only, though `end` is after the evaluation, as in the
  // reference.
  json.Add("duration", DurationText(epoch.train_end - epoch.start));
  if (epoch.eval) json.Add("eval", SpanJson(*epoch.eval, anchor));
  return json;
}

core::Status WriteStats(const std::string& path, const RunFacts& facts,
                        const metrics::TimeAnchor& anchor,
                        const metrics::RankRecorder& recorder) {
  STOKER_ASSIGN(ObjectFile file, ObjectFile::Make(path));
  for (const EpochSummary& epoch : recorder.epochs()) {
    STOKER_TRY(file.Add(fmt::format("{}", epoch.epoch),
                        StatsEpochJson(facts, epoch, anchor)));
  }
  return file.Commit();
}

}  // namespace

core::Status WriteRankReports(const std::string& folder, const RunFacts& facts,
                              const metrics::RankFacts& rank,
                              const metrics::HostFacts& host,
                              const metrics::RankRecorder& recorder) {
  STOKER_TRY(WriteOutput(folder + '/' + RankOutputFile(rank.rank), facts,
                         rank.anchor, host, recorder));
  return WriteStats(folder + '/' + RankStatsFile(rank.rank), facts, rank.anchor,
                    recorder);
}

}  // namespace stoker::reporting
