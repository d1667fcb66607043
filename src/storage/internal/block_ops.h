#pragma once

// What a block queue was given and has not handed back.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/check.h"
#include "storage/block_device.h"
#include "storage/internal/block_files.h"
#include "storage/internal/slot_ring.h"

namespace stoker::storage::internal {

// Fixed capacity; allocates at construction only. Not safe for concurrent use.
class BlockOps {
 public:
  BlockOps(std::size_t capacity, std::uint64_t device_bytes)
      : device_bytes_(device_bytes), slots_(capacity), finished_(capacity) {
    free_.reserve(capacity);
    for (std::size_t i = capacity; i-- > 0;) {
      free_.push_back(static_cast<std::uint32_t>(i));
    }
  }

  std::size_t capacity() const { return slots_.size(); }
  std::size_t in_flight() const { return slots_.size() - free_.size(); }
  std::size_t finished() const { return finished_count_; }  // of those
  bool full() const { return free_.empty(); }

  // Requires that it is not full. The op's slot; nothing if it is finished as
  // it comes, being empty or no good one.
  std::optional<std::uint32_t> Take(const BlockOp& op) {
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    slots_[slot].op = op;
    slots_[slot].got = 0;
    core::Status status = CheckBlockOp(op, device_bytes_);
    if (!status.ok() || op.buffer.empty()) {
      Finish(slot, std::move(status));
      return std::nullopt;
    }
    return slot;
  }
  const BlockOp& op(std::uint32_t slot) const { return slots_[slot].op; }
  // Bytes done, for the queue to keep.
  std::uint64_t& got(std::uint32_t slot) { return slots_[slot].got; }

  void Finish(std::uint32_t slot, core::Status status) {
    slots_[slot].status = std::move(status);
    finished_.Push(slot);
    ++finished_count_;
  }

  // Moves as many finished ops as fit to the front of `out`, those that
  // finished first; returns the count.
  std::size_t Pop(std::span<BlockDone> out) {
    const std::size_t count = std::min(out.size(), finished_count_);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t slot = finished_.front();
      finished_.Pop();
      out[i] = {.tag = slots_[slot].op.tag,
                .status = std::exchange(slots_[slot].status, {})};
      free_.push_back(slot);
    }
    finished_count_ -= count;
    return count;
  }

 private:
  struct Slot {
    BlockOp op;
    std::uint64_t got = 0;
    core::Status status;
  };

  const std::uint64_t device_bytes_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  SlotRing finished_;
  std::size_t finished_count_ = 0;
};

}  // namespace stoker::storage::internal
