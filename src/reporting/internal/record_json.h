#pragma once

// What the record.json of every program has.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/histogram.h"
#include "metrics/run_facts.h"
#include "metrics/run_record.h"
#include "reporting/json.h"

namespace stoker::reporting {

// "running", "complete", "aborted"
std::string_view StateName(metrics::RunState state);

// Nanoseconds.
Json Count(core::Nanos span);
Json Count(core::TimePoint point);

struct RecordHead {
  metrics::RunState state = metrics::RunState::kRunning;
  std::string cause;
  std::string tool_version;
  std::string command_line;
  metrics::WallTime started{};
  metrics::WallTime ended{};
};
// record_version to end; end is null while the run goes on.
void AddHead(const RecordHead& head, Json& json);

// {wall, wall_unix_ns, run_ns}
Json AnchorJson(const metrics::TimeAnchor& anchor);
// HostJson of each, with its ranks.
Json RecordHostsJson(const std::vector<metrics::HostFacts>& hosts);
// {count, min, max, buckets: [[lowest, highest, count], …]}
Json HistogramJson(const core::Histogram& histogram);
// Names of the files that all programs write beside the record, but summary.
void AddCommonCompanions(std::uint32_t ranks, Json& json);

}  // namespace stoker::reporting
