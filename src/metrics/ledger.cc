#include "metrics/ledger.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "storage/registry.h"

namespace stoker::metrics {
namespace {

using Count = std::optional<std::uint64_t>;

constexpr double kColdShare = 0.95;
constexpr double kWarmShare = 0.05;

void AddKnown(Count& sum, const Count& more) {
  if (more) sum = sum.value_or(0) + *more;
}

// Of what came from the store (our own cache is no part of it), how much the
// witnesses explain.
void Attribute(SourceKind source, LedgerEntry& entry) {
  const std::uint64_t rest =
      entry.delivered - std::min(entry.delivered, entry.cache_tier);
  switch (source) {
    case SourceKind::kFiles: {
      entry.device = entry.witnesses.process_device;
      entry.network = entry.witnesses.nfs;
      const std::uint64_t explained =
          entry.device.value_or(0) + entry.network.value_or(0);
      if (entry.device) {
        entry.page_cache = rest - std::min(rest, explained);
      }
      break;
    }
    case SourceKind::kServer:
      entry.device = 0;
      entry.network = rest;
      entry.page_cache = 0;
      break;
    case SourceKind::kMemory:
    case SourceKind::kSimulated:
    case SourceKind::kNothing:
      break;
  }
}

Warmth WarmthOf(SourceKind source, const LedgerEntry& entry) {
  if (source != SourceKind::kFiles && source != SourceKind::kServer) {
    return Warmth::kNone;
  }
  if (entry.delivered == 0) return Warmth::kNone;
  if (!entry.page_cache) return Warmth::kUnknown;
  const double cold =
      static_cast<double>(
          entry.delivered -
          std::min(entry.delivered, *entry.page_cache + entry.cache_tier)) /
      static_cast<double>(entry.delivered);
  if (cold >= kColdShare) return Warmth::kCold;
  return cold <= kWarmShare ? Warmth::kWarm : Warmth::kMixed;
}

void AddLoader(const LoaderCounters& loader, LedgerEntry& entry) {
  entry.asked += loader.payload_bytes_delivered;
  entry.delivered += loader.reads.bytes;
  entry.discarded += loader.bytes_discarded;
  entry.cache_tier += loader.reads.bytes_from_cache;
}

void AddEntry(const LedgerEntry& more, LedgerEntry& sum) {
  sum.asked += more.asked;
  sum.delivered += more.delivered;
  sum.discarded += more.discarded;
  sum.cache_tier += more.cache_tier;
  AddKnown(sum.device, more.device);
  AddKnown(sum.network, more.network);
  sum.witnesses = SumOf(sum.witnesses, more.witnesses);
  sum.sample.files += more.sample.files;
  sum.sample.bytes += more.sample.bytes;
  sum.sample.cached_bytes += more.sample.cached_bytes;
  if (more.dropped_caches) {
    sum.dropped_caches = std::max(sum.dropped_caches.value_or(core::Nanos{0}),
                                  *more.dropped_caches);
  }
}

// The page cache's part is known of all, or of none.
LedgerEntry Total(SourceKind source, std::uint32_t epoch,
                  const std::vector<LedgerEntry>& entries) {
  LedgerEntry total;
  total.epoch = epoch;
  bool known = !entries.empty();
  Count page_cache;
  for (const LedgerEntry& entry : entries) {
    AddEntry(entry, total);
    AddKnown(page_cache, entry.page_cache);
    known = known && entry.page_cache.has_value();
  }
  if (known) total.page_cache = page_cache;
  total.warmth = WarmthOf(source, total);
  return total;
}

std::vector<std::string> MissingOf(const std::vector<LedgerEntry>& entries) {
  constexpr std::array<std::pair<std::string_view, Count Witnesses::*>, 6>
      kNames{{{"process_io", &Witnesses::process_device},
              {"diskstats", &Witnesses::host_devices},
              {"nfs_mountstats", &Witnesses::nfs},
              {"network", &Witnesses::network},
              {"loopback", &Witnesses::loopback},
              {"cgroup", &Witnesses::cgroup}}};
  std::vector<std::string> missing;
  for (const auto& [name, member] : kNames) {
    const bool told = std::ranges::all_of(
        entries, [told_by = member](const LedgerEntry& entry) {
          return (entry.witnesses.*told_by).has_value();
        });
    if (!told) missing.emplace_back(name);
  }
  const bool sampled = std::ranges::all_of(
      entries, [](const LedgerEntry& entry) { return entry.sample.files > 0; });
  if (!sampled) missing.emplace_back("page_cache_sample");
  return missing;
}

}  // namespace

SourceKind SourceOf(std::string_view storage_uri) {
  std::string text(storage_uri);
  while (true) {
    const auto uri = storage::ParseUri(text);
    if (!uri.ok()) return SourceKind::kFiles;
    const std::string& scheme = uri.value().scheme;
    if (scheme == "model") return SourceKind::kSimulated;
    if (!uri.value().inner.empty()) {
      text = uri.value().inner;
      continue;
    }
    if (scheme == "s3") return SourceKind::kServer;
    if (scheme == "mem") return SourceKind::kMemory;
    return scheme == "null" ? SourceKind::kNothing : SourceKind::kFiles;
  }
}

std::string_view WarmthName(Warmth warmth) {
  constexpr std::array<std::string_view, 5> kNames{"cold", "mixed", "warm",
                                                   "unknown", "none"};
  return kNames[static_cast<std::size_t>(warmth)];
}

Ledger MakeLedger(const RunRecord& record) {
  Ledger ledger;
  ledger.source = SourceOf(record.facts.storage_uri);
  std::map<std::pair<std::uint32_t, std::uint32_t>, LedgerEntry> by_place;
  for (const RankRecord& rank : record.ranks) {
    for (const EpochSummary& epoch : rank.epochs) {
      LedgerEntry& entry = by_place[{epoch.epoch, rank.facts.node}];
      entry.epoch = epoch.epoch;
      entry.node = rank.facts.node;
      AddLoader(epoch.train_loader, entry);
      AddLoader(epoch.eval_loader, entry);
      entry.witnesses = SumOf(entry.witnesses, epoch.witnesses.counted);
      if (rank.facts.local_rank == 0) {
        entry.sample = epoch.witnesses.sample;
        entry.dropped_caches = epoch.witnesses.dropped_caches;
      }
    }
  }
  std::map<std::uint32_t, std::vector<LedgerEntry>> by_epoch;
  for (auto& [place, entry] : by_place) {
    Attribute(ledger.source, entry);
    entry.warmth = WarmthOf(ledger.source, entry);
    ledger.entries.push_back(entry);
    by_epoch[place.first].push_back(entry);
  }
  for (const auto& [epoch, entries] : by_epoch) {
    ledger.epochs.push_back(Total(ledger.source, epoch, entries));
  }
  ledger.run = Total(ledger.source, 0, ledger.entries);
  ledger.missing_witnesses = MissingOf(ledger.entries);
  return ledger;
}

}  // namespace stoker::metrics
