#pragma once

// The directories of a cache as one: which of them a block belongs to, and
// where on the device it is.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cache/cache_options.h"
#include "cache/directory.h"
#include "cache/index.h"
#include "storage/block_device.h"

namespace stoker::cache {

// One directory. The index is private to the process and there is no directory
// where the cache lives in memory (tests).
struct TierUnit {
  std::unique_ptr<Directory> directory;
  std::unique_ptr<Index> index;
  std::uint64_t device_offset = 0;  // of slot 0, in bytes
};

// Safe for concurrent use after it was made.
class Tier {
 public:
  // All units have slots of the same sizes. `rated_bytes_per_day`: what their
  // devices may be written to, 0 where nobody knows.
  Tier(std::unique_ptr<storage::BlockDevice> device,
       std::vector<TierUnit> units, double rated_bytes_per_day = 0);

  // A block is always in the same unit: chosen by its key, as often as the unit
  // has slots.
  TierUnit& UnitOf(const Fingerprint& key) { return units_[NumberOf(key)]; }
  std::size_t NumberOf(const Fingerprint& key) const;
  storage::BlockDevice& device() { return *device_; }
  // For who must keep it after the tier's end, because it does not answer.
  std::shared_ptr<storage::BlockDevice> shared_device() const {
    return device_;
  }
  double rated_bytes_per_day() const { return rated_bytes_per_day_; }
  std::vector<TierUnit>& units() { return units_; }
  const std::vector<TierUnit>& units() const { return units_; }
  // Bytes of a block but the last of an object.
  std::uint64_t block_bytes() const {
    return units_.front().index->geometry().classes[0].slot_bytes;
  }
  static std::uint64_t GranuleBytes(const TierUnit& unit, std::uint32_t slot) {
    return unit.index->geometry().BytesOf(slot) / kGranulesPerSlot;
  }

 private:
  std::shared_ptr<storage::BlockDevice> device_;
  std::vector<TierUnit> units_;
  std::uint64_t slots_ = 0;  // of all units
  double rated_bytes_per_day_ = 0;
};

// The directories of `options`, formatted where there is nothing and a size is
// given, with their index. `run` as IndexOptions::run; `clock` outlives the
// tier. Errors as OpenCacheBackend.
core::Result<std::unique_ptr<Tier>> OpenTier(const CacheOptions& options,
                                             const std::string& run,
                                             core::Clock& clock);

}  // namespace stoker::cache
