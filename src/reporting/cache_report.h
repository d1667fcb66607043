#pragma once

// What a cache was expected to do, and what came of it.

#include <optional>
#include <string>

#include "metrics/cache_outlook.h"
#include "metrics/summary.h"
#include "reporting/json.h"

namespace stoker::reporting {

// Null without a cache.
Json CacheOutlookJson(const std::optional<metrics::CacheOutlook>& outlook);

// Lines for the start of a run; "" if nothing was measured, as asked.
std::string ExpectationLines(const metrics::CacheOutlook& outlook);

// Lines for its end.
std::string OutcomeLines(const metrics::CacheOutlook& outlook,
                         const metrics::RunSummary& summary);

}  // namespace stoker::reporting
