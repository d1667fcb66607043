#pragma once

// An object on its way onto the cache's device.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cache/cache_counters.h"
#include "cache/internal/catalogue.h"
#include "cache/tier.h"
#include "core/aligned_buffer.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/block_device.h"

namespace stoker::cache::internal {

// Takes an object's bytes in any order, each once, and writes its blocks as
// dirty ones of the caller's process. Ended without Keep it leaves none.
// Belongs to one thread. After an error every call returns that.
class StagedObject {
 public:
  // `key`: ObjectOf the writing. `blocks`: about how many it has. `promised`:
  // slots that are (Catalogue::Reserve); given back as they are used, or at the
  // end. All else outlives it.
  static core::Result<std::unique_ptr<StagedObject>> Make(
      Tier& tier, const Fingerprint& key, std::uint32_t blocks,
      std::uint32_t promised, CacheCounters& counters, core::Clock& clock);
  ~StagedObject();
  StagedObject(const StagedObject&) = delete;
  StagedObject& operator=(const StagedObject&) = delete;

  // Copies. Waits for the device where all buffers are on their way to it.
  core::Status Put(std::uint64_t offset, std::span<const std::byte> bytes);
  // All `size` bytes were put: returns when they are on the device (not
  // flushed). kIoError: they were not.
  core::Status Finish(std::uint64_t size);
  const std::vector<Placed>& blocks() const { return placed_; }
  // They are the catalogue's now.
  void Keep() { kept_ = true; }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::size_t kBuffers = 16;
  struct Buffer {
    std::uint64_t block = 0;   // number in the object
    std::uint64_t filled = 0;  // bytes
    std::uint64_t end = 0;     // of the last of them, in the block
    bool used = false;
    bool writing = false;
    TierUnit* unit = nullptr;
    Claim claim{};
    SlotRecord record{};
  };

  StagedObject(Tier& tier, const Fingerprint& key, std::uint32_t promised,
               CacheCounters& counters, core::Clock& clock);
  core::Status TryPut(std::uint64_t offset, std::span<const std::byte> bytes);
  core::Status TryFinish(std::uint64_t size);
  void TakeTheRest();
  void GiveBackPromised(std::uint32_t slots);
  core::Result<std::uint32_t> BufferOf(std::uint64_t block);
  core::Result<Claim> ClaimFor(TierUnit& unit, const Fingerprint& key,
                               std::uint32_t length);
  core::Status Send(std::uint32_t number, std::uint64_t bytes);
  core::Status Take();  // at least one write that has ended
  std::span<std::byte> MemoryOf(std::uint32_t number) {
    return memory_.bytes().subspan(number * tier_.block_bytes(),
                                   tier_.block_bytes());
  }

  Tier& tier_;
  const Fingerprint key_;
  std::uint32_t promised_;
  CacheCounters& counters_;
  core::Clock& clock_;
  core::AlignedBuffer memory_;
  std::unique_ptr<storage::BlockQueue> queue_;
  std::vector<Buffer> buffers_;
  std::vector<Placed> placed_;
  core::Status failed_;
  bool kept_ = false;
};

}  // namespace stoker::cache::internal
