#include "storage/block_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

#include "core/aligned_buffer.h"
#include "core/check.h"
#include "core/pages.h"
#include "core/units.h"
#include "storage/internal/block_files.h"
#include "storage/internal/block_ops.h"
#include "storage/internal/block_thread_queue.h"
#include "storage/internal/block_uring_queue.h"
#include "storage/internal/held_ops.h"
#include "storage/internal/uring_ring.h"

namespace stoker::storage {

namespace {

core::Status CheckDepth(std::size_t depth) {
  if (depth >= 1 && depth <= kDeepestBlockQueue) {
    return {};
  }
  return {core::Code::kInvalidArgument,
          fmt::format("make a block queue of depth {}: allowed are 1 to {}",
                      depth, kDeepestBlockQueue)};
}

class FileDevice final : public BlockDevice {
 public:
  FileDevice(std::unique_ptr<internal::BlockFiles> files, BlockEngine engine)
      : files_(std::move(files)), engine_(engine) {}

  std::uint64_t size() const override { return files_->size(); }
  bool direct() const override { return files_->direct(); }
  core::Result<std::unique_ptr<BlockQueue>> NewQueue(
      std::size_t depth, core::Clock& clock) override;
  core::Status Flush() override { return files_->Flush(); }

 private:
  const std::unique_ptr<internal::BlockFiles> files_;
  const BlockEngine engine_;
};

core::Result<std::unique_ptr<BlockQueue>> FileDevice::NewQueue(
    std::size_t depth, core::Clock& clock) {
  STOKER_TRY(CheckDepth(depth));
  core::Status refused;
  if (engine_ != BlockEngine::kThreads) {
    auto queue = internal::BlockUringQueue::Make(*files_, depth, clock);
    if (queue.ok() || engine_ == BlockEngine::kUring) {
      return queue;
    }
    refused = queue.status();
  }
  // Behind the semicolon is what to do about it: just this.
  const std::string_view why =
      refused.message().substr(0, refused.message().find(';'));
  return internal::BlockThreadQueue::Make(*files_, depth, why, clock);
}

// Copies under locks of ranges, so that what overlaps is a mix of whole blocks
// and no data race, as on a disk.
class MemoryDevice final : public BlockDevice {
 public:
  explicit MemoryDevice(core::AlignedBuffer memory)
      : memory_(std::move(memory)) {}

  std::uint64_t size() const override { return memory_.size(); }
  bool direct() const override { return false; }
  core::Result<std::unique_ptr<BlockQueue>> NewQueue(
      std::size_t depth, core::Clock& clock) override;
  core::Status Flush() override { return {}; }
  // `op` is a good one by CheckBlockOp.
  void CarryOut(const BlockOp& op);

 private:
  static constexpr std::uint64_t kRange = 64 * core::kKiB;
  static constexpr std::size_t kLocks = 64;

  const core::AlignedBuffer memory_;
  std::array<std::mutex, kLocks> locks_;  // range i's is i % kLocks
};

void MemoryDevice::CarryOut(const BlockOp& op) {
  const std::span<std::byte> memory = memory_.bytes();
  std::span<std::byte> rest = op.buffer;
  std::uint64_t offset = op.offset;
  while (!rest.empty()) {
    const auto bytes =
        std::min<std::uint64_t>(rest.size(), kRange - offset % kRange);
    const std::scoped_lock lock(locks_[offset / kRange % kLocks]);
    if (op.kind == BlockOp::Kind::kRead) {
      std::memcpy(rest.data(), memory.data() + offset, bytes);
    } else {
      std::memcpy(memory.data() + offset, rest.data(), bytes);
    }
    rest = rest.subspan(bytes);
    offset += bytes;
  }
}

class MemoryQueue final : public BlockQueue {
 public:
  MemoryQueue(MemoryDevice& device, std::size_t depth, core::Clock& clock)
      : device_(device), clock_(clock), ops_(depth, device.size()) {}

  std::size_t capacity() const override { return ops_.capacity(); }
  std::size_t in_flight() const override { return ops_.in_flight(); }
  core::Result<std::size_t> Submit(std::span<const BlockOp> ops) override {
    std::size_t taken = 0;
    while (taken < ops.size() && !ops_.full()) {
      const BlockOp& op = ops[taken++];
      if (const std::optional<std::uint32_t> slot = ops_.Take(op)) {
        device_.CarryOut(op);
        ops_.Finish(*slot, {});
      }
    }
    return taken;
  }
  core::Result<std::size_t> Reap(std::span<BlockDone> done,
                                 std::size_t at_least,
                                 core::TimePoint deadline) override {
    const std::size_t count = ops_.Pop(done);
    const bool enough = count >= std::min(at_least, done.size());
    // More cannot come: this thread is the one that submits.
    while (!waker_.TakeWoken() && !enough && clock_.Now() < deadline) {
      waker_.WaitUntil(clock_, deadline);
    }
    return count;
  }
  void Wake() override { waker_.Wake(clock_); }

 private:
  MemoryDevice& device_;
  core::Clock& clock_;
  internal::BlockOps ops_;
  internal::ClockWaker waker_;
};

core::Result<std::unique_ptr<BlockQueue>> MemoryDevice::NewQueue(
    std::size_t depth, core::Clock& clock) {
  STOKER_TRY(CheckDepth(depth));
  return std::unique_ptr<BlockQueue>(
      std::make_unique<MemoryQueue>(*this, depth, clock));
}

}  // namespace

core::Result<std::unique_ptr<BlockDevice>> OpenBlockFiles(
    std::span<const std::string> paths, std::uint64_t file_bytes,
    BlockEngine engine) {
  if (engine == BlockEngine::kUring) {
    STOKER_TRY(internal::ProbeUring().WithContext("open a block device"));
  }
  STOKER_ASSIGN(std::unique_ptr<internal::BlockFiles> files,
                internal::BlockFiles::Open(paths, file_bytes));
  return std::unique_ptr<BlockDevice>(
      std::make_unique<FileDevice>(std::move(files), engine));
}

std::unique_ptr<BlockDevice> MakeMemoryDevice(std::uint64_t bytes) {
  STOKER_CHECK(bytes > 0 && bytes % core::kPageBytes == 0);
  core::Result<core::AlignedBuffer> memory =
      core::AlignedBuffer::Make(bytes, /*resident=*/false);
  STOKER_CHECK(memory.ok());
  return std::make_unique<MemoryDevice>(std::move(memory).value());
}

}  // namespace stoker::storage
