#pragma once

// Reads and writes a block device's files through io_uring.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "storage/block_device.h"
#include "storage/internal/block_files.h"
#include "storage/internal/block_ops.h"
#include "storage/internal/uring_ring.h"

namespace stoker::storage::internal {

// The kernel has one piece of each op at a time: an op is in one piece unless
// it crosses the end of a file. Kernel I/O takes real time: deadlines of
// `clock` are turned into time left, and never moved by a virtual clock. Thread
// rule as UringRing. The destructor waits for the pieces in the kernel.
class BlockUringQueue final : public BlockQueue {
 public:
  // `depth`: 1 to 32,766. Errors as UringRing::Make. `files` and `clock`
  // outlive the queue.
  static core::Result<std::unique_ptr<BlockQueue>> Make(const BlockFiles& files,
                                                        std::size_t depth,
                                                        core::Clock& clock);

  std::size_t capacity() const override { return ops_.capacity(); }
  std::size_t in_flight() const override { return ops_.in_flight(); }
  core::Result<std::size_t> Submit(std::span<const BlockOp> ops) override;
  core::Result<std::size_t> Reap(std::span<BlockDone> done,
                                 std::size_t at_least,
                                 core::TimePoint deadline) override;
  void Wake() override { ring_->Wake(); }
  // Only past the page cache: what the kernel copies into it or out of it gains
  // nothing.
  void RegisterMemory(std::span<std::byte> memory) override;
  std::string_view engine() const override { return engine_; }

 private:
  BlockUringQueue(const BlockFiles& files, std::size_t depth,
                  core::Clock& clock, std::unique_ptr<UringRing> ring);
  void Prepare(std::uint32_t slot);
  core::Status TakeCompletions();
  void Completed(std::uint32_t slot, std::int32_t result);

  const BlockFiles& files_;
  core::Clock& clock_;
  std::string engine_ = "uring";
  BlockOps ops_;
  core::Status broken_;  // the ring's first error
  std::unique_ptr<UringRing> ring_;
};

}  // namespace stoker::storage::internal
