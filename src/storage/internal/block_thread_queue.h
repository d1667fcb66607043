#pragma once

// Reads and writes a block device's files in a few threads of its own.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "storage/block_device.h"
#include "storage/internal/block_files.h"
#include "storage/internal/block_ops.h"
#include "storage/internal/slot_ring.h"

namespace stoker::storage::internal {

// With pread and pwrite; time as in BlockUringQueue. The destructor carries out
// all that was submitted.
class BlockThreadQueue final : public BlockQueue {
 public:
  // One thread per op in flight, 16 at most. `depth`: at least 1. `why`: not
  // io_uring, for engine(). kUnavailable if the system has no more threads.
  // `files` and `clock` outlive the queue.
  static core::Result<std::unique_ptr<BlockQueue>> Make(const BlockFiles& files,
                                                        std::size_t depth,
                                                        std::string_view why,
                                                        core::Clock& clock);
  ~BlockThreadQueue() override;
  BlockThreadQueue(const BlockThreadQueue&) = delete;
  BlockThreadQueue& operator=(const BlockThreadQueue&) = delete;

  std::size_t capacity() const override;
  std::size_t in_flight() const override;
  core::Result<std::size_t> Submit(std::span<const BlockOp> ops) override;
  core::Result<std::size_t> Reap(std::span<BlockDone> done,
                                 std::size_t at_least,
                                 core::TimePoint deadline) override;
  void Wake() override;
  std::string_view engine() const override { return engine_; }

 private:
  BlockThreadQueue(const BlockFiles& files, std::size_t depth,
                   std::string_view why, core::Clock& clock);
  core::Status StartThreads();
  void Work();
  core::Status CarryOut(const BlockOp& op) const;
  // `lock` holds mutex_. False: woken or out of time.
  bool WaitForDone(std::unique_lock<std::mutex>& lock,
                   core::TimePoint deadline);

  const BlockFiles& files_;
  core::Clock& clock_;
  const std::string engine_;
  mutable std::mutex mutex_;  // guards all that follows, but for threads_
  std::condition_variable work_arrived_;
  std::condition_variable done_arrived_;
  BlockOps ops_;
  SlotRing waiting_;
  std::size_t wanted_ = 0;  // finished ops that a Reap waits for
  bool woken_ = false;
  bool ending_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace stoker::storage::internal
