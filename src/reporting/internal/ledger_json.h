#pragma once

// What the ledger is made of, as JSON; ledger.json and record.json share it.

#include "metrics/ledger.h"
#include "metrics/run_record.h"
#include "reporting/json.h"

namespace stoker::reporting {

// Bytes; null where no witness told.
Json MaybeBytes(const std::optional<std::uint64_t>& bytes);
Json WitnessesJson(const metrics::Witnesses& witnesses);
Json SampleJson(const metrics::CacheSample& sample);
// Null where no server is asked.
Json RequestsJson(const std::optional<storage::RequestCounters>& requests);
// {kind: {size class: {count, min_ns, max_ns, p50_ns, …, buckets}}}
Json LatenciesJson(const storage::LatencyBook& latencies, bool with_buckets);

}  // namespace stoker::reporting
