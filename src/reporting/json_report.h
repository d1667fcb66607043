#pragma once

// summary.json: the figures under the reference's names, then ours.

#include <string>

#include "core/status.h"
#include "metrics/collect.h"
#include "metrics/summary.h"
#include "reporting/json.h"

namespace stoker::reporting {

// Field order, names and units as the reference writes them; additions stand
// after the standard fields of their object, with the unit in the name.
Json SummaryJson(const metrics::RunRecord& record,
                 const metrics::RunSummary& summary);

// SummaryJson as file `path`, indent 4.
core::Status WriteSummary(const std::string& path,
                          const metrics::RunRecord& record,
                          const metrics::RunSummary& summary);

}  // namespace stoker::reporting
