#pragma once

// What the kernel says about this host.

#include <string>
#include <utility>
#include <vector>

#include "metrics/run_record.h"

namespace stoker::metrics {

// Name, logical CPUs, memory and the two tables, from files below `proc`. What
// the kernel does not tell stays 0 or "". The processor's name is "model name"
// of cpuinfo. `ranks` stays 0.
HostFacts ReadHostFacts(const std::string& proc = "/proc");

// Keys and values of <proc>/meminfo in file order ("MemFree", "1234 kB").
std::vector<std::pair<std::string, std::string>> ReadMemInfo(
    const std::string& proc = "/proc");

}  // namespace stoker::metrics
