#pragma once

// The storage of a run, opened by each of its ranks.

#include <memory>
#include <string_view>

#include "cache/cache_backend.h"
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
            .clock = context.clock,
            .more = cache::CacheBackends()});
}

// What a cache acknowledged is brought to the store, so that a run leaves
// nothing that only this host has. Not collective.
inline core::Status DrainStorage(const RankContext& context,
                                 storage::Backend& backend,
                                 core::Nanos io_timeout) {
  return backend
      .Drain({.patience = io_timeout, .cancel = context.cancel}, *context.clock)
      .status()
      .WithContext(
          "drain the cache; what is left is kept there and is brought "
          "to the store by: stoker cache drain");
}

// For a look at objects and free space outside a run: without the caches in
// front, which add nothing to either and belong to one run at a time.
inline core::Result<std::unique_ptr<storage::Backend>> OpenBehindCaches(
    std::string_view uri) {
  STOKER_ASSIGN(const storage::Uri parsed, storage::ParseUri(uri));
  if (parsed.scheme == "cache") {
    STOKER_TRY(storage::CheckUriOptions(parsed, cache::CacheBackends()));
    STOKER_TRY(cache::ParseCacheOptions(parsed).status());
    return OpenBehindCaches(parsed.inner);
  }
  return storage::OpenBackend(uri, {.more = cache::CacheBackends()});
}

}  // namespace stoker::run::internal
