#include "run/simulate.h"

#include <unistd.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "comm/communicator.h"
#include "core/clock.h"

namespace stoker::run {

core::Result<metrics::RunSummary> SimulateTraining(
    const TrainRequest& request, int ranks, const core::CancelFlag& cancel) {
  static std::atomic<int> simulations{0};
  std::mutex mutex;
  core::Status failed;
  std::optional<metrics::RunSummary> summary;
  TrainRequest own = request;
  own.predict = false;
  own.on_summary = [&](const metrics::RunSummary& figures) {
    const std::scoped_lock lock(mutex);
    summary = figures;
  };
  core::VirtualClock clock;
  // The threads share the store's limits as ranks of a host do.
  const std::string name = "predict-" + std::to_string(::getpid()) + "-" +
                           std::to_string(simulations.fetch_add(1));
  comm::RunThreads(ranks, clock, &cancel, [&](comm::Communicator& comm) {
    Console console({.speaks = false});
    const core::Status status = RunTraining({.comm = &comm,
                                             .clock = &clock,
                                             .cancel = &cancel,
                                             .console = &console,
                                             .run_id = name},
                                            own);
    if (!status.ok()) {
      comm.Abort(status);
      const std::scoped_lock lock(mutex);
      failed = failed.ok() ? status : failed;
    }
  });
  STOKER_TRY(failed);
  if (!summary.has_value()) {
    return core::Status(core::Code::kUnavailable,
                        "simulate training: it gave no figures");
  }
  return *std::move(summary);
}

}  // namespace stoker::run
