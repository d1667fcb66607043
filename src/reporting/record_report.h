#pragma once

// record.json: everything that was given and measured, raw, and how the run
// ended.

#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "metrics/collect.h"
#include "reporting/json.h"

namespace stoker::reporting {

// Raised when a field changes its meaning or goes away.
inline constexpr int kRecordVersion = 1;

// Spans and points in integer nanoseconds; a rank's points are on its own run
// clock, which `clock` ties to the wall clock.
Json RecordJson(const metrics::RunRecord& record);

// At the start: facts and start time are set, state is kRunning, hosts and
// ranks may be missing.
// At the end: everything. Both replace the file in one go.
core::Status WriteRecord(const std::string& path,
                         const metrics::RunRecord& record);

// Turns a record that still says "running" into "aborted" with `cause` and the
// time of the end; leaves any other alone, but for the cause of an aborted one
// if the caller `knows_better`. For whoever survives: any rank, or the
// launcher. kNotFound if there is no record; kCorruption if it is none.
core::Status MarkAborted(const std::string& path, std::string_view cause,
                         metrics::WallTime now, bool knows_better = false);

// The hosts of a record, without their tables and ranks; none if there is no
// whole record at `path`.
std::vector<metrics::HostFacts> RecordedHosts(const std::string& path);

}  // namespace stoker::reporting
