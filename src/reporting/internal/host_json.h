#pragma once

// Facts of hosts and ordered string tables as JSON.

#include <string>
#include <utility>
#include <vector>

#include "metrics/run_record.h"
#include "reporting/json.h"

namespace stoker::reporting {

Json TableJson(const std::vector<std::pair<std::string, std::string>>& table);

// {hostname, cpu_count, memory_bytes, processor_name}
Json HostJson(const metrics::HostFacts& host);
// What of it a JSON object holds.
metrics::HostFacts HostOf(const Json& json);

}  // namespace stoker::reporting
