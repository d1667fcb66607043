#pragma once

// Simulated remote storage: latency, bandwidth, rates and failures, on the
// clock.

#include <array>
#include <memory>

#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::storage {

inline constexpr std::array<OptionHelp, 13> kModelOptions{
    {{"bandwidth", "bytes per second, 500MiB",
      "of all ranks together, in each direction; unlimited unless set"},
     {"requests", "1, 2, ... per second",
      "let in at most, of all ranks together; unlimited unless set"},
     {"concurrency", "1..65536",
      "requests in service at once, of all ranks together; unlimited unless "
      "set"},
     {"servers", "1..65536",
      "as concurrency, and each has its part of the bandwidth, used or not"},
     {"latency", "duration, 1ms", "of every request, before its bytes flow; 0"},
     {"latency_p50", "duration, 2ms",
      "median of log-normal latencies, instead of latency"},
     {"latency_p99", "duration, 20ms", "their 99th percentile"},
     {"error_rate", "0..1", "part of the requests that fail with EIO; 0"},
     {"throttle_rate", "0..1",
      "part that is turned away and repeated after a back-off; 0"},
     {"retries", "0..100", "repetitions of a request that is turned away; 5"},
     {"stall_rate", "0..1", "part that takes so much longer as stall says; 0"},
     {"stall", "duration, 5s", "added latency of a request that stalls"},
     {"seed", "0, 1, ...",
      "which requests fail, stall and take long; equal seeds, equal ones; 0"}}};

// "model:?latency=1ms&bandwidth=400MB&concurrency=64,<inner>". A request is let
// in, no two closer than 1/requests; waits until fewer than `concurrency` are
// in service; is answered after its latency; then its bytes flow, and nobody
// else's at the same time, for
//   bytes / bandwidth
// seconds, first answered, first served. With servers=n its bytes flow at
// bandwidth/n instead, beside those of the n - 1 others. Size queries and
// failed reads have no bytes. Example: 1 ms, 400 MB/s: a read of 1 MB alone
// takes 1 ms + 2.5 ms, the second of two submitted together 1 ms + 5 ms; with
// servers=4 each takes 1 ms + 10 ms, and the fifth of five is done after 22 ms.
// The 1st percentile of log-normal latencies lies as far below the median, as a
// ratio, as the 99th above.
//
// Writing: Create, each part, and Commit are requests, parts have bytes; so are
// List, Link and Remove, if settings.clock is set. Reads and writes do not
// share bandwidth.
//
// All who open one URI under one settings.shared_name on a host share the
// limits, which are settings.host_share of those given; concurrency and servers
// are rounded, and at least 1 a host. Clocks must agree between processes
// (core::SystemClock). Without a shared name the back end has them for itself.
//
// Failures depend on seed, kind of request, object, offset and repetition
// alone: a place that fails does so in every epoch. Requests that are turned
// away come again after 5 to 10 ms, then up to twice as long each time (1 s at
// most), while settings.io_timeout lasts; Requests() counts them as throttled.
// Then the op ends with kUnavailable.
//
// The inner back end is read while ops are submitted, which holds the caller
// up: use one that answers at once. All waiting is done on the queue's clock,
// so that virtual time is exact.
core::Result<std::unique_ptr<Backend>> OpenModelBackend(
    const Uri& uri, const OpenSettings& settings,
    std::unique_ptr<Backend> inner);

}  // namespace stoker::storage
