#pragma once

// Buffers for parts of blocks that cannot go straight to the caller; what is in
// them serves the parts that come next.

#include <cstddef>
#include <cstdint>
#include <span>
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
    memory_ = std::move(memory);
    buffer_bytes_ = buffer_bytes;
    buffers_.resize(memory_.size() / buffer_bytes);
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
    return memory_.bytes().subspan(number * buffer_bytes_, buffer_bytes_);
  }
  void Touch(std::uint32_t number) { buffers_[number].used = ++uses_; }

 private:
  core::AlignedBuffer memory_;
  std::size_t buffer_bytes_ = 0;
  std::vector<Buffer> buffers_;
  std::uint64_t uses_ = 0;
};

}  // namespace stoker::cache::internal
