#include "run/rank_process.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <random>
#include <system_error>
#include <thread>
#include <utility>

#include "comm/mpi_communicator.h"

namespace stoker::run {

namespace {

using core::Code;
using core::Status;

// The others may write what they know before the job is ended.
constexpr core::Nanos kAbortGrace = std::chrono::seconds(2);
// The job's exit status is that of the rank that ends it first: one that only
// learnt of another's failure (kUnavailable) leaves it to that one.
constexpr core::Nanos kAbortGraceOfOthers = std::chrono::seconds(3);

Status CheckRanks(const comm::Communicator& comm, std::int64_t wanted) {
  if (comm.size() == wanted) {
    return {};
  }
  return {Code::kInvalidArgument,
          fmt::format("{} rank(s) were started, the command asks for {}; "
                      "remedy: mpirun -n {}, srun --mpi=pmix -n {}, or "
                      "neither (stoker starts mpirun by itself)",
                      comm.size(), wanted, wanted, wanted)};
}

// A rank has an accelerator and a pump.
bool SharesCores(const comm::Communicator& comm) {
  const unsigned cores = std::thread::hardware_concurrency();
  return comm.local_size() > 1 &&
         2 * static_cast<unsigned>(comm.local_size()) > cores;
}

Status DrawRunId(RankContext& context) {
  comm::Bytes drawn;
  if (context.comm->rank() == 0) {
    std::random_device random;
    drawn = comm::ToBytes(fmt::format("{:08x}{:08x}", random(), random()));
  }
  STOKER_TRY(context.comm->Broadcast(drawn, 0));
  context.run_id = comm::ToText(drawn);
  return {};
}

// Of agreed errors rank 0 speaks for all; an error of another rank's own, or of
// a rank that is gone, is told by whoever leads a host as well.
bool Speaks(const comm::Communicator& comm, const Status& status) {
  const bool own = !status.message().starts_with("rank ");
  return comm.rank() == 0 || comm.local_rank() == 0 || own;
}

}  // namespace

bool StartedAsRank() { return comm::StartedByMpi(); }

Status RunRankProcess(const RankProcessOptions& options,
                      const core::CancelFlag& cancel,
                      const RankProcessHooks& hooks) {
  core::SystemClock clock;
  const bool mpi = comm::StartedByMpi();
  std::unique_ptr<comm::Communicator> comm;
  if (mpi) {
    STOKER_ASSIGN(comm, comm::MakeMpi(&cancel));
  } else {
    comm = comm::MakeSelf(&cancel);
  }
  Console console({.speaks = comm->rank() == 0,
                   .level = options.level,
                   .format = options.format,
                   .progress_columns = options.progress_columns});
  RankContext context{.comm = comm.get(),
                      .clock = &clock,
                      .cancel = &cancel,
                      .console = &console,
                      .shares_cores = SharesCores(*comm)};
  Status status = CheckRanks(*comm, options.ranks);
  if (status.ok()) {
    status = DrawRunId(context);
  }
  if (status.ok()) {
    status = hooks.body(context);
  }
  if (status.ok()) {
    return {};
  }
  comm->Abort(status);
  if (Speaks(*comm, status)) {
    console.Error(status.message());
  }
  if (hooks.on_failure) {
    hooks.on_failure(status);
  }
  const int exit_code = hooks.exit_code(status);
  if (mpi) {
    const bool of_another = status.code() == Code::kUnavailable;
    comm::ExitMpiJob(exit_code, of_another ? kAbortGraceOfOthers : kAbortGrace);
  }
  std::_Exit(exit_code);
}

core::Result<reporting::ResultFolder> SharedFolder(
    const RankContext& context, const reporting::FolderRequest& request,
    const std::string& run_dir) {
  reporting::ResultFolder folder;
  Status status;
  if (!run_dir.empty()) {
    folder = {.path = run_dir,
              .run_time = std::filesystem::path(run_dir).filename().string()};
  } else if (context.comm->rank() == 0) {
    core::Result<reporting::ResultFolder> made =
        reporting::MakeResultFolder(request);
    status = made.status();
    if (made.ok()) {
      folder = std::move(made).value();
    }
  }
  STOKER_TRY(comm::Agree(*context.comm, status));
  comm::Bytes message = comm::ToBytes(folder.path);
  STOKER_TRY(context.comm->Broadcast(message, 0));
  folder.path = comm::ToText(message);
  folder.run_time = std::filesystem::path(folder.path).filename().string();
  // Hosts may not share the folder's file system.
  std::error_code error;
  std::filesystem::create_directories(folder.path, error);
  if (error) {
    status = Status::FromErrno(error.value(), "make folder " + folder.path);
  }
  STOKER_TRY(comm::Agree(*context.comm, status));
  return folder;
}

}  // namespace stoker::run
