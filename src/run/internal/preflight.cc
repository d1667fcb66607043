#include "run/internal/preflight.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "core/units.h"

namespace stoker::run::internal {

namespace {

using core::Code;
using core::Status;

constexpr std::uint64_t kBytesPerStep = 256;
constexpr std::uint64_t kBytesPerEpoch = 8 * core::kKiB;
constexpr std::uint64_t kFixedBytes = core::kMiB;
constexpr std::uint64_t kFilesPerRank = 3;
constexpr std::uint64_t kFixedFiles = 16;
// Of a checkpoint: its manifest and its folder.
constexpr std::uint64_t kObjectsBesideFiles = 2;

}  // namespace

ResultsNeed NeedOfResults(const RunPlan& plan, std::uint64_t ranks) {
  const std::uint64_t rank_epochs = ranks * plan.epochs;
  return {.bytes = kFixedBytes + rank_epochs * (kBytesPerEpoch +
                                                (plan.steps + plan.eval_steps) *
                                                    kBytesPerStep),
          .files = kFixedFiles + ranks * kFilesPerRank};
}

Status CheckResultsRoom(const std::string& folder, const ResultsNeed& need) {
  struct statvfs info{};
  if (::statvfs(folder.c_str(), &info) != 0) {
    return Status::FromErrno(errno, "ask for the free space of " + folder);
  }
  const std::uint64_t free =
      std::uint64_t{info.f_bavail} * std::uint64_t{info.f_frsize};
  if (free < need.bytes) {
    return {Code::kIoError,
            fmt::format("the results will take about {}, {} are free in {}; "
                        "remedy: make room there, or --results-dir elsewhere",
                        core::FormatBytes(static_cast<double>(need.bytes)),
                        core::FormatBytes(static_cast<double>(free)), folder),
            ENOSPC};
  }
  // File systems without a fixed number of inodes say that they have none.
  if (info.f_files > 0 && info.f_favail < need.files) {
    return {Code::kIoError,
            fmt::format("the results are about {} files, {} free inodes are "
                        "left in {}; remedy: remove files there, or "
                        "--results-dir elsewhere",
                        need.files, std::uint64_t{info.f_favail}, folder),
            ENOSPC};
  }
  return {};
}

Status CheckObjectRoom(storage::Backend& backend, std::uint64_t files) {
  STOKER_ASSIGN(const std::uint64_t free, backend.FreeObjects());
  if (files <= free) {
    return {};
  }
  // A part may be there from an earlier attempt.
  std::uint64_t there = 0;
  for (const std::string_view set : {"train/", "valid/"}) {
    const Status listed =
        backend.List(set, [&there](const storage::ObjectInfo& /*info*/) {
          ++there;
          return true;
        });
    if (listed.code() != Code::kNotFound) {
      STOKER_TRY(listed);
    }
  }
  const std::uint64_t missing = files - std::min(files, there);
  if (missing <= free) {
    return {};
  }
  return {Code::kIoError,
          fmt::format("generate {}: {} files are to be made, {} free inodes "
                      "are left; remedy: remove files there, a file system "
                      "with more inodes (mkfs -N), fewer dataset."
                      "num_files_train with more num_samples_per_file, or "
                      "--distinct",
                      backend.uri(), missing, free),
          ENOSPC};
}

CheckpointRoom RoomOfCheckpoints(const CheckpointPlan& plan, std::uint64_t keep,
                                 std::uint64_t there) {
  const std::uint64_t at_once =
      keep == 0 ? plan.saves : std::min(plan.saves, keep + 1);
  const std::uint64_t replaced = std::min(there, at_once);
  // New files stand beside those they replace, at worst all of a checkpoint.
  const std::uint64_t beside = replaced > 0 ? 1 : 0;
  const std::uint64_t more = std::max(at_once - replaced, beside);
  return {.bytes = more * plan.stored_bytes,
          .objects = more * (plan.bytes.files + kObjectsBesideFiles)};
}

Status CheckRoomForCheckpoints(std::uint64_t free_bytes,
                               std::uint64_t free_objects,
                               const CheckpointPlan& plan, std::uint64_t keep,
                               std::uint64_t there) {
  const CheckpointRoom room = RoomOfCheckpoints(plan, keep, there);
  const std::string what =
      fmt::format("save {} checkpoints of {} each", plan.saves,
                  core::FormatBytes(static_cast<double>(plan.stored_bytes)));
  if (free_bytes < room.bytes) {
    return {
        Code::kIoError,
        fmt::format("{}: {} are needed at once, {} are free; remedy: make "
                    "room there, --keep N, fewer "
                    "--num-checkpoints-write, or --checkpoint-folder "
                    "elsewhere",
                    what, core::FormatBytes(static_cast<double>(room.bytes)),
                    core::FormatBytes(static_cast<double>(free_bytes))),
        ENOSPC};
  }
  if (free_objects < room.objects) {
    return {Code::kIoError,
            fmt::format("{}: about {} files and folders are made, {} free "
                        "inodes are left; remedy: remove files there, --keep "
                        "N, or a file system with more inodes (mkfs -N)",
                        what, room.objects, free_objects),
            ENOSPC};
  }
  return {};
}

}  // namespace stoker::run::internal
