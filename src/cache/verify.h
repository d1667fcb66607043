#pragma once

// Going through a cache or its store from one end to the other.

#include <cstdint>

#include "cache/object_set.h"
#include "cache/tier.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/backend.h"

namespace stoker::cache {

struct VerifyCounts {
  std::uint64_t blocks = 0;
  std::uint64_t bytes = 0;
  std::uint64_t damaged = 0;  // blocks; they were let go of
};

// Reads every block that is in the cache and compares it with its checksums. An
// error is the device's.
core::Result<VerifyCounts> VerifyBlocks(Tier& tier, core::Clock& clock);

// Blocks, and objects of whatever directory, that the store does not have yet,
// as far as these directories know. kCorruption: they cannot tell.
core::Result<std::uint64_t> WaitingForStore(Tier& tier, core::Clock& clock);

// Frees every block that nobody reads, for good: also those that a lost index
// would be made from.
core::Status ClearUnit(TierUnit& unit);

// Reads all objects of `backend` once, in the order it lists them; returns how
// many bytes they have.
core::Result<std::uint64_t> Warm(storage::Backend& backend, core::Clock& clock);

// Reads every `step`-th of the objects (> 0), from number `first` on; returns
// how many bytes they have.
core::Result<std::uint64_t> WarmShare(storage::Backend& backend,
                                      const ObjectSet& objects,
                                      std::uint64_t first, std::uint64_t step,
                                      core::Clock& clock);

}  // namespace stoker::cache
