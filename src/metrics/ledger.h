#pragma once

// Where the bytes of a run came from, by epoch and host. Definitions are in
// docs/metrics.md.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/collect.h"
#include "metrics/witnesses.h"

namespace stoker::metrics {

// What lies behind the storage of a run.
enum class SourceKind : std::uint8_t {
  kFiles,      // a file system of this host: devices, NFS, page cache
  kServer,     // S3: everything comes over the network
  kMemory,     // mem:
  kSimulated,  // model: the time is made up, whatever is behind it
  kNothing,    // null:
};
// Of a storage URI: that of the innermost store, but for simulated ones.
SourceKind SourceOf(std::string_view storage_uri);

// Cold: at least 95 % of what was delivered came from devices or the network;
// warm: at most 5 % did. Unknown where no witness tells, none where nothing was
// delivered or there is nothing to be cold.
enum class Warmth : std::uint8_t { kCold, kMixed, kWarm, kUnknown, kNone };
std::string_view WarmthName(Warmth warmth);  // "cold", …

// Bytes of one epoch on one host, or sums of such.
struct LedgerEntry {
  std::uint32_t epoch = 0;  // 0: all
  std::uint32_t node = 0;
  std::uint64_t asked = 0;       // payload handed to accelerators
  std::uint64_t delivered = 0;   // by the storage seam, headers and all
  std::uint64_t discarded = 0;   // payload read ahead and thrown away
  std::uint64_t cache_tier = 0;  // of delivered: by our own cache
  // Of the rest. Nothing where no witness tells.
  std::optional<std::uint64_t> device;      // as the block layer read for us
  std::optional<std::uint64_t> network;     // from servers
  std::optional<std::uint64_t> page_cache;  // what neither of them explains
  Warmth warmth = Warmth::kUnknown;
  Witnesses witnesses;  // of the host and its ranks together
  CacheSample sample;
  std::optional<core::Nanos> dropped_caches;
};

struct Ledger {
  SourceKind source = SourceKind::kFiles;
  std::vector<LedgerEntry> entries;  // by epoch, then node
  std::vector<LedgerEntry> epochs;   // all hosts together
  LedgerEntry run;
  // Names of those that told nothing on some host, as in ledger.json.
  std::vector<std::string> missing_witnesses;
};

Ledger MakeLedger(const RunRecord& record);

}  // namespace stoker::metrics
