#pragma once

// One slot of the cache as all processes of a host see it: a cache line in
// shared memory.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace stoker::cache {

// "No slot": ends chains and lists.
inline constexpr std::uint32_t kNoSlot = UINT32_MAX;

// A slot is checksummed in this many parts of equal size.
inline constexpr std::size_t kGranulesPerSlot = 4;

// What a block of an object is known by: 128 bits hashed from the store, the
// object's name and version, and the number of the block.
struct Fingerprint {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

// Values are kept on the device: never renumber.
enum class SlotState : std::uint8_t {
  kFree = 0,
  kFilling = 1,  // owner fetches; nobody may read it yet
  kValid = 2,
  kEvicting = 3,     // owner is about to use it for something else
  kDirty = 4,        // acknowledged, not yet in the store behind
  kQuarantined = 5,  // the owner died or hangs, and may still write to it
};

// The word every transition is one compare-and-swap of. The generation grows
// with each use of the slot, so that a word never comes back.
struct SlotWord {
  SlotState state = SlotState::kFree;
  std::uint16_t owner = 0;    // row of the table of processes
  std::uint8_t granules = 0;  // reserved (docs/design/0008, "Not done"); 0
  std::uint32_t generation = 0;

  constexpr std::uint64_t Pack() const {
    return std::uint64_t{generation} << 32U | std::uint64_t{granules} << 24U |
           std::uint64_t{owner} << 8U | static_cast<std::uint64_t>(state);
  }
  static constexpr SlotWord Unpack(std::uint64_t word) {
    return {.state = static_cast<SlotState>(word & 0xFFU),
            .owner = static_cast<std::uint16_t>(word >> 8U),
            .granules = static_cast<std::uint8_t>(word >> 24U),
            .generation = static_cast<std::uint32_t>(word >> 32U)};
  }
  friend bool operator==(const SlotWord&, const SlotWord&) = default;
};

// All of it atomic, for a process may look at it while another changes it; what
// a look was worth is known by `word` being unchanged after it.
struct alignas(64) SlotEntry {
  std::atomic<std::uint64_t> key_high;
  std::atomic<std::uint64_t> key_low;
  std::atomic<std::uint64_t> word;      // SlotWord
  std::atomic<std::uint32_t> lease_ms;  // monotonic clock, low 32 bits
  std::atomic<std::uint32_t> chain;     // next slot of the same bucket
  std::atomic<std::uint32_t> length;    // bytes of the block, up to the slot's
  std::atomic<std::uint32_t> use;       // belongs to the eviction policy
  std::atomic<std::uint32_t> newer;     // of the policy's list, or kNoSlot
  std::atomic<std::uint32_t> older;
  std::array<std::atomic<std::uint32_t>, kGranulesPerSlot> crc;
};
static_assert(sizeof(SlotEntry) == 64);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace stoker::cache
