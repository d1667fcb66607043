#include "reporting/internal/host_json.h"

#include <cstdint>

#include "core/units.h"

namespace stoker::reporting {

Json TableJson(const std::vector<std::pair<std::string, std::string>>& table) {
  Json::Object fields;
  for (const auto& [key, value] : table) fields.emplace_back(key, value);
  return fields;
}

void AddHostFields(const std::vector<metrics::HostFacts>& hosts,
                   const metrics::HostFigures& figures, Json& json) {
  std::vector<std::uint32_t> cpus;
  std::vector<int> caching;
  cpus.reserve(hosts.size());
  caching.reserve(hosts.size());
  for (const metrics::HostFacts& host : hosts) cpus.push_back(host.cpu_count);
  for (const bool possible : figures.potential_caching)
    caching.push_back(possible ? 1 : 0);
  const metrics::HostFacts& first = hosts.front();
  json.Add("host_cpu_count", cpus);
  json.Add("host_processor_name", first.processor_name);
  json.Add("potential_caching", caching);
  json.Add("host_cpuinfo", TableJson(first.cpuinfo));
  json.Add("host_meminfo", TableJson(first.meminfo));
  json.Add("host_memory_GB", figures.memory_gib);
  json.Add("data_size_per_host_GB", figures.data_per_host_gib);
}

core::Status AddHostFields(const metrics::RunFacts& facts,
                           const metrics::HostFacts& host, ObjectFile& file) {
  const auto memory = static_cast<double>(host.memory_bytes);
  const bool fits = metrics::PotentialCaching(
      host, metrics::DataBytesPerHost(facts, host.ranks));
  STOKER_TRY(file.Add("host_memory_GB", core::ToGiB(memory)));
  STOKER_TRY(file.Add("host_cpu_count", host.cpu_count));
  STOKER_TRY(file.Add("host_processor_name", host.processor_name));
  STOKER_TRY(file.Add("potential_caching", fits ? 1 : 0));
  STOKER_TRY(file.Add("host_cpuinfo", TableJson(host.cpuinfo)));
  return file.Add("host_meminfo", TableJson(host.meminfo));
}

Json HostJson(const metrics::HostFacts& host) {
  Json json = Json::MakeObject();
  json.Add("hostname", host.hostname);
  json.Add("cpu_count", host.cpu_count);
  json.Add("memory_bytes", host.memory_bytes);
  json.Add("processor_name", host.processor_name);
  return json;
}

metrics::HostFacts HostOf(const Json& json) {
  metrics::HostFacts host;
  host.hostname = TextField(json, "hostname");
  host.cpu_count =
      static_cast<std::uint32_t>(WholeField(json, "cpu_count").value_or(0));
  host.memory_bytes =
      static_cast<std::uint64_t>(WholeField(json, "memory_bytes").value_or(0));
  host.processor_name = TextField(json, "processor_name");
  return host;
}

}  // namespace stoker::reporting
