#include "run/internal/retire.h"

#include <fmt/format.h>

#include <vector>

#include "checkpoint/verify.h"
#include "comm/communicator.h"

namespace stoker::run::internal {

using core::Status;

namespace {

Status Delete(const RankContext& context, storage::Backend& backend,
              const std::string& folder) {
  STOKER_ASSIGN(const checkpoint::DeletedCheckpoint deleted,
                checkpoint::DeleteCheckpoint(backend, folder, *context.clock));
  context.console->Print(
      LogLevel::kVerbose,
      fmt::format("deleted {}: {} files", folder, deleted.files));
  return {};
}

Status RemoveRest(storage::Backend& backend, const std::string& folder) {
  std::vector<std::string> names;
  const Status listed =
      backend.List(folder + "/", [&](const storage::ObjectInfo& info) {
        names.emplace_back(info.name);
        return true;
      });
  if (!listed.ok()) {
    return listed.code() == core::Code::kNotFound ? Status() : listed;
  }
  return backend.RemoveAll(names).status();
}

}  // namespace

Status RetireCheckpoint(const RankContext& context, storage::Backend& backend,
                        const std::string& folder) {
  comm::Communicator& comm = *context.comm;
  const bool leads = comm.rank() == 0;
  STOKER_TRY(
      comm::Agree(comm, leads ? Delete(context, backend, folder) : Status()));
  const bool looks =
      comm.local_rank() == 0 && !leads && backend.CacheActivity().has_value();
  return comm::Agree(comm, looks ? RemoveRest(backend, folder) : Status());
}

}  // namespace stoker::run::internal
