#pragma once

// Facts of hosts and ordered string tables as JSON.

#include <string>
#include <utility>
#include <vector>

#include "core/status.h"
#include "metrics/run_facts.h"
#include "metrics/run_record.h"
#include "metrics/summary.h"
#include "reporting/internal/file_output.h"
#include "reporting/json.h"

namespace stoker::reporting {

Json TableJson(const std::vector<std::pair<std::string, std::string>>& table);

// What the reference's summary.json tells of hosts, host_cpu_count to
// data_size_per_host_GB. At least one host.
void AddHostFields(const std::vector<metrics::HostFacts>& hosts,
                   const metrics::HostFigures& figures, Json& json);
// What its <r>_output.json tells of the rank's own host, host_memory_GB to
// host_meminfo.
core::Status AddHostFields(const metrics::RunFacts& facts,
                           const metrics::HostFacts& host, ObjectFile& file);

// {hostname, cpu_count, memory_bytes, processor_name}
Json HostJson(const metrics::HostFacts& host);
// What of it a JSON object holds.
metrics::HostFacts HostOf(const Json& json);

}  // namespace stoker::reporting
