#pragma once

// What a process did with a cache.

#include <atomic>
#include <cstdint>

#include "storage/cache_counts.h"

namespace stoker::cache {

// Of one process; each is a sum since the cache was opened. Safe for concurrent
// use.
struct CacheCounters {
  std::atomic<std::uint64_t> hit_bytes = 0;     // delivered, from the device
  std::atomic<std::uint64_t> memory_bytes = 0;  // delivered again, from buffers
  std::atomic<std::uint64_t> store_bytes = 0;   // delivered, from the store
  std::atomic<std::uint64_t> fetched_bytes = 0;  // read from the store
  std::atomic<std::uint64_t> filled_bytes = 0;   // put into the cache
  std::atomic<std::uint64_t> device_read_bytes = 0;
  std::atomic<std::uint64_t> device_written_bytes = 0;
  std::atomic<std::uint64_t> fills = 0;       // blocks put into the cache
  std::atomic<std::uint64_t> prefetched = 0;  // of these, before they were read
  std::atomic<std::uint64_t> prefetched_bytes = 0;
  std::atomic<std::uint64_t> bypasses = 0;  // parts read without keeping them
  std::atomic<std::uint64_t> over_budget = 0;     // of these, for it
  std::atomic<std::uint64_t> guarded = 0;         // of these, to spare the hits
  std::atomic<std::uint64_t> balanced = 0;        // hits read from the store
  std::atomic<std::uint64_t> staged_bytes = 0;    // acknowledged from here
  std::atomic<std::uint64_t> uploaded_bytes = 0;  // brought to the store later
  std::atomic<std::uint64_t> waits = 0;           // for another process's fetch
  std::atomic<std::uint64_t> hedges = 0;  // read twice, for it took long
  std::atomic<std::uint64_t> checksum_misses = 0;
  std::atomic<std::uint64_t> device_errors = 0;
  std::atomic<std::uint64_t> device_hangs = 0;  // no answer in time
};

// All but what the index counts.
inline storage::CacheCounts Snapshot(const CacheCounters& counters) {
  return {.hit_bytes = counters.hit_bytes,
          .memory_bytes = counters.memory_bytes,
          .store_bytes = counters.store_bytes,
          .fetched_bytes = counters.fetched_bytes,
          .filled_bytes = counters.filled_bytes,
          .device_read_bytes = counters.device_read_bytes,
          .device_written_bytes = counters.device_written_bytes,
          .fills = counters.fills,
          .prefetched = counters.prefetched,
          .prefetched_bytes = counters.prefetched_bytes,
          .evictions = 0,
          .bypasses = counters.bypasses,
          .over_budget = counters.over_budget,
          .guarded = counters.guarded,
          .balanced = counters.balanced,
          .staged_bytes = counters.staged_bytes,
          .uploaded_bytes = counters.uploaded_bytes,
          .waits = counters.waits,
          .hedges = counters.hedges,
          .takeovers = 0,
          .checksum_misses = counters.checksum_misses,
          .device_errors = counters.device_errors,
          .device_hangs = counters.device_hangs};
}

}  // namespace stoker::cache
