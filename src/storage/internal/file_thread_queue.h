#pragma once

// Reads files in a few threads of its own: with pread, or out of mappings.

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "storage/internal/done_ring.h"
#include "storage/internal/open_files.h"
#include "storage/read_queue.h"

namespace stoker::storage::internal {

// Time as in FileUringQueue: real, whatever `clock` says. The destructor waits
// for the reads that have begun; those that have not are dropped.
class FileThreadQueue final : public ReadQueue {
 public:
  // `threads` is at least 1; kUnavailable if the system has no more of them.
  // `files` outlives the queue.
  static core::Result<std::unique_ptr<ReadQueue>> Make(OpenFiles& files,
                                                       Way way,
                                                       const ReadLimits& limits,
                                                       std::size_t threads,
                                                       core::Clock& clock);
  ~FileThreadQueue() override;
  FileThreadQueue(const FileThreadQueue&) = delete;
  FileThreadQueue& operator=(const FileThreadQueue&) = delete;
  void Wake() override;
  std::string_view engine() const override {
    return way_ == Way::kMapped ? "mapped" : "threads";
  }

 private:
  FileThreadQueue(OpenFiles& files, Way way, const ReadLimits& limits,
                  core::Clock& clock);
  core::Result<std::size_t> DoSubmit(std::span<const ReadOp> ops) override;
  core::Result<std::size_t> DoReap(std::span<ReadDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) override;
  core::Status StartThreads(std::size_t threads);
  void Work();
  ReadDone Serve(const ReadOp& op);
  // `lock` holds mutex_. False: woken or out of time.
  bool WaitForDone(std::unique_lock<std::mutex>& lock,
                   core::TimePoint deadline);

  OpenFiles& files_;
  const Way way_;
  std::mutex mutex_;  // guards all that follows, but for threads_
  std::condition_variable work_arrived_;
  std::condition_variable done_arrived_;
  std::vector<ReadOp> waiting_;  // ring of ops not yet begun
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  DoneRing done_;
  std::size_t wanted_ = 0;  // done ops that a Reap waits for
  bool woken_ = false;
  bool ending_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace stoker::storage::internal
