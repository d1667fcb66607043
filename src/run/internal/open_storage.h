#pragma once

// The storage of a run, opened by each of its ranks.

#include <memory>
#include <string_view>

#include "core/clock.h"
#include "core/status.h"
#include "run/phases.h"
#include "storage/registry.h"

namespace stoker::run::internal {

// Not collective. What simulated stores limit is shared by the ranks of a host
// and divided among the hosts by their ranks. Errors as OpenBackend.
inline core::Result<std::unique_ptr<storage::Backend>> OpenStorage(
    const RankContext& context, std::string_view uri, core::Nanos io_timeout) {
  const comm::Communicator& comm = *context.comm;
  return storage::OpenBackend(
      uri, {.io_timeout = io_timeout,
            .shared_name = context.run_id,
            .host_share = static_cast<double>(comm.local_size()) /
                          static_cast<double>(comm.size()),
            .clock = context.clock});
}

}  // namespace stoker::run::internal
