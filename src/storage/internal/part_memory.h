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
          bytes_ -= bytes;
          return taken;
        }
      }
    }
    return core::AlignedBuffer::Make(bytes, /*resident=*/bytes <= kResident);
  }

  // What is more than the pool keeps goes back to the system.
  void Give(core::AlignedBuffer buffer) {
    const std::scoped_lock lock(mutex_);
    if (buffer.size() > 0 && free_.size() < kMost &&
        bytes_ + buffer.size() <= kMostBytes) {
      bytes_ += buffer.size();
      free_.push_back(std::move(buffer));
    }
  }

 private:
  static constexpr std::size_t kResident = 1U << 20;
  static constexpr std::size_t kMost = 16;
  static constexpr std::size_t kMostBytes = kMost << 20;

  std::mutex mutex_;  // guards the two
  std::vector<core::AlignedBuffer> free_;
  std::size_t bytes_ = 0;  // of free_
};

// Bytes of a part: as asked for, or what suits memory and page cache. Then a
// part is made, summed and copied within the second-level cache of a core, and
// no more is kept back of the file's beginning than headers need.
inline std::size_t PartSize(const WriteOptions& options, bool kept_back) {
  constexpr std::size_t kKeptBack = 64U << 10;
  constexpr std::size_t kPart = 256U << 10;
  if (options.part_size != 0) {
    return options.part_size;
  }
  return kept_back ? kKeptBack : kPart;
}

// A part that is kept back has pages of its own, all others share theirs.
class PartMemory {
 public:
  // `pool` is shared by the streams of a back end and may outlive it.
  explicit PartMemory(std::shared_ptr<PartPool> pool)
      : pool_(std::move(pool)) {}
  ~PartMemory() {
    pool_->Give(std::move(kept_));
    pool_->Give(std::move(shared_));
  }
  PartMemory(const PartMemory&) = delete;
  PartMemory& operator=(const PartMemory&) = delete;

  // Page-aligned memory for a part of PartSize.
  core::Result<std::span<std::byte>> For(const WriteOptions& options,
                                         bool kept_back) {
    core::AlignedBuffer& part = kept_back ? kept_ : shared_;
    if (part.size() == 0) {
      STOKER_ASSIGN(part, pool_->Take(PartSize(options, kept_back)));
    }
    return part.bytes();
  }

 private:
  std::shared_ptr<PartPool> pool_;
  core::AlignedBuffer kept_;
  core::AlignedBuffer shared_;
};

}  // namespace stoker::storage::internal
