#pragma once

// What the tests of block devices share.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/check.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/block_device.h"
#include "storage/internal/uring_ring.h"
#include "tests/support/temp_dir.h"

namespace stoker::testing {

inline constexpr std::size_t kBlock = 4096;  // bytes

// Where a device's bytes are and how they are reached.
struct BlockKind {
  enum class Place : std::uint8_t { kMemory, kDisk, kShm };
  std::string name;
  Place place = Place::kMemory;
  storage::BlockEngine engine = storage::BlockEngine::kAuto;
};

inline void PrintTo(const BlockKind& kind, std::ostream* out) {
  *out << kind.name;
}

// Devices on files, with io_uring where it is allowed.
inline std::vector<BlockKind> FileKinds() {
  using Place = BlockKind::Place;
  using storage::BlockEngine;
  std::vector<BlockKind> kinds{
      {"ThreadsDisk", Place::kDisk, BlockEngine::kThreads},
      {"ThreadsShm", Place::kShm, BlockEngine::kThreads}};
  if (storage::internal::ProbeUring().ok()) {
    kinds.push_back({"UringDisk", Place::kDisk, BlockEngine::kUring});
    kinds.push_back({"UringShm", Place::kShm, BlockEngine::kUring});
  }
  return kinds;
}

inline std::vector<BlockKind> AllKinds() {
  std::vector<BlockKind> kinds = FileKinds();
  kinds.push_back({.name = "Memory"});
  return kinds;
}

// A folder for the files of a device.
class BlockFolder {
 public:
  explicit BlockFolder(BlockKind::Place place)
      : dir_(place == BlockKind::Place::kShm
                 ? std::filesystem::path("/dev/shm")
                 : std::filesystem::temp_directory_path()) {}

  std::string str() const { return dir_.str(); }
  // Files of zeros, of so many bytes; their paths.
  std::vector<std::string> Make(std::span<const std::uint64_t> bytes) const {
    std::vector<std::string> paths;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      paths.push_back(dir_.str() + "/slots." + std::to_string(i));
      {
        const std::ofstream made(paths.back());
      }
      std::filesystem::resize_file(paths.back(), bytes[i]);
    }
    return paths;
  }

 private:
  TempDir dir_;
};

// Page-aligned memory of a test.
class Blocks {
 public:
  explicit Blocks(std::size_t count) {
    auto made = core::AlignedBuffer::Make(count * kBlock, /*resident=*/true);
    STOKER_CHECK(made.ok());
    memory_ = std::move(made).value();
  }
  std::span<std::byte> all() const { return memory_.bytes(); }
  std::span<std::byte> at(std::size_t first, std::size_t count = 1) const {
    return all().subspan(first * kBlock, count * kBlock);
  }
  // Block i gets the content of number first + i.
  void Number(std::uint64_t first) const {
    const std::span<std::byte> bytes = all();
    for (std::size_t at = 0; at < bytes.size(); at += kWord) {
      const std::uint64_t word = first * kWords + at / kWord;
      std::memcpy(bytes.data() + at, &word, kWord);
    }
  }
  void Clear() const { std::ranges::fill(all(), std::byte{0}); }
  // The number of a block; nothing if not all of it is of one, or zeros.
  static std::optional<std::uint64_t> NumberOf(
      std::span<const std::byte> block) {
    std::uint64_t first = 0;
    std::memcpy(&first, block.data(), kWord);
    if (first % kWords != 0) {
      return std::nullopt;
    }
    for (std::size_t at = 0; at < kBlock; at += kWord) {
      std::uint64_t word = 0;
      std::memcpy(&word, block.data() + at, kWord);
      if (word != first + at / kWord) {
        return std::nullopt;
      }
    }
    return first / kWords;
  }
  static bool IsZero(std::span<const std::byte> bytes) {
    return std::ranges::all_of(
        bytes, [](std::byte byte) { return byte == std::byte{0}; });
  }

 private:
  static constexpr std::size_t kWord = sizeof(std::uint64_t);
  static constexpr std::size_t kWords = kBlock / kWord;  // of a block
  core::AlignedBuffer memory_;
};

inline storage::BlockOp ReadOf(std::size_t block, std::span<std::byte> buffer,
                               std::uint64_t tag = 0) {
  return {.kind = storage::BlockOp::Kind::kRead,
          .offset = block * kBlock,
          .buffer = buffer,
          .tag = tag};
}
inline storage::BlockOp WriteOf(std::size_t block, std::span<std::byte> buffer,
                                std::uint64_t tag = 0) {
  return {.kind = storage::BlockOp::Kind::kWrite,
          .offset = block * kBlock,
          .buffer = buffer,
          .tag = tag};
}

// Submits all as room comes up; op i has the tag i. Their outcomes, by tag.
inline std::vector<core::Status> RunAll(storage::BlockQueue& queue,
                                        std::span<const storage::BlockOp> ops) {
  std::vector<core::Status> outcomes(ops.size());
  std::vector<bool> seen(ops.size());
  std::array<storage::BlockDone, 8> done;
  for (std::size_t finished = 0; finished < outcomes.size();) {
    const auto taken = queue.Submit(ops);
    STOKER_CHECK(taken.ok());
    ops = ops.subspan(taken.value());
    const auto reaped = queue.Reap(done, 1, core::kNever);
    STOKER_CHECK(reaped.ok());
    for (std::size_t i = 0; i < reaped.value(); ++i) {
      STOKER_CHECK(done[i].tag < seen.size() && !seen[done[i].tag]);
      seen[done[i].tag] = true;
      outcomes[done[i].tag] = std::move(done[i].status);
    }
    finished += reaped.value();
  }
  return outcomes;
}

inline core::Status RunOne(storage::BlockQueue& queue,
                           const storage::BlockOp& op) {
  return RunAll(queue, std::span(&op, 1)).front();
}

inline bool AllOk(std::span<const core::Status> outcomes) {
  return std::ranges::all_of(
      outcomes, [](const core::Status& status) { return status.ok(); });
}

inline std::unique_ptr<storage::BlockQueue> NewQueue(
    storage::BlockDevice& device, core::Clock& clock, std::size_t depth = 4) {
  auto queue = device.NewQueue(depth, clock);
  STOKER_CHECK(queue.ok());
  return std::move(queue).value();
}

}  // namespace stoker::testing
