#include "metrics/ledger.h"

#include <algorithm>

#include "core/units.h"

namespace stoker::metrics {
namespace {

// Two counts that may each be untold.
template <class T>
void AddOptional(const std::optional<T>& more, std::optional<T>& sum) {
  if (more.has_value() && sum.has_value()) {
    *sum += *more;
  } else {
    sum.reset();
  }
}

// The same of counters with names.
template <class Counters, class Fields>
void AddCounters(const std::optional<Counters>& more, const Fields& fields,
                 std::optional<Counters>& sum) {
  if (!more.has_value() || !sum.has_value()) {
    sum.reset();
    return;
  }
  for (const auto& field : fields) {
    (*sum).*field.second += (*more).*field.second;
  }
}

void AddSample(const std::optional<CacheSample>& more,
               std::optional<CacheSample>& sum) {
  if (!more.has_value() || !sum.has_value()) {
    sum.reset();
    return;
  }
  sum->files += more->files;
  sum->bytes += more->bytes;
  sum->cached += more->cached;
}

void AddHost(const HostLedger& more, HostLedger& sum) {
  AddRank(more, sum);
  AddOptional(more.disk_read, sum.disk_read);
  AddOptional(more.nfs_read, sum.nfs_read);
  AddOptional(more.nic_received, sum.nic_received);
  AddOptional(more.loopback_received, sum.loopback_received);
  AddOptional(more.cgroup_read, sum.cgroup_read);
  AddOptional(more.cgroup_cache, sum.cgroup_cache);
  AddSample(more.before, sum.before);
  AddSample(more.after, sum.after);
  if (more.drop_caches.has_value()) {
    sum.drop_caches =
        std::max(*more.drop_caches, sum.drop_caches.value_or(core::Nanos{}));
  }
}

std::uint64_t Less(std::uint64_t from, std::uint64_t what) {
  return from - std::min(from, what);
}

LatencyFigures FiguresOfOne(const core::Histogram& histogram) {
  return {.kind = {},
          .size = {},
          .count = histogram.count(),
          .p50 = histogram.Quantile(0.5),
          .p99 = histogram.Quantile(0.99),
          .p999 = histogram.Quantile(0.999),
          .max = histogram.largest()};
}

// More than 5 % of `total`.
bool Matters(std::uint64_t part, std::uint64_t total) {
  return static_cast<double>(part) > 0.05 * static_cast<double>(total);
}
// 95 % of `total` or more.
bool IsNearlyAll(std::uint64_t part, std::uint64_t total) {
  return static_cast<double>(part) >= 0.95 * static_cast<double>(total);
}

}  // namespace

void AddRank(const HostLedger& rank, HostLedger& host) {
  host.asked += rank.asked;
  host.delivered += rank.delivered;
  host.discarded += rank.discarded;
  host.cache_tier += rank.cache_tier;
  host.memory_tier += rank.memory_tier;
  AddOptional(rank.process_read, host.process_read);
  AddCounters(rank.requests, kRequestFields, host.requests);
  AddCounters(rank.cache, kCacheFields, host.cache);
}

std::string_view NameOf(Medium medium) {
  switch (medium) {
    case Medium::kUnknown:
      return "unknown";
    case Medium::kNothing:
      return "nothing";
    case Medium::kMemory:
      return "memory";
    case Medium::kDisk:
      return "disk";
    case Medium::kNetworkFiles:
      return "network files";
    case Medium::kServer:
      return "server";
  }
  return "";
}

std::string_view NameOf(CacheState state) {
  switch (state) {
    case CacheState::kNone:
      return "none";
    case CacheState::kUnknown:
      return "unknown";
    case CacheState::kMemory:
      return "memory";
    case CacheState::kCold:
      return "cold";
    case CacheState::kWarm:
      return "warm";
    case CacheState::kMixed:
      return "mixed";
  }
  return "";
}

Medium MediumOfFileSystem(std::string_view type) {
  constexpr std::array<std::string_view, 3> kInMemory{"tmpfs", "ramfs",
                                                      "hugetlbfs"};
  constexpr std::array<std::string_view, 12> kOfServers{
      "nfs",  "nfs4",   "cifs",     "smb3", "ceph",     "lustre",
      "gpfs", "beegfs", "orangefs", "9p",   "virtiofs", "afs"};
  if (std::ranges::find(kInMemory, type) != kInMemory.end()) {
    return Medium::kMemory;
  }
  // FUSE: nearly always a client of something elsewhere.
  if (type.starts_with("fuse") ||
      std::ranges::find(kOfServers, type) != kOfServers.end()) {
    return type == "fuseblk" ? Medium::kDisk : Medium::kNetworkFiles;
  }
  return Medium::kDisk;
}

Served& Served::operator+=(const Served& more) {
  nothing += more.nothing;
  memory += more.memory;
  cache_tier += more.cache_tier;
  page_cache += more.page_cache;
  device += more.device;
  network += more.network;
  unknown += more.unknown;
  return *this;
}

Served ServedOf(const HostLedger& host) {
  Served served;
  served.cache_tier = std::min(host.cache_tier, host.delivered);
  served.memory =
      std::min(host.memory_tier, host.delivered - served.cache_tier);
  const std::uint64_t rest = host.delivered - served.cache_tier - served.memory;
  std::optional<std::uint64_t> fetched;
  switch (host.medium) {
    case Medium::kUnknown:
      served.unknown = rest;
      break;
    case Medium::kNothing:
      served.nothing = rest;
      break;
    case Medium::kMemory:
      served.memory += rest;
      break;
    case Medium::kDisk:
      fetched = host.process_read ? host.process_read : host.disk_read;
      served.device = std::min(rest, fetched.value_or(0));
      break;
    case Medium::kNetworkFiles:
      fetched = host.nfs_read;
      // Other clients count with the process, where they count at all.
      if (!fetched && host.process_read.value_or(0) > 0) {
        fetched = host.process_read;
      }
      served.network = std::min(rest, fetched.value_or(0));
      break;
    case Medium::kServer:
      served.network =
          std::min(rest, host.requests ? host.requests->bytes_received : rest);
      served.unknown = rest - served.network;
      break;
  }
  if (host.medium == Medium::kDisk || host.medium == Medium::kNetworkFiles) {
    (fetched ? served.page_cache : served.unknown) =
        rest - served.device - served.network;
  }
  return served;
}

CacheState Judge(const Served& served) {
  const std::uint64_t total = Less(served.total(), served.nothing);
  if (total == 0) return CacheState::kNone;
  if (Matters(served.unknown, total)) return CacheState::kUnknown;
  if (IsNearlyAll(served.memory, total)) return CacheState::kMemory;
  const std::uint64_t fetched = served.device + served.network;
  if (IsNearlyAll(fetched, total)) return CacheState::kCold;
  return Matters(fetched, total) ? CacheState::kMixed : CacheState::kWarm;
}

std::vector<std::string> MissingWitnesses(const HostLedger& host) {
  std::vector<std::string> missing;
  const auto want = [&missing](bool told, std::string_view witness) {
    if (!told) missing.emplace_back(witness);
  };
  want(host.medium != Medium::kUnknown, "/proc/self/mountinfo");
  const bool files =
      host.medium == Medium::kDisk || host.medium == Medium::kNetworkFiles;
  if (files) {
    want(host.process_read.has_value(), "/proc/self/io");
    want(host.before.has_value() && host.after.has_value(),
         "cachestat or mincore");
  }
  if (host.medium == Medium::kDisk) {
    want(host.disk_read.has_value(), "/proc/diskstats");
    want(host.cgroup_read.has_value(), "cgroup I/O");
  }
  if (host.medium == Medium::kNetworkFiles) {
    want(host.nfs_read.has_value(), "/proc/self/mountstats");
  }
  if (host.medium == Medium::kNetworkFiles || host.medium == Medium::kServer) {
    want(host.nic_received.has_value(), "/proc/net/dev");
  }
  if (host.medium == Medium::kServer) {
    want(host.requests.has_value(), "requests of the back end");
  }
  return missing;
}

std::optional<bool> DeviceWitnessesAgree(const HostLedger& host) {
  if (!host.process_read || !host.disk_read) return std::nullopt;
  const std::uint64_t larger = std::max(*host.process_read, *host.disk_read);
  const std::uint64_t smaller = std::min(*host.process_read, *host.disk_read);
  return larger - smaller <= std::max(core::kMiB, larger / 10);
}

std::vector<LatencyFigures> FiguresOf(const storage::Latencies& latencies) {
  std::vector<LatencyFigures> figures;
  latencies.ForEach([&figures](storage::LatencyKind kind,
                               storage::SizeClass size,
                               const core::Histogram& histogram) {
    figures.push_back(FiguresOfOne(histogram));
    figures.back().kind = storage::NameOf(kind);
    figures.back().size = storage::NameOf(size);
  });
  return figures;
}

LatencyFigures FiguresOf(const storage::Latencies& latencies,
                         storage::LatencyKind kind) {
  core::Histogram all;
  latencies.ForEach([&](storage::LatencyKind one, storage::SizeClass,
                        const core::Histogram& histogram) {
    if (one == kind) all.Merge(histogram);
  });
  LatencyFigures figures = FiguresOfOne(all);
  figures.kind = storage::NameOf(kind);
  figures.size = "all";
  return figures;
}

Served ServedOf(const EpochLedger& epoch) {
  Served served;
  for (const HostLedger& host : epoch.hosts) served += ServedOf(host);
  return served;
}

Served ServedOf(const RunLedger& run) {
  Served served;
  for (const EpochLedger& epoch : run.epochs) served += ServedOf(epoch);
  return served;
}

HostLedger SumOf(const EpochLedger& epoch) {
  if (epoch.hosts.empty()) return {};
  HostLedger sum = epoch.hosts.front();
  for (std::size_t i = 1; i < epoch.hosts.size(); ++i) {
    AddHost(epoch.hosts[i], sum);
  }
  return sum;
}

HostLedger SumOf(const RunLedger& run) {
  if (run.epochs.empty()) return {};
  HostLedger sum = SumOf(run.epochs.front());
  for (std::size_t i = 1; i < run.epochs.size(); ++i) {
    AddHost(SumOf(run.epochs[i]), sum);
  }
  sum.cgroup_cache = SumOf(run.epochs.back()).cgroup_cache;
  return sum;
}

std::vector<std::string> MissingWitnesses(const RunLedger& run) {
  std::vector<std::string> missing;
  for (const EpochLedger& epoch : run.epochs) {
    for (const HostLedger& host : epoch.hosts) {
      for (std::string& one : MissingWitnesses(host)) {
        if (std::ranges::find(missing, one) == missing.end()) {
          missing.push_back(std::move(one));
        }
      }
    }
  }
  return missing;
}

}  // namespace stoker::metrics
