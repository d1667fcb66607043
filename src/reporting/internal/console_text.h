#pragma once

// Lines of the blocks that end a run.

#include <string>
#include <string_view>

#include "metrics/checkpoint_summary.h"
#include "metrics/utilisation.h"

namespace stoker::reporting {

// The reference's: "[METRIC] <name>: <value>", between two frames.
std::string MetricFrame();
std::string Metric(std::string_view name, std::string_view value);
// "78.7500 (3.7500)"
std::string Spread(const metrics::MeanStdev& value, int decimals = 4);
// Of bytes/s.
metrics::MeanStdev InGib(const metrics::MeanStdev& rate);
// Rank 0's duration and rate; "" without any.
std::string MetricSeries(metrics::CheckpointKind kind,
                         const metrics::CheckpointSeries& series);

// Ours: the name, and from column 18 on the value.
std::string Line(std::string_view name, std::string_view value);

}  // namespace stoker::reporting
