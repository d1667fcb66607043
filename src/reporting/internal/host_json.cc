#include "reporting/internal/host_json.h"

namespace stoker::reporting {

Json TableJson(const std::vector<std::pair<std::string, std::string>>& table) {
  Json::Object fields;
  for (const auto& [key, value] : table) fields.emplace_back(key, value);
  return fields;
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
