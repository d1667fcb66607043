#pragma once

// Simulated remote storage: latency and bandwidth, on the clock.

#include <array>
#include <memory>

#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::storage {

inline constexpr std::array<OptionHelp, 3> kModelOptions{
    {{"latency", "duration, 1ms", "of every op, before its bytes flow; 0"},
     {"bandwidth", "bytes per second, 500MiB",
      "of all servers together; unlimited unless set"},
     {"servers", "1..65536", "ops served at the same time; 1"}}};

// "model:?latency=1ms&bandwidth=400MB&servers=4,<inner>". Each read queue has
// n servers of its own. An op goes to the server that is free first and keeps
// it busy for
//   latency + bytes / (bandwidth / n)
// seconds, rounded to the nanosecond, starting when it is submitted or when the
// server becomes free, whichever is later; ops are taken in the order they are
// submitted. Size queries and failed reads have no bytes. Example: n = 4,
// 1 ms, 400 MB/s: a read of 1 MB alone takes 1 ms + 1 MB / (100 MB/s) = 11 ms;
// the fifth of five submitted together is done after 22 ms.
//
// The inner back end is read while ops are submitted, and its own time comes
// on top: use one that answers at once. All waiting is done on the queue's
// clock, so that virtual time is exact. Writing is not modelled: it goes to the
// inner back end as it is.
core::Result<std::unique_ptr<Backend>> OpenModelBackend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner);

}  // namespace stoker::storage
