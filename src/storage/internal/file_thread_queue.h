#pragma once

// Reads files in a few threads of its own: with pread, or out of mappings.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "storage/internal/done_ring.h"
#include "storage/internal/open_files.h"
#include "storage/internal/slot_ring.h"
#include "storage/internal/split_read.h"
#include "storage/read_queue.h"

namespace stoker::storage::internal {

// Time as in FileUringQueue: real, whatever `clock` says. The destructor waits
// for the reads that have begun; those that have not are dropped.
class FileThreadQueue final : public ReadQueue {
 public:
  struct Setup {
    std::size_t threads = 1;    // at least 1; each has one op in the kernel
    ReadShape shape{};          // its in_kernel limits the threads
    std::string_view why = "";  // not io_uring, for engine()
  };
  // kUnavailable if the system has no more threads. `files` outlives the queue.
  static core::Result<std::unique_ptr<ReadQueue>> Make(OpenFiles& files,
                                                       Way way,
                                                       const ReadLimits& limits,
                                                       const Setup& setup,
                                                       core::Clock& clock);
  ~FileThreadQueue() override;
  FileThreadQueue(const FileThreadQueue&) = delete;
  FileThreadQueue& operator=(const FileThreadQueue&) = delete;
  void Wake() override;
  std::string_view engine() const override { return engine_; }

 private:
  struct Slot {
    SplitRead read;
    bool waiting = false;  // in waiting_
  };

  FileThreadQueue(OpenFiles& files, Way way, const ReadLimits& limits,
                  const Setup& setup, core::Clock& clock);
  core::Result<std::size_t> DoSubmit(std::span<const ReadOp> ops) override;
  core::Result<std::size_t> DoReap(std::span<ReadDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) override;
  core::Status StartThreads(std::size_t threads);
  void Work();
  // `lock` holds mutex_, which it gives up meanwhile.
  void ServeOne(std::unique_lock<std::mutex>& lock);
  core::Status Serve(const ReadOp& block, std::uint64_t& got);
  void Finish(Slot& slot);
  // `lock` holds mutex_. False: woken or out of time.
  bool WaitForDone(std::unique_lock<std::mutex>& lock,
                   core::TimePoint deadline);

  OpenFiles& files_;
  const Way way_;
  const std::uint64_t block_bytes_;
  const std::string engine_;
  std::mutex mutex_;  // guards all that follows, but for threads_
  std::condition_variable work_arrived_;
  std::condition_variable done_arrived_;
  std::vector<Slot> slots_;  // by tag
  SlotRing waiting_;         // of which not every block has begun
  DoneRing done_;
  std::size_t wanted_ = 0;  // done ops that a Reap waits for
  bool woken_ = false;
  bool ending_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace stoker::storage::internal
