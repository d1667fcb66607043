#pragma once

// Durations of workload files: a number, or a map that names a distribution.

#include <string>
#include <string_view>

#include "config/node.h"
#include "config/run_config.h"
#include "core/status.h"

namespace stoker::config {

// The longest duration, and the largest parameter of a distribution, in s.
inline constexpr double kMaxTimeSeconds = 1e6;

inline constexpr std::string_view kTimeAllowed =
    "seconds (a number up to 1000000), or a map: {mean}, {mean, stdev}, {type: "
    "normal, mean, stdev}, {type: uniform, min, max}, {type: gamma, shape, "
    "scale}, {type: exponential, scale} or {type: poisson, lam}";

// Reads a duration. As in the reference, an empty map is no time and a
// negative constant counts without its sign; `warning` says so then. The error
// is a phrase that follows "<key>: value ... is not allowed: ".
core::Result<TimeSpec> ParseTimeSpec(const Node& node, std::string& warning);

// Applies a separate standard deviation (s) to a duration read before.
core::Status AddStdev(const Node& node, TimeSpec& spec);

// Canonical YAML flow text, which ParseTimeSpec reads back.
std::string FlowText(const TimeSpec& spec);

}  // namespace stoker::config
