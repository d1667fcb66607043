#pragma once

// The memory behind a WriteStream whose parts are taken over at once.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/status.h"
#include "storage/write_stream.h"

namespace stoker::storage::internal {

// Buffers of streams that ended, for those that follow: a fresh page costs a
// fault, and many a file is smaller than its buffers. Safe for concurrent use.
class PartPool {
 public:
  core::Result<core::AlignedBuffer> Take(std::size_t bytes) {
    {
      const std::scoped_lock lock(mutex_);
      for (core::AlignedBuffer& kept : free_) {
        if (kept.size() == bytes) {
          core::AlignedBuffer taken = std::exchange(kept, {});
          std::swap(kept, free_.back());
          free_.pop_back();
          return taken;
        }
      }
    }
    return core::AlignedBuffer::Make(bytes, /*resident=*/bytes <= kLargest);
  }

  // Those that are large or many go back to the system.
  void Give(core::AlignedBuffer buffer) {
    const std::scoped_lock lock(mutex_);
    if (buffer.size() > 0 && buffer.size() <= kLargest &&
        free_.size() < kMost) {
      free_.push_back(std::move(buffer));
    }
  }

 private:
  static constexpr std::size_t kLargest = 1U << 20;
  static constexpr std::size_t kMost = 16;

  std::mutex mutex_;  // guards free_
  std::vector<core::AlignedBuffer> free_;
};

// The first part has pages of its own, all later parts share theirs.
class PartMemory {
 public:
  // `pool` is shared by the streams of a back end and may outlive it.
  explicit PartMemory(std::shared_ptr<PartPool> pool)
      : pool_(std::move(pool)) {}
  ~PartMemory() {
    pool_->Give(std::move(first_));
    pool_->Give(std::move(later_));
  }
  PartMemory(const PartMemory&) = delete;
  PartMemory& operator=(const PartMemory&) = delete;

  // Page-aligned memory for the part at `offset`: `part_size` bytes, or, where
  // that is 0, what suits memory and page cache. Then a part is made, summed
  // and copied within the second-level cache of a core, and no more is kept
  // back of the file's beginning than headers need.
  core::Result<std::span<std::byte>> For(std::uint64_t offset,
                                         std::size_t part_size) {
    core::AlignedBuffer& part = offset == 0 ? first_ : later_;
    if (part.size() == 0) {
      const std::size_t own = offset == 0 ? kFirstPart : kPart;
      STOKER_ASSIGN(part, pool_->Take(part_size == 0 ? own : part_size));
    }
    return part.bytes();
  }

 private:
  static constexpr std::size_t kFirstPart = 64U << 10;
  static constexpr std::size_t kPart = 256U << 10;

  std::shared_ptr<PartPool> pool_;
  core::AlignedBuffer first_;
  core::AlignedBuffer later_;
};

}  // namespace stoker::storage::internal
