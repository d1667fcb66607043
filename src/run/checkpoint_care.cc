// Looking after checkpoints outside of a run: verify and delete.

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/verify.h"
#include "core/units.h"
#include "run/checkpoint_phases.h"
#include "run/internal/open_storage.h"
#include "storage/registry.h"

namespace stoker::run {

namespace {

using core::Code;
using core::Status;

// A place and the step folders in it that are meant.
struct Place {
  std::unique_ptr<storage::Backend> backend;
  std::vector<std::string> folders;
};

// A step folder's own name is taken off its URI, so that the folder itself can
// go as well.
core::Result<Place> Open(const std::string& uri) {
  Place place;
  const std::string path = uri.substr(0, uri.find_last_not_of('/') + 1);
  const std::size_t slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0 &&
      checkpoint::IsStepFolder(path.substr(slash + 1))) {
    STOKER_ASSIGN(place.backend,
                  internal::OpenBehindCaches(path.substr(0, slash)));
    place.folders = {path.substr(slash + 1)};
    return place;
  }
  STOKER_ASSIGN(place.backend, internal::OpenBehindCaches(uri));
  STOKER_ASSIGN(place.folders, checkpoint::FindStepFolders(*place.backend));
  if (place.folders.empty()) {
    return Status(
        Code::kNotFound,
        fmt::format("{}: there is no {} in it or in a folder of it, so no "
                    "checkpoint of ours",
                    place.backend->uri(), checkpoint::kManifestName));
  }
  return place;
}

std::string NameOf(const Place& place, const std::string& folder) {
  return folder.empty() ? place.backend->uri() : folder;
}

}  // namespace

Status VerifyCheckpoints(Console& console, core::Clock& clock,
                         const core::CancelFlag& cancel,
                         const std::string& uri) {
  STOKER_ASSIGN(const Place place, Open(uri));
  checkpoint::ShardContext context;
  context.backend = place.backend.get();
  context.clock = &clock;
  context.cancel = &cancel;
  std::uint64_t bad = 0;
  for (const std::string& folder : place.folders) {
    const core::TimePoint start = clock.Now();
    STOKER_ASSIGN(const checkpoint::VerifiedCheckpoint verified,
                  checkpoint::VerifyCheckpoint(context, folder));
    for (const std::string& problem : verified.problems) {
      console.Warn(Event{.name = "bad_object",
                         .text = problem,
                         .fields = {{"problem", problem}}});
    }
    if (!verified.strangers.empty()) {
      console.Warn(fmt::format("{}: {} object(s) do not belong to it, first {}",
                               NameOf(place, folder), verified.strangers.size(),
                               verified.strangers.front()));
    }
    bad += verified.whole ? 0 : 1;
    const double seconds = core::Seconds(clock.Now() - start);
    console.Info(Event{
        .name = "verify_done",
        .text = fmt::format(
            "{}: {}, {} files, {} read in {}{}", NameOf(place, folder),
            verified.whole ? "whole" : "NOT WHOLE", verified.files,
            core::FormatBytes(static_cast<double>(verified.bytes)),
            core::FormatSeconds(seconds),
            verified.description.empty() ? "" : "; " + verified.description),
        .fields = {{"checkpoint", NameOf(place, folder)},
                   {"whole", verified.whole},
                   {"files", verified.files},
                   {"bytes", verified.bytes},
                   {"seconds", seconds},
                   {"problems", verified.problems.size()}}});
  }
  if (bad == 0) {
    return {};
  }
  return {
      Code::kCorruption,
      fmt::format("verify {}: {} of {} checkpoint(s) are not whole; remedy: "
                  "save them again, or remove them with 'stoker "
                  "checkpointing delete'",
                  uri, bad, place.folders.size())};
}

Status DeleteCheckpoints(Console& console, core::Clock& clock,
                         const std::string& uri) {
  STOKER_ASSIGN(const Place place, Open(uri));
  for (const std::string& folder : place.folders) {
    STOKER_ASSIGN(const checkpoint::DeletedCheckpoint deleted,
                  checkpoint::DeleteCheckpoint(*place.backend, folder, clock));
    console.Info(Event{
        .name = "delete_done",
        .text = fmt::format(
            "{}: {} files removed{}", NameOf(place, folder), deleted.files,
            deleted.swept.objects > 0
                ? fmt::format(", {} unfinished ones of killed writers",
                              deleted.swept.objects)
                : ""),
        .fields = {{"checkpoint", NameOf(place, folder)},
                   {"files", deleted.files},
                   {"unfinished", deleted.swept.objects},
                   {"strangers", deleted.strangers}}});
    if (deleted.strangers > 0) {
      console.Warn(fmt::format("{}: {} object(s) did not belong to it and stay",
                               NameOf(place, folder), deleted.strangers));
    }
    if (deleted.swept.busy > 0) {
      console.Warn(fmt::format(
          "{}: {} unfinished file(s) stay, since their writers may still be at "
          "work",
          NameOf(place, folder), deleted.swept.busy));
    }
  }
  return {};
}

}  // namespace stoker::run
