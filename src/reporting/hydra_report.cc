#include "reporting/hydra_report.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "reporting/internal/file_output.h"
#include "reporting/json.h"
#include "reporting/result_folder.h"

namespace stoker::reporting {
namespace {

// A YAML string: plain where that is safe, else quoted as in JSON, which YAML
// takes.
std::string YamlText(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-./=";
  const bool plain = text.find_first_not_of(kPlain) == std::string::npos &&
                     text.find_first_of("=/") != std::string::npos &&
                     text.front() != '=' && text.front() != '-';
  return plain ? text : DumpJson(Json(text), 0);
}

std::string YamlList(const std::vector<std::string>& items,
                     std::string_view indent) {
  if (items.empty()) return fmt::format("{}[]\n", indent);
  std::string text;
  for (const std::string& item : items)
    text += fmt::format("{}- {}\n", indent, YamlText(item));
  return text;
}

std::string HydraYaml(const HydraFiles& files,
                      const std::vector<std::string>& task) {
  const std::string output = YamlText(files.output_dir);
  const std::string folder = YamlText(std::string(kHydraFolder));
  const std::vector<std::string> hydra = {
      "hydra.run.dir=" + files.output_dir,
      fmt::format("hydra.output_subdir={}", kHydraFolder)};
  return fmt::format(
      "hydra:\n"
      "  run:\n"
      "    dir: {0}\n"
      "  output_subdir: {1}\n"
      "  overrides:\n"
      "    hydra:\n"
      "{2}"
      "    task:\n"
      "{3}"
      "  job:\n"
      "    name: stoker\n"
      "    config_name: config\n"
      "  runtime:\n"
      "    version: {4}\n"
      "    cwd: {5}\n"
      "    config_sources:\n"
      "    - path: {6}\n"
      "      schema: file\n"
      "      provider: main\n"
      "    output_dir: {0}\n"
      "    choices:\n"
      "      workload: {7}\n"
      "  verbose: false\n",
      output, folder, YamlList(hydra, "    "), YamlList(task, "    "),
      YamlText(files.tool_version), YamlText(files.working_dir),
      YamlText(files.config_folder), YamlText(files.workload));
}

}  // namespace

core::Status WriteHydraFiles(const HydraFiles& files) {
  const std::filesystem::path folder =
      std::filesystem::path(files.output_dir) / kHydraFolder;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return core::Status::FromErrno(
        error.value(), fmt::format("cannot make {}", folder.string()));
  }
  std::vector<std::string> task = {"workload=" + files.workload};
  task.insert(task.end(), files.overrides.begin(), files.overrides.end());
  STOKER_TRY(WriteFile((folder / "config.yaml").string(), files.config_yaml));
  STOKER_TRY(
      WriteFile((folder / "overrides.yaml").string(), YamlList(task, "")));
  return WriteFile((folder / "hydra.yaml").string(), HydraYaml(files, task));
}

}  // namespace stoker::reporting
