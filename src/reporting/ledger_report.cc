#include "reporting/ledger_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "core/units.h"
#include "reporting/internal/console_text.h"
#include "reporting/internal/file_output.h"
#include "reporting/internal/ledger_json.h"

namespace stoker::reporting {
namespace {

using metrics::Ledger;
using metrics::LedgerEntry;
using metrics::SourceKind;

std::string_view SourceName(SourceKind source) {
  constexpr std::array<std::string_view, 5> kNames{"files", "server", "memory",
                                                   "simulated", "nothing"};
  return kNames[static_cast<std::size_t>(source)];
}

void AddBytes(const LedgerEntry& entry, Json& json) {
  json.Add("asked_bytes", entry.asked);
  json.Add("delivered_bytes", entry.delivered);
  json.Add("discarded_bytes", entry.discarded);
  json.Add("cache_tier_bytes", entry.cache_tier);
  json.Add("page_cache_bytes", MaybeBytes(entry.page_cache));
  json.Add("device_bytes", MaybeBytes(entry.device));
  json.Add("network_bytes", MaybeBytes(entry.network));
  json.Add("warmth", metrics::WarmthName(entry.warmth));
}

Json EntryJson(const LedgerEntry& entry) {
  Json json = Json::MakeObject();
  json.Add("epoch", entry.epoch);
  json.Add("host", entry.node);
  AddBytes(entry, json);
  json.Add("witnesses", WitnessesJson(entry.witnesses));
  json.Add("page_cache_sample", SampleJson(entry.sample));
  json.Add("dropped_caches_s", entry.dropped_caches
                                   ? Json(core::Seconds(*entry.dropped_caches))
                                   : Json());
  return json;
}

// Sums over ranks; nothing where no rank asks a server.
std::optional<storage::RequestCounters> RequestsOf(
    const metrics::RunRecord& record) {
  std::optional<storage::RequestCounters> sum;
  for (const metrics::RankRecord& rank : record.ranks) {
    if (!rank.facts.requests) continue;
    const storage::RequestCounters& more = *rank.facts.requests;
    storage::RequestCounters& all = sum ? *sum : sum.emplace();
    all.requests += more.requests;
    all.repetitions += more.repetitions;
    all.connections += more.connections;
    all.bytes_received += more.bytes_received;
    all.bytes_sent += more.bytes_sent;
    all.throttled += more.throttled;
    all.server_errors += more.server_errors;
    all.timed_out += more.timed_out;
    all.disconnected += more.disconnected;
    all.damaged += more.damaged;
  }
  return sum;
}

std::string Part(std::string_view name,
                 const std::optional<std::uint64_t>& part, std::uint64_t all) {
  if (!part || *part == 0 || all == 0) return {};
  return fmt::format(
      ", {} {} ({:.1f} %)", name, core::FormatBytes(static_cast<double>(*part)),
      100 * static_cast<double>(*part) / static_cast<double>(all));
}

std::string SourceText(const Ledger& ledger) {
  const LedgerEntry& run = ledger.run;
  std::string text =
      core::FormatBytes(static_cast<double>(run.delivered)) + " delivered";
  switch (ledger.source) {
    case SourceKind::kMemory:
      return text + " from memory";
    case SourceKind::kSimulated:
      return text + " by a simulated store";
    case SourceKind::kNothing:
      return text + " by nothing";
    case SourceKind::kFiles:
    case SourceKind::kServer:
      break;
  }
  text += Part("our cache", run.cache_tier, run.delivered);
  text += Part("page cache", run.page_cache, run.delivered);
  text += Part("devices", run.device, run.delivered);
  text += Part("network", run.network, run.delivered);
  if (!run.page_cache) text += ", from where is not known";
  return text;
}

// "cold; epochs: 1 cold, 4 warm"
std::string WarmthText(const Ledger& ledger) {
  constexpr std::array kOrder{metrics::Warmth::kCold, metrics::Warmth::kMixed,
                              metrics::Warmth::kWarm,
                              metrics::Warmth::kUnknown};
  std::vector<std::string> counts;
  for (const metrics::Warmth warmth : kOrder) {
    const auto count =
        std::ranges::count(ledger.epochs, warmth, &LedgerEntry::warmth);
    if (count > 0) {
      counts.push_back(fmt::format("{} {}", count, WarmthName(warmth)));
    }
  }
  return fmt::format("{}; epochs: {}", WarmthName(ledger.run.warmth),
                     fmt::join(counts, ", "));
}

std::string LatencyText(const core::Histogram& histogram) {
  const auto seconds = [&histogram](double fraction) {
    return core::FormatSeconds(
        static_cast<double>(histogram.Quantile(fraction)) / 1e9);
  };
  return fmt::format("p50 {}, p99 {}, p99.9 {}, max {}", seconds(0.5),
                     seconds(0.99), seconds(0.999), seconds(1));
}

}  // namespace

Json LedgerJson(const metrics::RunRecord& record, const Ledger& ledger) {
  Json::Array entries;
  for (const LedgerEntry& entry : ledger.entries)
    entries.push_back(EntryJson(entry));
  Json::Array epochs;
  for (const LedgerEntry& entry : ledger.epochs) {
    Json epoch = Json::MakeObject();
    epoch.Add("epoch", entry.epoch);
    AddBytes(entry, epoch);
    epochs.push_back(std::move(epoch));
  }
  Json::Array hosts;
  for (const metrics::HostFacts& host : record.hosts)
    hosts.emplace_back(host.hostname);
  Json::Array missing;
  for (const std::string& name : ledger.missing_witnesses)
    missing.emplace_back(name);
  Json run = Json::MakeObject();
  AddBytes(ledger.run, run);
  Json json = Json::MakeObject();
  json.Add("ledger_version", 1);
  json.Add("backend", record.facts.backend);
  json.Add("storage_uri", record.facts.storage_uri);
  json.Add("source", SourceName(ledger.source));
  json.Add("hosts", std::move(hosts));
  json.Add("run", std::move(run));
  json.Add("epochs", std::move(epochs));
  json.Add("entries", std::move(entries));
  json.Add("missing_witnesses", std::move(missing));
  json.Add("requests", RequestsJson(RequestsOf(record)));
  json.Add("latency", LatenciesJson(record.latencies, /*with_buckets=*/true));
  return json;
}

core::Status WriteLedger(const std::string& path,
                         const metrics::RunRecord& record,
                         const Ledger& ledger) {
  return WriteFile(path, DumpJson(LedgerJson(record, ledger), 2) + '\n');
}

std::string LedgerLines(const metrics::RunRecord& record,
                        const Ledger& ledger) {
  std::string text = Line("bytes", SourceText(ledger));
  const bool can_be_cold = ledger.source == SourceKind::kFiles ||
                           ledger.source == SourceKind::kServer;
  if (can_be_cold) {
    text += Line("cold or warm", WarmthText(ledger));
    if (!ledger.missing_witnesses.empty()) {
      const std::vector<std::string_view> names(
          ledger.missing_witnesses.begin(), ledger.missing_witnesses.end());
      text += Line("no witness", core::Join(names, ", "));
    }
  }
  if (ledger.run.dropped_caches) {
    text += Line("caches dropped",
                 fmt::format("before each epoch, on every host, in {} at most",
                             core::FormatSeconds(
                                 core::Seconds(*ledger.run.dropped_caches))));
  }
  const core::Histogram reads =
      record.latencies.Of(storage::LatencyKind::kRead);
  if (reads.count() > 0) text += Line("read latency", LatencyText(reads));
  const core::Histogram first =
      record.latencies.Of(storage::LatencyKind::kFirstByte);
  if (first.count() > 0) text += Line("first byte", LatencyText(first));
  if (const auto requests = RequestsOf(record)) {
    text += Line(
        "requests",
        fmt::format(
            "{} over {} connections, {} repeated (throttled {}, server "
            "errors {}, timed out {}, disconnected {}, damaged {})",
            core::FormatCount(requests->requests), requests->connections,
            requests->repetitions, requests->throttled, requests->server_errors,
            requests->timed_out, requests->disconnected, requests->damaged));
  }
  return text;
}

}  // namespace stoker::reporting
