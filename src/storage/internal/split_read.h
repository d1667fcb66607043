#pragma once

// One op done in blocks that are under way at once, joined into one answer.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/status.h"
#include "storage/read_queue.h"

namespace stoker::storage::internal {

// How a queue of files hands its ops to the kernel.
struct ReadShape {
  std::size_t in_kernel = SIZE_MAX;  // opens and blocks at most, at least 1
  std::uint64_t block_bytes = 0;     // as SplitRead::Begin
};

// A question for the size, or a read of nothing, is one block. Not safe for
// concurrent use.
class SplitRead {
 public:
  // `block_bytes`: of all blocks but the last; 0: the op is one block.
  void Begin(const ReadOp& op, std::uint64_t block_bytes) {
    op_ = op;
    block_bytes_ = block_bytes == 0 ? op.buffer.size() : block_bytes;
    next_ = 0;
    end_ = op.buffer.size();
    under_way_ = 0;
    begun_ = false;
    status_ = {};
  }

  const ReadOp& op() const { return op_; }
  bool HasNext() const { return !begun_ || next_ < end_; }

  // The block from the front, which is under way from here on. Requires
  // HasNext().
  ReadOp Next() {
    begun_ = true;
    ++under_way_;
    ReadOp block = op_;
    block.offset += next_;
    block.buffer = op_.buffer.subspan(
        next_, std::min(block_bytes_, op_.buffer.size() - next_));
    next_ += block.buffer.size();
    return block;
  }

  // Of `block`, as Next gave it, `got` bytes arrived (or the size asked). Where
  // that is not all of it the object ends there or the block failed, and no
  // block behind it is begun any more.
  void Ended(const ReadOp& block, std::uint64_t got, core::Status status) {
    --under_way_;
    if (op_.kind == ReadOp::Kind::kSize) {
      next_ = end_ = got;
    } else if (got < block.buffer.size() || !status.ok()) {
      end_ = std::min(end_, block.offset - op_.offset + got);
    }
    if (status_.ok()) {
      status_ = std::move(status);
    }
  }

  // No block is under way or to come: the answer is there.
  bool finished() const { return under_way_ == 0 && !HasNext(); }
  ReadDone Take() {
    return {.tag = op_.tag, .status = std::move(status_), .bytes = end_};
  }

 private:
  ReadOp op_;
  std::uint64_t block_bytes_ = 0;
  std::uint64_t next_ = 0;  // where the next block starts, in the buffer
  std::uint64_t end_ = 0;   // of what arrived or may arrive, in the buffer
  std::uint32_t under_way_ = 0;
  bool begun_ = false;
  core::Status status_;  // the first error
};

}  // namespace stoker::storage::internal
