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

namespace {

std::string TextOf(const Json* field) {
  const auto* text =
      field == nullptr ? nullptr : std::get_if<std::string>(&field->value());
  return text == nullptr ? std::string() : *text;
}

std::uint64_t CountOf(const Json* field) {
  if (field == nullptr) return 0;
  if (const auto* count = std::get_if<std::uint64_t>(&field->value())) {
    return *count;
  }
  const auto* count = std::get_if<std::int64_t>(&field->value());
  return count == nullptr ? 0 : static_cast<std::uint64_t>(*count);
}

}  // namespace

metrics::HostFacts HostOf(const Json& json) {
  metrics::HostFacts host;
  host.hostname = TextOf(json.Find("hostname"));
  host.cpu_count = static_cast<std::uint32_t>(CountOf(json.Find("cpu_count")));
  host.memory_bytes = CountOf(json.Find("memory_bytes"));
  host.processor_name = TextOf(json.Find("processor_name"));
  return host;
}

}  // namespace stoker::reporting
