#include "reporting/metadata_report.h"

#include <cstdint>
#include <filesystem>

#include "reporting/internal/file_output.h"
#include "reporting/internal/host_json.h"

namespace stoker::reporting {
namespace {

Json OutputsJson(const std::vector<CommandOutput>& outputs) {
  Json::Array items;
  for (const CommandOutput& output : outputs) {
    Json item = Json::MakeObject();
    item.Add("command", output.command);
    item.Add("stdout", output.stdout_file);
    item.Add("stderr", output.stderr_file);
    items.push_back(std::move(item));
  }
  return items;
}

Json ClusterJson(const std::vector<metrics::HostFacts>& hosts) {
  std::uint64_t memory = 0;
  std::uint64_t cores = 0;
  Json::Array items;
  for (const metrics::HostFacts& host : hosts) {
    memory += host.memory_bytes;
    cores += host.cpu_count;
    items.push_back(HostJson(host));
  }
  Json json = Json::MakeObject();
  json.Add("total_memory_bytes", memory);
  json.Add("total_cores", cores);
  json.Add("hosts", std::move(items));
  return json;
}

}  // namespace

Json MetadataJson(const CommandMetadata& metadata) {
  const std::filesystem::path program = metadata.program_file;
  const std::filesystem::path file =
      std::filesystem::path(metadata.folder) / metadata.metadata_file;
  Json json = Json::MakeObject();
  json.Add("args", Json::Object(metadata.args));
  json.Add("debug", metadata.debug ? Json(true) : Json());
  json.Add("run_datetime", metadata.run_datetime);
  json.Add("run_number", 0);
  json.Add("runtime", metadata.runtime_seconds);
  json.Add("verification",
           metadata.verification ? Json(*metadata.verification) : Json());
  json.Add("command_output_files", OutputsJson(metadata.outputs));
  json.Add("run_result_output", metadata.folder);
  json.Add("metadata_filename", metadata.metadata_file);
  json.Add("metadata_file_path", file.string());
  json.Add("_config_name",
           std::filesystem::path(metadata.config_file).stem().string());
  json.Add("base_command", program.filename().string());
  json.Add("base_path", program.parent_path().string());
  json.Add("base_command_path", metadata.program_file);
  json.Add("config_path", metadata.config_folder);
  json.Add("per_host_mem_kB", Json());
  json.Add("total_mem_kB", Json());
  if (!metadata.hosts.empty())
    json.Add("cluster_information", ClusterJson(metadata.hosts));
  json.Add("config_file", metadata.config_file);
  json.Add("params_dict", Json::Object(metadata.params));
  json.Add("yaml_params", metadata.yaml_params);
  json.Add("combined_params", metadata.combined_params);
  json.Add("executed_command", metadata.executed_command);
  json.Add("benchmark_type", metadata.benchmark_type);
  json.Add("warm_up", metadata.warm_up);
  return json;
}

core::Status WriteMetadata(const CommandMetadata& metadata) {
  const std::filesystem::path file =
      std::filesystem::path(metadata.folder) / metadata.metadata_file;
  return WriteFile(file.string(), DumpJson(MetadataJson(metadata), 2) + '\n');
}

}  // namespace stoker::reporting
