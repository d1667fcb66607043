#pragma once

// What a cache in front of a store did.

#include <cstdint>

namespace stoker::storage {

// Of a process, since the back end was opened. Bytes and counts.
struct CacheCounts {
  // Delivered; the three add up to what the cache delivered.
  std::uint64_t hit_bytes = 0;      // from the cache's device
  std::uint64_t memory_bytes = 0;   // again, from buffers
  std::uint64_t store_bytes = 0;    // from the store behind
  std::uint64_t fetched_bytes = 0;  // read from the store, wanted or not
  std::uint64_t filled_bytes = 0;   // put into the cache
  std::uint64_t device_read_bytes = 0;
  std::uint64_t device_written_bytes = 0;
  std::uint64_t fills = 0;       // blocks put into the cache
  std::uint64_t prefetched = 0;  // blocks fetched before they were asked for
  std::uint64_t prefetched_bytes = 0;
  std::uint64_t evictions = 0;       // blocks that gave way
  std::uint64_t bypasses = 0;        // reads of blocks that were not kept
  std::uint64_t over_budget = 0;     // of these: no more may be written today
  std::uint64_t guarded = 0;         // of these: to spare the hits
  std::uint64_t balanced = 0;        // hits that were read from the store
  std::uint64_t staged_bytes = 0;    // written, acknowledged by the cache
  std::uint64_t uploaded_bytes = 0;  // brought to the store later
  std::uint64_t waits = 0;           // for another process's fetch
  std::uint64_t hedges = 0;          // read twice, for it took long
  std::uint64_t takeovers = 0;       // fetches whose owner died or hung
  std::uint64_t checksum_misses = 0;
  std::uint64_t device_errors = 0;
  std::uint64_t device_hangs = 0;  // reads and writes not answered in time
};

}  // namespace stoker::storage
