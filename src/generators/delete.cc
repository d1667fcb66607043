#include "generators/delete.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "generators/internal/object_remover.h"
#include "generators/internal/phase.h"
#include "generators/internal/scan.h"
#include "generators/internal/walk.h"

namespace stoker::generators {

namespace {

using core::Code;
using core::Status;
using internal::EndPhase;

// The dataset's description; from here on the place says that it is not whole.
core::Result<dataset::Manifest> Unfinish(storage::Backend& backend,
                                         core::Clock& clock) {
  if (!backend.capabilities().stores_data) {
    return Status(Code::kInvalidArgument,
                  fmt::format("delete {}: it keeps no data", backend.uri()));
  }
  STOKER_ASSIGN(std::optional<dataset::Manifest> manifest,
                dataset::ReadManifest(backend, clock));
  if (manifest) {
    STOKER_TRY(dataset::WriteManifest(backend, *manifest, clock,
                                      dataset::kPartialName));
    STOKER_TRY(backend.Remove(dataset::kManifestName));
    return *std::move(manifest);
  }
  STOKER_ASSIGN(manifest,
                dataset::ReadManifest(backend, clock, dataset::kPartialName));
  if (manifest) {
    return *std::move(manifest);
  }
  return Status(
      Code::kNotFound,
      fmt::format("delete {}: there is neither {} nor {}, so which files "
                  "belong to a dataset of stoker is not known; nothing was "
                  "deleted",
                  backend.uri(), dataset::kManifestName,
                  dataset::kPartialName));
}

// The share of one rank.
class Remover {
 public:
  Remover(const GeneratePlan& plan, storage::Backend& backend,
          const core::CancelFlag& cancel, const OnProgress& progress)
      : plan_(plan),
        cancel_(cancel),
        progress_(progress),
        remover_(plan, backend) {}

  Status Run(const internal::Seat& seat) {
    const internal::Inventory inventory(plan_);
    const std::uint64_t names = plan_.names();
    own_.files_all = names;
    own_.files_mine =
        names > seat.rank ? (names - seat.rank - 1) / seat.ranks + 1 : 0;
    for (std::uint64_t i = seat.rank; i < names; i += seat.ranks) {
      STOKER_TRY(internal::CheckCancel(cancel_, "delete"));
      STOKER_TRY(remover_.Remove(inventory.At(i)));
      ++own_.files_done;
      if (progress_) {
        progress_(own_);
      }
    }
    STOKER_TRY(remover_.Flush());
    own_.waiting = seat.ranks > 1;
    if (progress_) {
      progress_(own_);
    }
    return {};
  }

  std::uint64_t names() const { return remover_.files(); }
  std::uint64_t others() const { return remover_.others(); }

 private:
  const GeneratePlan& plan_;
  const core::CancelFlag& cancel_;
  const OnProgress& progress_;
  OwnProgress own_;
  internal::ObjectRemover remover_;
};

Status RemoveFolders(storage::Backend& backend, const GeneratePlan& plan) {
  for (const dataset::Naming* naming : {&plan.train, &plan.valid}) {
    for (std::uint64_t i = 0; naming->subfolders > 1 && i < naming->subfolders;
         ++i) {
      const std::string name = dataset::ObjectName(*naming, i);
      STOKER_TRY(backend.RemoveFolder(name.substr(0, name.rfind('/') + 1)));
    }
    STOKER_TRY(backend.RemoveFolder(fmt::format("{}/", naming->set)));
    STOKER_TRY(backend.RemoveFolder(fmt::format("index/{}/", naming->set)));
  }
  return backend.RemoveFolder("index/");
}

core::Result<std::uint64_t> CountLeft(storage::Backend& backend) {
  std::uint64_t left = 0;
  for (const std::string_view folder : {"train/", "valid/", "index/"}) {
    const Status listed =
        backend.List(folder, [&](const storage::ObjectInfo& /*info*/) {
          ++left;
          return true;
        });
    if (listed.code() != Code::kNotFound) {
      STOKER_TRY(listed);
    }
  }
  return left;
}

// The marker goes only with the last of the dataset's own files.
Status Finish(storage::Backend& backend, const GeneratePlan& plan,
              DeleteResult& result) {
  STOKER_TRY(RemoveFolders(backend, plan));
  STOKER_ASSIGN(result.foreign, CountLeft(backend));
  if (result.foreign > 0) {
    STOKER_ASSIGN(const internal::Found own,
                  internal::Scan(backend, plan,
                                 [](const internal::Oddity&) { return true; }));
    if (own.objects > 0) {
      return {Code::kIoError,
              fmt::format("delete {}: {} files of the dataset are still there: "
                          "somebody writes them, or not all hosts see the "
                          "same place; {} stays, call --delete again",
                          backend.uri(), own.objects, dataset::kPartialName)};
    }
  }
  return backend.Remove(dataset::kPartialName);
}

}  // namespace

core::Result<DeleteResult> Delete(comm::Communicator& comm,
                                  storage::Backend& backend, core::Clock& clock,
                                  const core::CancelFlag& cancel,
                                  const OnProgress& progress) {
  const core::TimePoint start = clock.Now();
  const bool first = comm.rank() == 0;
  comm::Bytes message;
  Status status;
  if (first) {
    const core::Result<dataset::Manifest> found = Unfinish(backend, clock);
    status = found.status();
    if (found.ok()) {
      message = comm::ToBytes(dataset::ManifestText(found.value()));
    }
  }
  STOKER_TRY(EndPhase(comm, status));
  STOKER_TRY(comm.Broadcast(message, 0));
  DeleteResult result;
  STOKER_ASSIGN(result.manifest, dataset::ParseManifest(comm::ToText(message)));
  STOKER_ASSIGN(const GeneratePlan plan, PlanOf(result.manifest));

  STOKER_ASSIGN(result.swept,
                internal::SweepPlace(comm, backend, storage::Sweep::kRemove));
  Remover remover(plan, backend, cancel, progress);
  STOKER_TRY(EndPhase(comm, remover.Run(internal::SeatOf(comm))));
  status = {};
  if (first) {
    status = Finish(backend, plan, result);
  }
  STOKER_TRY(EndPhase(comm, status));
  const std::array own = {remover.names(), remover.others()};
  STOKER_ASSIGN(const std::vector<std::uint64_t> all,
                internal::SumAtRoot(comm, own));
  result.names = all[0];
  result.others = all[1];
  result.elapsed = clock.Now() - start;
  return result;
}

}  // namespace stoker::generators
