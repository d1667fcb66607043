#pragma once

// Where the bytes of a run came from: what was asked for, what was delivered,
// and what memory, devices and networks had to do with it. The definitions are
// in docs/metrics.md.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "metrics/run_record.h"
#include "metrics/witnesses.h"
#include "storage/cache_counts.h"
#include "storage/latencies.h"
#include "storage/request_counters.h"

namespace stoker::metrics {

// What the storage of a run is, as far as the way of its bytes goes.
enum class Medium : std::uint8_t {
  kUnknown,
  kNothing,       // no bytes are moved: null
  kMemory,        // memory of this host: mem, tmpfs
  kDisk,          // a file system on a device of this host
  kNetworkFiles,  // a file system of a server: NFS and its like
  kServer,        // asked by requests: S3
};
// "unknown", "nothing", "memory", "disk", "network files", "server"
std::string_view NameOf(Medium medium);
// Of a file system, by its type: "tmpfs", "nfs4".
Medium MediumOfFileSystem(std::string_view type);

// Every counter of RequestCounters by its name in reports.
using RequestField =
    std::pair<std::string_view, std::uint64_t storage::RequestCounters::*>;
inline constexpr std::array<RequestField, 10> kRequestFields{{
    {"requests", &storage::RequestCounters::requests},
    {"repetitions", &storage::RequestCounters::repetitions},
    {"connections", &storage::RequestCounters::connections},
    {"bytes_received", &storage::RequestCounters::bytes_received},
    {"bytes_sent", &storage::RequestCounters::bytes_sent},
    {"throttled", &storage::RequestCounters::throttled},
    {"server_errors", &storage::RequestCounters::server_errors},
    {"timed_out", &storage::RequestCounters::timed_out},
    {"disconnected", &storage::RequestCounters::disconnected},
    {"damaged", &storage::RequestCounters::damaged},
}};

// Every counter of CacheCounts by its name in reports.
using CacheField =
    std::pair<std::string_view, std::uint64_t storage::CacheCounts::*>;
inline constexpr std::array<CacheField, 23> kCacheFields{{
    {"hit_bytes", &storage::CacheCounts::hit_bytes},
    {"memory_bytes", &storage::CacheCounts::memory_bytes},
    {"store_bytes", &storage::CacheCounts::store_bytes},
    {"fetched_bytes", &storage::CacheCounts::fetched_bytes},
    {"filled_bytes", &storage::CacheCounts::filled_bytes},
    {"device_read_bytes", &storage::CacheCounts::device_read_bytes},
    {"device_written_bytes", &storage::CacheCounts::device_written_bytes},
    {"fills", &storage::CacheCounts::fills},
    {"prefetched", &storage::CacheCounts::prefetched},
    {"prefetched_bytes", &storage::CacheCounts::prefetched_bytes},
    {"evictions", &storage::CacheCounts::evictions},
    {"bypasses", &storage::CacheCounts::bypasses},
    {"over_budget", &storage::CacheCounts::over_budget},
    {"guarded", &storage::CacheCounts::guarded},
    {"balanced", &storage::CacheCounts::balanced},
    {"staged_bytes", &storage::CacheCounts::staged_bytes},
    {"uploaded_bytes", &storage::CacheCounts::uploaded_bytes},
    {"waits", &storage::CacheCounts::waits},
    {"hedges", &storage::CacheCounts::hedges},
    {"takeovers", &storage::CacheCounts::takeovers},
    {"checksum_misses", &storage::CacheCounts::checksum_misses},
    {"device_errors", &storage::CacheCounts::device_errors},
    {"device_hangs", &storage::CacheCounts::device_hangs},
}};

// Some of a set's files: how much of them was in the page cache.
struct CacheSample {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;   // of these files
  std::uint64_t cached = 0;  // of these bytes
};

// Of a host in an epoch, evaluation included: sums over its ranks, and what its
// first rank saw of the host. Bytes.
struct HostLedger {
  std::uint32_t node = 0;
  Medium medium = Medium::kUnknown;

  std::uint64_t asked = 0;        // payload of the batches handed over
  std::uint64_t delivered = 0;    // by the back end
  std::uint64_t discarded = 0;    // payload read ahead in vain
  std::uint64_t cache_tier = 0;   // delivered by a cache in front of storage
  std::uint64_t memory_tier = 0;  // delivered out of the back end's memory
  // What the processes made the block layer read; nothing where one of them
  // does not know.
  std::optional<std::uint64_t> process_read{};
  std::optional<storage::RequestCounters>
      requests{};                               // where a server is asked
  std::optional<storage::CacheCounts> cache{};  // where there is one of ours

  // Of the whole host, whoever asked for it.
  std::optional<std::uint64_t> disk_read{};
  std::optional<std::uint64_t> nfs_read{};
  std::optional<std::uint64_t> nic_received{};  // without loopback
  std::optional<std::uint64_t> loopback_received{};
  std::optional<std::uint64_t> cgroup_read{};   // of the first rank's cgroup
  std::optional<std::uint64_t> cgroup_cache{};  // at the epoch's end
  std::optional<CacheSample> before{};          // at its begin
  std::optional<CacheSample> after{};           // at its end
  // How long it took to drop the caches before the epoch.
  std::optional<core::Nanos> drop_caches{};
};

// Adds the sums of another of the host's ranks, asked to requests.
void AddRank(const HostLedger& rank, HostLedger& host);

// HostLedger::delivered by where it came from; the parts add up to it.
struct Served {
  std::uint64_t nothing = 0;  // no bytes were moved
  std::uint64_t memory = 0;
  std::uint64_t cache_tier = 0;
  std::uint64_t page_cache = 0;
  std::uint64_t device = 0;
  std::uint64_t network = 0;
  std::uint64_t unknown = 0;  // no witness tells

  std::uint64_t total() const {
    return nothing + memory + cache_tier + page_cache + device + network +
           unknown;
  }
  Served& operator+=(const Served& more);
  friend bool operator==(const Served&, const Served&) = default;
};
Served ServedOf(const HostLedger& host);

// kCold: at least 95 % of what was delivered came from devices or the network.
// kWarm: at most 5 %. kMixed: between. kMemory: at least 95 % is the back end's
// own memory. kNone: nothing was delivered. kUnknown: of more than 5 % no
// witness tells.
enum class CacheState : std::uint8_t {
  kNone,
  kUnknown,
  kMemory,
  kCold,
  kWarm,
  kMixed
};
// "none", "unknown", "memory", "cold", "warm", "mixed"
std::string_view NameOf(CacheState state);
CacheState Judge(const Served& served);

// The witnesses that would have something to say about the host's medium, but
// did not: "/proc/self/io". None where the medium needs no witness.
std::vector<std::string> MissingWitnesses(const HostLedger& host);

// Whether the processes' count and the device's are within a tenth, and 1 MiB,
// of each other; nothing without both. More on the device: others read as well.
std::optional<bool> DeviceWitnessesAgree(const HostLedger& host);

// Nanoseconds; within 0.8 %, max is exact.
struct LatencyFigures {
  std::string_view kind;  // NameOf(LatencyKind)
  std::string_view size;  // NameOf(SizeClass)
  std::uint64_t count = 0;
  std::int64_t p50 = 0;
  std::int64_t p99 = 0;
  std::int64_t p999 = 0;
  std::int64_t max = 0;
};
std::vector<LatencyFigures> FiguresOf(const storage::Latencies& latencies);
// All sizes of one kind together.
LatencyFigures FiguresOf(const storage::Latencies& latencies,
                         storage::LatencyKind kind);

struct EpochLedger {
  std::uint32_t epoch = 0;          // from 1
  std::vector<HostLedger> hosts{};  // element n is node n
  std::vector<LatencyFigures> latencies{};
};

struct RunLedger {
  std::vector<EpochLedger> epochs{};
  storage::Latencies latencies{};  // of all ranks and epochs
};

Served ServedOf(const EpochLedger& epoch);
Served ServedOf(const RunLedger& run);

// Sums over hosts, and of a run over epochs: as HostLedger, but samples are
// added up, drop_caches is the longest, cgroup_cache that of the last epoch,
// and what one host or epoch does not tell stays untold. node and medium are
// the first host's.
HostLedger SumOf(const EpochLedger& epoch);
HostLedger SumOf(const RunLedger& run);

// Of the whole run, each once.
std::vector<std::string> MissingWitnesses(const RunLedger& run);

}  // namespace stoker::metrics
