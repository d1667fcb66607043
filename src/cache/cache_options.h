#pragma once

// How a cache behaves; what its URI's options say.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cache/eviction.h"
#include "core/status.h"
#include "storage/block_device.h"
#include "storage/registry.h"

namespace stoker::cache {

// Which reads of the device are compared with their checksums.
enum class Verify : std::uint8_t { kNone, kSample, kFull };

// What a run begins with.
enum class Start : std::uint8_t {
  kAsFound,
  kCold,  // emptied first
  kWarm,  // everything is read once before
};

// Which blocks are put into the cache.
enum class Fill : std::uint8_t {
  kOff,     // none
  kOn,      // not those of the last of several epochs: nobody reads them again
  kAlways,  // those as well
};

// What becomes of objects that are written through the cache.
enum class Write : std::uint8_t {
  kAround,   // the store gets them, the cache does not
  kThrough,  // both get them
  kBack,     // the cache gets them, and brings them to the store
};

// When an object that is written back is acknowledged.
enum class Ack : std::uint8_t {
  kLocal,    // once the cache's device has it
  kBacking,  // once the store has it
};

inline constexpr double kMostDirtyShare = 0.9;

struct CacheOptions {
  std::vector<std::string> directories;  // on one device each
  // Of a directory that holds no cache yet; 0: then it is an error.
  std::uint64_t quota_bytes = 0;
  std::uint64_t slot_bytes = 1U << 20U;
  std::uint64_t small_slot_bytes = 256U << 10U;
  double small_share = 0.1;
  Policy policy = Policy::kNever;
  Verify verify = Verify::kFull;
  Start start = Start::kAsFound;
  std::uint64_t seed = 0;
  std::uint64_t buffer_bytes = 64ULL << 20U;  // of a process
  Fill fill = Fill::kOn;
  // What the device is rated for, in writes of the whole file system it holds
  // a day.
  double drive_writes_per_day = 1;
  bool write_budget = false;  // whether no more than that is written
  // Nothing is put in while reads of the device take more than so many times
  // what they take when it has little to do; 0: no matter.
  double guard = 0;
  bool balance = false;  // whether hits may be read from the store
  Write write = Write::kAround;
  Ack ack = Ack::kLocal;
  // Of the slots, that may wait for the store; kMostDirtyShare at most.
  double dirty_share = 0.5;
  storage::BlockEngine engine = storage::BlockEngine::kAuto;
  // With kBelady: how far ahead of its reader a process fetches; 0: not at all.
  std::uint64_t prefetch_bytes = 0;
};

std::string_view PolicyName(Policy policy);

// Of "cache:<directory>[:<directory>...]?<options>". kInvalidArgument.
core::Result<CacheOptions> ParseCacheOptions(const storage::Uri& uri);

}  // namespace stoker::cache
