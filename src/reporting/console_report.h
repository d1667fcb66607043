#pragma once

// A finished run as text for people.

#include <string>
#include <string_view>

#include "metrics/collect.h"
#include "metrics/summary.h"

namespace stoker::reporting {

// The reference's final block: framed lines that start with "[METRIC]".
std::string MetricBlock(const metrics::RunRecord& record,
                        const metrics::RunSummary& summary);

// MetricBlock, then ours: exact and unbiased rates, ranks apart, where the time
// and the client's CPU time went, what bound the run, verdict, hash, folder.
std::string ConsoleReport(const metrics::RunRecord& record,
                          const metrics::RunSummary& summary,
                          std::string_view folder);

}  // namespace stoker::reporting
