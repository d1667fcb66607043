#include "reporting/internal/ledger_json.h"

#include <string>

namespace stoker::reporting {
namespace {

Json LatencyJson(const core::Histogram& histogram, bool with_buckets) {
  Json json = Json::MakeObject();
  json.Add("count", histogram.count());
  json.Add("min_ns", histogram.smallest());
  json.Add("max_ns", histogram.largest());
  json.Add("p50_ns", histogram.Quantile(0.5));
  json.Add("p90_ns", histogram.Quantile(0.9));
  json.Add("p99_ns", histogram.Quantile(0.99));
  json.Add("p999_ns", histogram.Quantile(0.999));
  if (with_buckets) {
    Json::Array buckets;
    for (const core::Histogram::Bucket& bucket : histogram.Buckets()) {
      buckets.emplace_back(
          Json::Array{bucket.lowest, bucket.highest, bucket.count});
    }
    json.Add("buckets", std::move(buckets));
  }
  return json;
}

}  // namespace

Json MaybeBytes(const std::optional<std::uint64_t>& bytes) {
  return bytes ? Json(*bytes) : Json();
}

Json WitnessesJson(const metrics::Witnesses& witnesses) {
  Json json = Json::MakeObject();
  json.Add("process_io", MaybeBytes(witnesses.process_device));
  json.Add("diskstats", MaybeBytes(witnesses.host_devices));
  json.Add("nfs_mountstats", MaybeBytes(witnesses.nfs));
  json.Add("network", MaybeBytes(witnesses.network));
  json.Add("loopback", MaybeBytes(witnesses.loopback));
  json.Add("cgroup", MaybeBytes(witnesses.cgroup));
  return json;
}

Json SampleJson(const metrics::CacheSample& sample) {
  if (sample.files == 0) return {};
  Json json = Json::MakeObject();
  json.Add("files", sample.files);
  json.Add("bytes", sample.bytes);
  json.Add("cached_bytes", sample.cached_bytes);
  return json;
}

Json RequestsJson(const std::optional<storage::RequestCounters>& requests) {
  if (!requests) return {};
  Json json = Json::MakeObject();
  json.Add("requests", requests->requests);
  json.Add("repetitions", requests->repetitions);
  json.Add("connections", requests->connections);
  json.Add("bytes_received", requests->bytes_received);
  json.Add("bytes_sent", requests->bytes_sent);
  json.Add("throttled", requests->throttled);
  json.Add("server_errors", requests->server_errors);
  json.Add("timed_out", requests->timed_out);
  json.Add("disconnected", requests->disconnected);
  json.Add("damaged", requests->damaged);
  return json;
}

Json LatenciesJson(const storage::LatencyBook& latencies, bool with_buckets) {
  Json json = Json::MakeObject();
  for (std::size_t kind = 0; kind < storage::kLatencyKinds; ++kind) {
    const auto name = static_cast<storage::LatencyKind>(kind);
    Json classes = Json::MakeObject();
    bool any = false;
    for (std::size_t i = 0; i < storage::kSizeClasses; ++i) {
      if (const core::Histogram* const one = latencies.Find(name, i)) {
        classes.Add(std::string(storage::SizeClassName(i)),
                    LatencyJson(*one, with_buckets));
        any = true;
      }
    }
    if (any) json.Add(std::string(storage::NameOf(name)), std::move(classes));
  }
  return json;
}

}  // namespace stoker::reporting
