#include "reporting/result_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "reporting/time_text.h"

namespace stoker::reporting {
namespace {

constexpr int kMaxSuffix = 9999;

core::Status Fail(int error, const std::string& folder) {
  return core::Status::FromErrno(
      error, fmt::format("cannot make the result folder {} (choose another "
                         "place with --results-dir)",
                         folder));
}

}  // namespace

std::string RankOutputFile(std::uint32_t rank) {
  return fmt::format("{}_output.json", rank);
}

std::string RankStatsFile(std::uint32_t rank) {
  return fmt::format("{}_per_epoch_stats.json", rank);
}

std::string MetadataFile(std::string_view program, std::string_view run_time) {
  return fmt::format("{}_{}_metadata.json", program, run_time);
}

std::string CaptureFile(std::string_view program, std::string_view command,
                        std::string_view stream) {
  return fmt::format("{}_{}.{}.log", program, command, stream);
}

core::Result<ResultFolder> MakeResultFolder(const FolderRequest& request) {
  const std::filesystem::path parent =
      std::filesystem::path(request.results_dir) / request.program /
      request.model / request.command;
  std::error_code error;
  std::filesystem::create_directories(parent, error);
  if (error) return Fail(error.value(), parent.string());

  const std::string time = FolderTime(request.time);
  for (int suffix = 0; suffix <= kMaxSuffix; ++suffix) {
    ResultFolder folder;
    folder.run_time = suffix == 0 ? time : fmt::format("{}_{}", time, suffix);
    folder.path = (parent / folder.run_time).string();
    // mkdir itself says whose folder it is; looking first would be a race.
    if (::mkdir(folder.path.c_str(), 0777) == 0) return folder;
    if (errno != EEXIST) return Fail(errno, folder.path);
  }
  return Fail(EEXIST, (parent / time).string());
}

}  // namespace stoker::reporting
