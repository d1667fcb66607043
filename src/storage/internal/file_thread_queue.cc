#include "storage/internal/file_thread_queue.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "storage/internal/file_reads.h"
#include "storage/internal/real_time.h"

namespace stoker::storage::internal {

core::Result<std::unique_ptr<ReadQueue>> FileThreadQueue::Make(
    OpenFiles& files, Way way, const ReadLimits& limits, std::size_t threads,
    core::Clock& clock) {
  std::unique_ptr<FileThreadQueue> queue(
      new FileThreadQueue(files, way, limits, clock));
  STOKER_TRY(queue->StartThreads(threads));
  return std::unique_ptr<ReadQueue>(std::move(queue));
}

FileThreadQueue::FileThreadQueue(OpenFiles& files, Way way,
                                 const ReadLimits& limits, core::Clock& clock)
    : ReadQueue(limits, clock),
      files_(files),
      way_(way),
      waiting_(limits.capacity),
      done_(limits.capacity) {}

core::Status FileThreadQueue::StartThreads(std::size_t threads) {
  try {
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this] { Work(); });
    }
  } catch (const std::system_error& error) {
    return {core::Code::kUnavailable,
            "start the reader threads: " + std::string(error.what()) +
                "; raise the process limit (ulimit -u) or lower io_threads",
            error.code().value()};
  }
  return {};
}

FileThreadQueue::~FileThreadQueue() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  work_arrived_.notify_all();
}

void FileThreadQueue::Wake() {
  {
    const std::scoped_lock lock(mutex_);
    woken_ = true;
  }
  done_arrived_.notify_all();
}

void FileThreadQueue::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_arrived_.wait(lock, [this] { return ending_ || count_ > 0; });
    if (ending_) {
      return;
    }
    const ReadOp op = waiting_[first_];
    first_ = first_ + 1 == waiting_.size() ? 0 : first_ + 1;
    --count_;
    lock.unlock();
    ReadDone done = Serve(op);
    lock.lock();
    done_.Push(std::move(done));
    if (done_.size() == wanted_) {
      done_arrived_.notify_all();
    }
  }
}

ReadDone FileThreadQueue::Serve(const ReadOp& op) {
  ReadDone done{.tag = op.tag};
  OpenFile& file = files_.Get(op.object);
  done.status = OpenFiles::Open(file, way_);
  if (!done.status.ok()) {
    return done;
  }
  if (op.kind == ReadOp::Kind::kSize) {
    done.bytes = file.handle(way_).size;
  } else if (way_ == Way::kMapped) {
    done.status = CopyMapped(file, op, done.bytes);
  } else {
    done.status = ReadAll(file, way_, op, limits().offset_align, done.bytes);
  }
  return done;
}

core::Result<std::size_t> FileThreadQueue::DoSubmit(
    std::span<const ReadOp> ops) {
  {
    const std::scoped_lock lock(mutex_);
    for (const ReadOp& op : ops) {
      waiting_[(first_ + count_) % waiting_.size()] = op;
      ++count_;
    }
  }
  if (ops.size() == 1) {
    work_arrived_.notify_one();
  } else {
    work_arrived_.notify_all();
  }
  return ops.size();
}

core::Result<std::size_t> FileThreadQueue::DoReap(std::span<ReadDone> done,
                                                  std::size_t at_least,
                                                  core::TimePoint deadline) {
  std::unique_lock lock(mutex_);
  wanted_ = at_least;
  while (done_.size() < at_least && WaitForDone(lock, deadline)) {
  }
  wanted_ = 0;
  woken_ = false;
  return done_.Pop(done);
}

bool FileThreadQueue::WaitForDone(std::unique_lock<std::mutex>& lock,
                                  core::TimePoint deadline) {
  const auto ended = [this] { return woken_ || done_.size() >= wanted_; };
  const std::optional<core::Nanos> left = TimeLeft(clock(), deadline);
  if (!left.has_value()) {
    done_arrived_.wait(lock, ended);
  } else if (*left == core::Nanos{0}) {
    return false;
  } else {
    done_arrived_.wait_until(lock, std::chrono::steady_clock::now() + *left,
                             ended);
  }
  return !woken_;
}

}  // namespace stoker::storage::internal
