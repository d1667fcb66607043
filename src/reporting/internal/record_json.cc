#include "reporting/internal/record_json.h"

#include <array>
#include <utility>

#include "reporting/internal/host_json.h"
#include "reporting/record_report.h"
#include "reporting/result_folder.h"
#include "reporting/time_text.h"

namespace stoker::reporting {
namespace {

constexpr std::array<std::string_view, 3> kStateNames = {"running", "complete",
                                                         "aborted"};

}  // namespace

std::string_view StateName(metrics::RunState state) {
  return kStateNames[static_cast<std::size_t>(state)];
}

Json Count(core::Nanos span) { return span.count(); }
Json Count(core::TimePoint point) { return point.time_since_epoch().count(); }

void AddHead(const RecordHead& head, Json& json) {
  const bool running = head.state == metrics::RunState::kRunning;
  json.Add("record_version", kRecordVersion);
  json.Add("state", StateName(head.state));
  json.Add("cause", head.cause);
  json.Add("stoker_version", head.tool_version);
  json.Add("command_line", head.command_line);
  json.Add("start", ZonedTime(head.started));
  json.Add("end", running ? Json() : Json(ZonedTime(head.ended)));
}

Json AnchorJson(const metrics::TimeAnchor& anchor) {
  Json json = Json::MakeObject();
  json.Add("wall", ZonedTime(anchor.wall));
  json.Add("wall_unix_ns", Count(anchor.wall.time_since_epoch()));
  json.Add("run_ns", Count(anchor.run));
  return json;
}

Json RecordHostsJson(const std::vector<metrics::HostFacts>& hosts) {
  Json::Array items;
  for (const metrics::HostFacts& host : hosts) {
    Json json = HostJson(host);
    json.Add("ranks", host.ranks);
    items.push_back(std::move(json));
  }
  return items;
}

Json HistogramJson(const core::Histogram& histogram) {
  Json::Array buckets;
  for (const core::Histogram::Bucket& bucket : histogram.Buckets()) {
    buckets.emplace_back(
        Json::Array{bucket.lowest, bucket.highest, bucket.count});
  }
  Json json = Json::MakeObject();
  json.Add("count", histogram.count());
  json.Add("min", histogram.smallest());
  json.Add("max", histogram.largest());
  json.Add("buckets", std::move(buckets));
  return json;
}

void AddCommonCompanions(std::uint32_t ranks, Json& json) {
  json.Add("configuration", kHydraFolder);
  Json::Array outputs;
  Json::Array stats;
  for (std::uint32_t rank = 0; rank < ranks; ++rank) {
    outputs.emplace_back(RankOutputFile(rank));
    stats.emplace_back(RankStatsFile(rank));
  }
  json.Add("rank_outputs", std::move(outputs));
  json.Add("rank_stats", std::move(stats));
}

}  // namespace stoker::reporting
