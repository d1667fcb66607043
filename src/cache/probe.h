#pragma once

// What a cache has to work with, measured before it is used: how fast its
// device and the store behind it are, how much of the objects it can hold and
// what it holds of them.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "cache/object_set.h"
#include "cache/tier.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/backend.h"

namespace stoker::cache {

// Bytes, and the time from the first request to the last answer.
struct Probe {
  std::uint64_t bytes = 0;
  core::Nanos took{};
  // Infinite where it took no time.
  double bytes_per_s() const;
};

struct ProbeOptions {
  std::size_t depth = 4;                    // requests at once
  std::uint64_t request_bytes = 1U << 20U;  // a multiple of 4096
  core::Nanos span = std::chrono::milliseconds(300);
  std::uint64_t most_bytes = 1ULL << 30U;  // it ends then
  std::uint64_t seed = 0;  // another for each of those who probe at once
  core::Nanos patience = std::chrono::seconds(60);  // with a request
};

// Reads objects of the store front to back, `depth` of them at once, in an
// order drawn from the seed. Errors as the store's reads; kTimedOut.
core::Result<Probe> ProbeStore(storage::Backend& store,
                               const ObjectSet& objects,
                               const ProbeOptions& options, core::Clock& clock);

struct DeviceProbe {
  Probe read;   // without bytes: there is nothing that could be read
  Probe write;  // without bytes: too few slots are free
};
// Writes to free slots, which nobody sees and which are free again afterwards,
// then reads them; where few are free reads blocks instead. Nothing gives way.
// Safe beside other processes of the host: `between`, if any, is called once
// before anything is read, for all to wait there. Errors as the device's and
// those of `between`; kTimedOut.
core::Result<DeviceProbe> ProbeDevice(
    Tier& tier, const ProbeOptions& options, core::Clock& clock,
    const std::function<core::Status()>& between = {});

// What is known of objects by looking at some of them.
struct ObjectSample {
  double mean_bytes = 0;
  double cached = 0;  // share of their bytes that is in the cache
};
// `store`, `store_name`: what is behind the cache, and StoreName of it. Looks
// at `count` (> 0) objects at equal distances. Errors as asking for sizes.
core::Result<ObjectSample> SampleObjects(Tier& tier, storage::Backend& store,
                                         const std::string& store_name,
                                         const ObjectSet& objects,
                                         std::uint64_t count,
                                         core::Clock& clock);

// Share of the bytes of `count` objects of `bytes` each that there are slots
// for: those of a last block that is short may take either kind.
double ShareThatFits(const Tier& tier, double count, std::uint64_t bytes);

}  // namespace stoker::cache
