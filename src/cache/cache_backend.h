#pragma once

// The NVMe cache as a back end in front of any other.

#include <array>
#include <memory>
#include <span>

#include "cache/cache_counters.h"
#include "cache/cache_options.h"
#include "cache/tier.h"
#include "cache/visits.h"
#include "core/status.h"
#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::cache {

inline constexpr std::array<storage::OptionHelp, 19> kCacheOptions{
    {{"size", "bytes, 100GiB",
      "of all files of a directory together; needed where there is no cache "
      "yet, otherwise it must be that of the cache"},
     {"slot", "64KiB|256KiB|1MiB|4MiB", "bytes of a block; 1MiB"},
     {"small_slot", "bytes, or 0",
      "of the slots for short last blocks; 256KiB"},
     {"small_share", "0..0.9", "part of the bytes for those; 0.1"},
     {"policy", "never|lru|fifo|random|2-random|sieve|s3fifo|belady",
      "which block gives way when the cache is full; never: none; belady: the "
      "one that training reads again last, which no real cache knows: what-if, "
      "not CLOSED"},
     {"prefetch", "bytes, 0",
      "with belady: how far ahead of what it reads a process fetches blocks, "
      "soonest first, while the store has nothing else to do; 0: not at all"},
     {"verify", "none|sample|full",
      "reads of the device that are compared with their checksums; full"},
     {"start", "as-found|cold|warm",
      "cold: emptied when a run begins; warm: training reads its files once "
      "before the first epoch; as-found"},
     {"fill", "on|off|always",
      "whether blocks are put into the cache; on: but not in the last of "
      "several epochs, as nobody reads them again; on"},
     {"dwpd", "1, 0.3, ...",
      "what the device is rated for, in writes of all of it a day: for the "
      "days to its wearing out; 1"},
     {"budget", "on|off",
      "on: no more is written than dwpd allows, of a day's worth at once; "
      "off"},
     {"guard", "off, or 3, 5, ...",
      "nothing is put in while reads of the device take more than so many "
      "times what they take when it has little to do; off"},
     {"balance", "on|off",
      "on: while the device cannot keep up, the store reads a part of the "
      "hits, "
      "so that both are done together; off"},
     {"write", "around|through|back",
      "what is written (checkpoints): around the cache, to both, or to the "
      "cache, which brings it to the store afterwards; around"},
     {"ack", "local|backing",
      "with write=back, when a write counts as done: once the cache's device "
      "has it, or the store; local"},
     {"dirty", "0.5, ...",
      "share of the slots that may wait for the store; writers wait beyond it; "
      "0.5"},
     {"buffers", "bytes, 64MiB",
      "memory of a process for blocks on their way; 64MiB"},
     {"engine", "uring|threads|auto", "how the device is asked; auto"},
     {"seed", "0, 1, ...", "of the random policies; 0"}}};

// "cache:/nvme/dir?size=100GiB,<inner>"; several directories, on a device each,
// with colons between: "cache:/nvme0/dir:/nvme1/dir?size=100GiB,<inner>". All
// processes of a host that open one directory share what is in it. Reads come
// from the cache, or from the inner back end and then into the cache; all else
// is the inner back end's. What is known of an object is asked once in a
// process, and again after anything was written or removed through the cache.
//
// kInvalidArgument: a bad option, or a size that is not the cache's. kNotFound:
// no cache there and no size to make one of. kUnavailable: another run uses the
// directory. Others as Directory::Open and Index::Attach.
core::Result<std::unique_ptr<storage::Backend>> OpenCacheBackend(
    const storage::Uri& uri, const storage::OpenSettings& settings,
    std::unique_ptr<storage::Backend> inner);

// The row for OpenSettings::more.
std::span<const storage::BackendInfo> CacheBackends();

// Over a tier made by the caller (tests).
std::unique_ptr<storage::Backend> MakeCacheBackend(
    std::unique_ptr<Tier> tier, const CacheOptions& options,
    std::unique_ptr<storage::Backend> inner);

// What this process did with the cache, if `backend` is one; else null.
const CacheCounters* CountersOf(const storage::Backend& backend);
Tier* TierOf(storage::Backend& backend);
// What is behind it and what its URI said, if `backend` is a cache; else null.
storage::Backend* StoreOf(storage::Backend& backend);
const CacheOptions* OptionsOf(const storage::Backend& backend);
// A sample of the blocks this process has read through the cache from `since`
// on (cache/visits.h); none if `backend` is no cache. Not while it reads.
VisitSample VisitsOf(const storage::Backend& backend, core::TimePoint since);

}  // namespace stoker::cache
