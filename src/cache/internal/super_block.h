#pragma once

// The two blocks that say what a cache's folder holds. The layout is written
// down in docs/design/0004-cache-on-disk.md.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cache/directory.h"
#include "cache/internal/disk.h"
#include "core/status.h"

namespace stoker::cache::internal {

inline constexpr std::size_t kSuperBytes = 4096;
inline constexpr std::uint32_t kFormatVersion = 2;

struct SuperBlock {
  CacheId id{};
  std::uint64_t sequence = 0;  // grows with each write of either block
  std::uint32_t epoch = 0;     // the last number that NextEpoch gave
  std::uint64_t quota_bytes = 0;
  std::uint64_t slot_file_bytes = 0;  // of all slot files but the last
  Geometry geometry{};
  friend bool operator==(const SuperBlock&, const SuperBlock&) = default;
};

std::array<std::byte, kSuperBytes> EncodeSuper(const SuperBlock& super);

// kUnsupported: whole, but of another version. kCorruption: anything else.
core::Result<SuperBlock> DecodeSuper(
    std::span<const std::byte, kSuperBytes> bytes);

// The files there are beside the super blocks and the lock.
struct ExpectedFile {
  std::string name{};
  std::uint64_t bytes = 0;
};
// The table first, in whole pages, then the slot files in order.
std::vector<ExpectedFile> ExpectedFiles(const SuperBlock& super);

// What super.a and super.b of a folder hold.
struct SuperPair {
  enum class State : std::uint8_t { kMissing, kDamaged, kOtherVersion, kWhole };
  struct Side {
    State state = State::kMissing;
    SuperBlock block{};  // if kWhole
  };
  std::array<Side, 2> sides{};

  bool Any(State state) const {
    return sides[0].state == state || sides[1].state == state;
  }
  // The side with the newest whole block; nothing: none is whole.
  std::optional<std::size_t> Newest() const;
};

// Errors: a file that is there cannot be opened or read.
core::Result<SuperPair> ReadSuperPair(Disk& disk, const std::string& folder);

// What has been read of a block is durable then: its writer may have been
// killed before it came to that.
core::Status FlushSuper(Disk& disk, const std::string& folder,
                        std::size_t side);

// Writes a block in place, durably; makes the file if it is missing.
core::Status WriteSuper(Disk& disk, const std::string& folder, std::size_t side,
                        const SuperBlock& super);

}  // namespace stoker::cache::internal
