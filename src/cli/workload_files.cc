#include "cli/workload_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "core/text.h"

namespace stoker::cli {

namespace fs = std::filesystem;

namespace {

using core::Code;
using core::Status;

fs::path OwnFolder(const std::string& program) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return (error ? fs::path(program) : self).parent_path();
}

}  // namespace

core::Result<std::string> WorkloadFolder(const std::string& program) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read before any thread starts
  if (const char* named = std::getenv("STOKER_WORKLOADS")) {
    std::error_code error;
    if (!fs::is_directory(named, error)) {
      return Status(Code::kNotFound,
                    fmt::format("STOKER_WORKLOADS names '{}', which is no "
                                "folder",
                                named));
    }
    return std::string(named);
  }
  const fs::path own = OwnFolder(program);
  const std::array<fs::path, 4> places{
      own / "../../workloads", own / "../../../workloads",
      own / "../share/stoker/workloads", fs::path("workloads")};
  std::string looked;
  for (const fs::path& place : places) {
    std::error_code error;
    if (fs::is_directory(place, error)) {
      return fs::weakly_canonical(place, error).string();
    }
    looked += fmt::format("{}{}", looked.empty() ? "" : ", ",
                          place.lexically_normal().string());
  }
  return Status(Code::kNotFound,
                fmt::format("no folder of workload files; looked at {}; "
                            "remedy: STOKER_WORKLOADS=DIR or --workload FILE",
                            looked));
}

core::Result<std::vector<std::string>> ListWorkloads(
    const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().extension() == ".yaml") {
      names.push_back(at->path().stem().string());
    }
  }
  if (error) {
    return Status::FromErrno(error.value(), "list workload files in " + folder);
  }
  std::ranges::sort(names);
  return names;
}

core::Result<std::string> FindWorkload(const std::string& folder,
                                       std::string_view model,
                                       std::string_view suffix) {
  std::string name(model);
  std::ranges::replace(name, '-', '_');
  if (!suffix.empty()) {
    name += fmt::format("_{}", suffix);
  }
  const fs::path path = fs::path(folder) / (name + ".yaml");
  std::error_code error;
  if (fs::is_regular_file(path, error)) {
    return path.string();
  }
  STOKER_ASSIGN(const std::vector<std::string> known, ListWorkloads(folder));
  const std::vector<std::string_view> views(known.begin(), known.end());
  const std::string_view nearest = core::Nearest(name, views);
  return Status(
      Code::kNotFound,
      fmt::format("no workload '{}' in {}{}; there are: {}", name, folder,
                  nearest.empty()
                      ? std::string()
                      : fmt::format(", did you mean '{}'?", nearest),
                  core::Join(views, ", ")));
}

}  // namespace stoker::cli
