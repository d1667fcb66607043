#include "storage/internal/block_uring_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "storage/internal/real_time.h"

namespace stoker::storage::internal {

core::Result<std::unique_ptr<BlockQueue>> BlockUringQueue::Make(
    const BlockFiles& files, std::size_t depth, core::Clock& clock) {
  STOKER_ASSIGN(std::unique_ptr<UringRing> ring,
                UringRing::Make(static_cast<std::uint32_t>(depth)));
  return std::unique_ptr<BlockQueue>(
      new BlockUringQueue(files, depth, clock, std::move(ring)));
}

BlockUringQueue::BlockUringQueue(const BlockFiles& files, std::size_t depth,
                                 core::Clock& clock,
                                 std::unique_ptr<UringRing> ring)
    : files_(files),
      clock_(clock),
      ops_(depth, files.size()),
      ring_(std::move(ring)) {}

void BlockUringQueue::RegisterMemory(std::span<std::byte> memory) {
  if (memory.empty()) {
    return;
  }
  if (!files_.direct()) {
    engine_ = "uring, buffers not registered: the page cache is in between";
    return;
  }
  const core::Status status = ring_->RegisterBuffers(memory);
  engine_ = status.ok() ? "uring, registered buffers"
                        : fmt::format("uring, buffers not registered: {}",
                                      status.message());
}

core::Result<std::size_t> BlockUringQueue::Submit(
    std::span<const BlockOp> ops) {
  STOKER_TRY(broken_);
  std::size_t taken = 0;
  while (taken < ops.size() && !ops_.full()) {
    if (const std::optional<std::uint32_t> slot = ops_.Take(ops[taken++])) {
      Prepare(*slot);
    }
  }
  broken_ = ring_->Submit();
  STOKER_TRY(broken_);
  return taken;
}

void BlockUringQueue::Prepare(std::uint32_t slot) {
  const BlockOp& op = ops_.op(slot);
  const BlockPiece piece = files_.PieceOf(op, ops_.got(slot));
  if (op.kind == BlockOp::Kind::kRead) {
    ring_->PrepareRead(piece.fd, piece.buffer, piece.offset, slot);
  } else {
    ring_->PrepareWrite(piece.fd, piece.buffer, piece.offset, slot);
  }
}

core::Status BlockUringQueue::TakeCompletions() {
  std::array<UringRing::Completion, 64> completions;
  std::size_t count = 0;
  do {
    count = ring_->Take(completions);
    for (std::size_t i = 0; i < count; ++i) {
      Completed(static_cast<std::uint32_t>(completions[i].user_data),
                completions[i].result);
    }
  } while (count == completions.size());
  return ring_->Submit();
}

void BlockUringQueue::Completed(std::uint32_t slot, std::int32_t result) {
  std::optional<core::Status> outcome =
      files_.Advance(ops_.op(slot), ops_.got(slot), result);
  if (outcome.has_value()) {
    ops_.Finish(slot, *std::move(outcome));
  } else {
    Prepare(slot);
  }
}

core::Result<std::size_t> BlockUringQueue::Reap(std::span<BlockDone> done,
                                                std::size_t at_least,
                                                core::TimePoint deadline) {
  STOKER_TRY(broken_);
  at_least = std::min(at_least, done.size());
  std::size_t count = 0;
  while (true) {
    broken_ = TakeCompletions();
    STOKER_TRY(broken_);
    count += ops_.Pop(done.subspan(count));
    if (ring_->TakeWoken() || count >= at_least) {
      return count;
    }
    const std::optional<core::Nanos> left = TimeLeft(clock_, deadline);
    if (left == core::Nanos{0}) {
      return count;
    }
    broken_ = ring_->Wait(left);
    STOKER_TRY(broken_);
  }
}

}  // namespace stoker::storage::internal
