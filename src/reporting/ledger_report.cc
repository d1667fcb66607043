#include "reporting/ledger_report.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "core/text.h"
#include "core/units.h"
#include "reporting/internal/console_text.h"
#include "reporting/internal/file_output.h"
#include "reporting/internal/record_json.h"
#include "reporting/result_folder.h"

namespace stoker::reporting {
namespace {

using metrics::EpochLedger;
using metrics::HostLedger;
using metrics::RunLedger;
using metrics::Served;

struct ServedPart {
  std::string_view key;   // in JSON, with "_bytes"
  std::string_view text;  // for people
  std::uint64_t Served::* bytes;
};
constexpr std::array<ServedPart, 7> kServedParts{{
    {"nothing", "nowhere (no data moved)", &Served::nothing},
    {"memory", "memory", &Served::memory},
    {"cache_tier", "cache tier", &Served::cache_tier},
    {"page_cache", "page cache", &Served::page_cache},
    {"device", "device", &Served::device},
    {"network", "network", &Served::network},
    {"unknown", "unknown", &Served::unknown},
}};

Json ServedJson(const Served& served) {
  Json json = Json::MakeObject();
  for (const ServedPart& part : kServedParts) {
    json.Add(fmt::format("{}_bytes", part.key), served.*part.bytes);
  }
  return json;
}

template <class T>
Json OrNull(const std::optional<T>& value) {
  return value.has_value() ? Json(*value) : Json();
}

Json SampleJson(const std::optional<metrics::CacheSample>& sample) {
  if (!sample.has_value()) return {};
  Json json = Json::MakeObject();
  json.Add("files", sample->files);
  json.Add("bytes", sample->bytes);
  json.Add("cached_bytes", sample->cached);
  return json;
}

Json RequestsJson(const std::optional<storage::RequestCounters>& requests) {
  if (!requests.has_value()) return {};
  Json json = Json::MakeObject();
  for (const metrics::RequestField& field : metrics::kRequestFields) {
    json.Add(std::string(field.first), (*requests).*field.second);
  }
  return json;
}

Json CacheJson(const std::optional<storage::CacheCounts>& cache) {
  if (!cache.has_value()) return {};
  Json json = Json::MakeObject();
  for (const metrics::CacheField& field : metrics::kCacheFields) {
    json.Add(std::string(field.first), (*cache).*field.second);
  }
  return json;
}

Json WitnessesJson(const HostLedger& host) {
  Json json = Json::MakeObject();
  json.Add("process_read_bytes", OrNull(host.process_read));
  json.Add("disk_read_bytes", OrNull(host.disk_read));
  json.Add("process_and_disk_agree", OrNull(DeviceWitnessesAgree(host)));
  json.Add("nfs_read_bytes", OrNull(host.nfs_read));
  json.Add("nic_received_bytes", OrNull(host.nic_received));
  json.Add("loopback_received_bytes", OrNull(host.loopback_received));
  json.Add("cgroup_read_bytes", OrNull(host.cgroup_read));
  json.Add("cgroup_page_cache_bytes", OrNull(host.cgroup_cache));
  json.Add("sample_before", SampleJson(host.before));
  json.Add("sample_after", SampleJson(host.after));
  json.Add("requests", RequestsJson(host.requests));
  json.Add("cache", CacheJson(host.cache));
  return json;
}

// What a host, an epoch and a run have in common.
void AddSums(const HostLedger& sums, const Served& served, Json& json) {
  json.Add("cache_state", metrics::NameOf(metrics::Judge(served)));
  json.Add("asked_bytes", sums.asked);
  json.Add("delivered_bytes", sums.delivered);
  json.Add("discarded_bytes", sums.discarded);
  json.Add("served_by", ServedJson(served));
  json.Add("drop_caches_ns",
           sums.drop_caches ? Count(*sums.drop_caches) : Json());
}

Json HostLedgerJson(const HostLedger& host,
                    const std::vector<metrics::HostFacts>& hosts) {
  Json json = Json::MakeObject();
  json.Add("node", host.node);
  json.Add("hostname",
           host.node < hosts.size() ? hosts[host.node].hostname : "");
  json.Add("medium", metrics::NameOf(host.medium));
  AddSums(host, ServedOf(host), json);
  json.Add("witnesses", WitnessesJson(host));
  json.Add("missing_witnesses", MissingWitnesses(host));
  return json;
}

Json FiguresJson(const std::vector<metrics::LatencyFigures>& all) {
  Json::Array rows;
  for (const metrics::LatencyFigures& figures : all) {
    Json json = Json::MakeObject();
    json.Add("kind", figures.kind);
    json.Add("size", figures.size);
    json.Add("count", figures.count);
    json.Add("p50_ns", figures.p50);
    json.Add("p99_ns", figures.p99);
    json.Add("p999_ns", figures.p999);
    json.Add("max_ns", figures.max);
    rows.push_back(std::move(json));
  }
  return rows;
}

Json HistogramsJson(const storage::Latencies& latencies) {
  Json::Array rows;
  latencies.ForEach([&rows](storage::LatencyKind kind, storage::SizeClass size,
                            const core::Histogram& histogram) {
    Json json = Json::MakeObject();
    json.Add("kind", NameOf(kind));
    json.Add("size", NameOf(size));
    json.Add("latency_ns", HistogramJson(histogram));
    rows.push_back(std::move(json));
  });
  return rows;
}

Json EpochLedgerJson(const EpochLedger& epoch) {
  Json json = Json::MakeObject();
  json.Add("epoch", epoch.epoch);
  const HostLedger sums = SumOf(epoch);
  AddSums(sums, ServedOf(epoch), json);
  json.Add("cache", CacheJson(sums.cache));
  return json;
}

Json RunLedgerJson(const RunLedger& ledger) {
  Json json = Json::MakeObject();
  const HostLedger sums = SumOf(ledger);
  AddSums(sums, ServedOf(ledger), json);
  json.Add("requests", RequestsJson(sums.requests));
  json.Add("cache", CacheJson(sums.cache));
  json.Add("missing_witnesses", MissingWitnesses(ledger));
  json.Add("latencies", FiguresJson(metrics::FiguresOf(ledger.latencies)));
  return json;
}

// "page cache 12.00 GiB (80.0 %), device 3.00 GiB (20.0 %)"
std::string ServedText(const Served& served) {
  const auto total = static_cast<double>(served.total());
  std::string text;
  for (const ServedPart& part : kServedParts) {
    const auto bytes = static_cast<double>(served.*part.bytes);
    if (bytes > 0) {
      text +=
          fmt::format("{}{} {} ({:.1f} %)", text.empty() ? "" : ", ", part.text,
                      core::FormatBytes(bytes), 100 * bytes / total);
    }
  }
  return text.empty() ? "nothing was read" : text;
}

// "1 cold, 2 to 5 warm": runs of epochs in the same state.
std::string StatesText(const RunLedger& ledger) {
  std::string text;
  const auto state = [&ledger](std::size_t i) {
    return metrics::Judge(ServedOf(ledger.epochs[i]));
  };
  for (std::size_t first = 0; first < ledger.epochs.size();) {
    std::size_t last = first;
    while (last + 1 < ledger.epochs.size() && state(last + 1) == state(first)) {
      ++last;
    }
    text += fmt::format("{}{}", text.empty() ? "" : ", ",
                        ledger.epochs[first].epoch);
    if (last > first) text += fmt::format(" to {}", ledger.epochs[last].epoch);
    text += fmt::format(" {}", metrics::NameOf(state(first)));
    first = last + 1;
  }
  return text;
}

std::string Duration(std::int64_t nanoseconds) {
  return core::FormatSeconds(core::Seconds(core::Nanos(nanoseconds)));
}

std::string RequestsText(const storage::RequestCounters& requests) {
  std::string text = fmt::format("{} requests, {} repeated",
                                 core::FormatCount(requests.requests),
                                 core::FormatCount(requests.repetitions));
  constexpr std::array<
      std::pair<std::string_view, std::uint64_t storage::RequestCounters::*>, 5>
      kReasons{{{"throttled", &storage::RequestCounters::throttled},
                {"server error", &storage::RequestCounters::server_errors},
                {"timed out", &storage::RequestCounters::timed_out},
                {"disconnected", &storage::RequestCounters::disconnected},
                {"damaged", &storage::RequestCounters::damaged}}};
  for (const auto& [name, field] : kReasons) {
    if (requests.*field > 0) {
      text += fmt::format(", {} {}", name, core::FormatCount(requests.*field));
    }
  }
  return text;
}

std::string CacheText(const storage::CacheCounts& cache) {
  const std::uint64_t delivered =
      cache.hit_bytes + cache.memory_bytes + cache.store_bytes;
  const auto part = [delivered](std::uint64_t bytes) {
    return delivered == 0 ? 0.0
                          : 100.0 * static_cast<double>(bytes) /
                                static_cast<double>(delivered);
  };
  std::string text = fmt::format(
      "{:.1f} % hits, {:.1f} % from buffers, {:.1f} % from the store; {} put "
      "in, {} evicted",
      part(cache.hit_bytes), part(cache.memory_bytes), part(cache.store_bytes),
      core::FormatBytes(static_cast<double>(cache.filled_bytes)),
      core::FormatCount(cache.evictions));
  constexpr std::array<
      std::pair<std::string_view, std::uint64_t storage::CacheCounts::*>, 9>
      kOthers{
          {{"blocks prefetched", &storage::CacheCounts::prefetched},
           {"checksum misses", &storage::CacheCounts::checksum_misses},
           {"device errors", &storage::CacheCounts::device_errors},
           {"device hangs", &storage::CacheCounts::device_hangs},
           {"takeovers", &storage::CacheCounts::takeovers},
           {"hedged reads", &storage::CacheCounts::hedges},
           {"blocks over the write budget", &storage::CacheCounts::over_budget},
           {"blocks not kept to spare the hits",
            &storage::CacheCounts::guarded},
           {"hits read from the store to spare the device",
            &storage::CacheCounts::balanced}}};
  for (const auto& [name, field] : kOthers) {
    if (cache.*field > 0) {
      text += fmt::format(", {} {}", core::FormatCount(cache.*field), name);
    }
  }
  return text;
}

}  // namespace

Json LedgerJson(const RunLedger& ledger,
                const std::vector<metrics::HostFacts>& hosts) {
  Json::Array epochs;
  for (const EpochLedger& epoch : ledger.epochs) {
    Json json = EpochLedgerJson(epoch);
    Json::Array parts;
    for (const HostLedger& host : epoch.hosts) {
      parts.push_back(HostLedgerJson(host, hosts));
    }
    json.Add("hosts", std::move(parts));
    json.Add("latencies", FiguresJson(epoch.latencies));
    epochs.push_back(std::move(json));
  }
  Json json = Json::MakeObject();
  json.Add("ledger_version", 1);
  json.Add("run", RunLedgerJson(ledger));
  json.Add("epochs", std::move(epochs));
  json.Add("histograms", HistogramsJson(ledger.latencies));
  return json;
}

Json LedgerDigestJson(const RunLedger& ledger) {
  Json::Array epochs;
  for (const EpochLedger& epoch : ledger.epochs) {
    epochs.push_back(EpochLedgerJson(epoch));
  }
  Json json = RunLedgerJson(ledger);
  json.Add("epochs", std::move(epochs));
  return json;
}

core::Status WriteLedger(const std::string& path, const RunLedger& ledger,
                         const std::vector<metrics::HostFacts>& hosts) {
  return WriteFile(path, DumpJson(LedgerJson(ledger, hosts), 2) + '\n');
}

std::string LedgerLines(const RunLedger& ledger) {
  if (ledger.epochs.empty()) return {};
  const Served served = ServedOf(ledger);
  const HostLedger sums = SumOf(ledger);
  std::string text = Line("bytes came from", ServedText(served));
  text += Line("cache state",
               fmt::format("{} (epoch {})", metrics::NameOf(Judge(served)),
                           StatesText(ledger)));
  const metrics::LatencyFigures reads =
      metrics::FiguresOf(ledger.latencies, storage::LatencyKind::kRead);
  if (reads.count > 0) {
    text += Line("read latency",
                 fmt::format("p50 {}, p99 {}, p99.9 {}, max {}",
                             Duration(reads.p50), Duration(reads.p99),
                             Duration(reads.p999), Duration(reads.max)));
  }
  if (sums.requests.has_value()) {
    text += Line("requests", RequestsText(*sums.requests));
  }
  if (sums.cache.has_value()) {
    text += Line("cache", CacheText(*sums.cache));
    std::string epochs;
    for (const EpochLedger& epoch : ledger.epochs) {
      const HostLedger one = SumOf(epoch);
      epochs +=
          fmt::format("{}{:.1f} %", epochs.empty() ? "" : ", ",
                      one.cache.has_value() && one.delivered > 0
                          ? 100.0 * static_cast<double>(one.cache->hit_bytes) /
                                static_cast<double>(one.delivered)
                          : 0.0);
    }
    text += Line("hits by epoch", epochs);
  }
  if (sums.drop_caches.has_value()) {
    text += Line("caches dropped",
                 fmt::format("before each epoch, {} at the longest",
                             Duration(sums.drop_caches->count())));
  }
  const std::vector<std::string> missing = MissingWitnesses(ledger);
  if (!missing.empty()) {
    text += Line("no witness", fmt::format("{}", fmt::join(missing, ", ")));
  }
  return text;
}

}  // namespace stoker::reporting
