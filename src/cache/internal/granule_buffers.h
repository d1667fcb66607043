#pragma once

// Buffers for parts of blocks that cannot go straight to the caller; what is in
// them serves the parts that come next.

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "cache/slot_entry.h"
#include "core/aligned_buffer.h"

namespace stoker::cache::internal {

// Not safe for concurrent use.
class GranuleBuffers {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  struct Buffer {
    Fingerprint key{};
    std::uint32_t from = 0;       // first byte of the block that is in here
    std::uint32_t bytes = 0;      // 0: nothing is
    std::uint32_t delivered = 0;  // from the block's start, given out before
    bool busy = false;            // being filled
    std::uint64_t used = 0;
  };

  void SetMemory(core::AlignedBuffer memory, std::size_t buffer_bytes) {
    buffer_bytes_ = buffer_bytes;
    buffers_.resize(memory.size() / buffer_bytes);
    for (std::size_t i = 0; i < buffers_.size(); ++i) {
      parts_.push_back(memory.bytes().subspan(i * buffer_bytes, buffer_bytes));
    }
    memory_.push_back(std::move(memory));
  }

  // The buffer that holds, or will hold, byte `at` of the block.
  std::uint32_t Find(const Fingerprint& key, std::uint32_t at) const {
    for (std::uint32_t i = 0; i < buffers_.size(); ++i) {
      const Buffer& buffer = buffers_[i];
      if (buffer.key.low == key.low && buffer.bytes > 0 && at >= buffer.from &&
          at - buffer.from < buffer.bytes && buffer.key == key) {
        return i;
      }
    }
    return kNone;
  }
  // The one used longest ago, empty and busy; kNone: all are busy.
  std::uint32_t Take() {
    std::uint32_t best = kNone;
    for (std::uint32_t i = 0; i < buffers_.size(); ++i) {
      if (!buffers_[i].busy &&
          (best == kNone || buffers_[i].used < buffers_[best].used)) {
        best = i;
      }
    }
    if (best != kNone) {
      buffers_[best] = {};
      buffers_[best].busy = true;
    }
    return best;
  }
  Buffer& at(std::uint32_t number) { return buffers_[number]; }
  std::span<std::byte> memory(std::uint32_t number) const {
    return parts_[number];
  }
  // Frees a busy buffer whose memory somebody may still write to: it gets
  // other memory, and what it had is returned, for GiveBack. Empty: there is no
  // more, and the buffer stays busy.
  std::span<std::byte> PartFrom(std::uint32_t number) {
    if (spare_.empty()) {
      core::Result<core::AlignedBuffer> more =
          core::AlignedBuffer::Make(buffer_bytes_, false);
      if (!more.ok()) {
        return {};
      }
      spare_.push_back(more.value().bytes());
      memory_.push_back(std::move(more).value());
    }
    buffers_[number] = {};
    const std::span<std::byte> parted =
        std::exchange(parts_[number], spare_.back());
    spare_.pop_back();
    return parted;
  }
  void GiveBack(std::span<std::byte> part) { spare_.push_back(part); }
  void Touch(std::uint32_t number) { buffers_[number].used = ++uses_; }

 private:
  std::vector<core::AlignedBuffer> memory_;
  std::vector<std::span<std::byte>> parts_;  // of each buffer
  std::vector<std::span<std::byte>> spare_;
  std::size_t buffer_bytes_ = 0;
  std::vector<Buffer> buffers_;
  std::uint64_t uses_ = 0;
};

}  // namespace stoker::cache::internal
