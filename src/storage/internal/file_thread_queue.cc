#include "storage/internal/file_thread_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "storage/internal/file_reads.h"
#include "storage/internal/real_time.h"

namespace stoker::storage::internal {

namespace {

std::string EngineText(Way way, std::string_view why) {
  if (way == Way::kMapped) {
    return "mapped";
  }
  return why.empty() ? "threads" : fmt::format("threads ({})", why);
}

}  // namespace

core::Result<std::unique_ptr<ReadQueue>> FileThreadQueue::Make(
    OpenFiles& files, Way way, const ReadLimits& limits, const Setup& setup,
    core::Clock& clock) {
  std::unique_ptr<FileThreadQueue> queue(
      new FileThreadQueue(files, way, limits, setup, clock));
  STOKER_TRY(
      queue->StartThreads(std::min(setup.threads, setup.shape.in_kernel)));
  return std::unique_ptr<ReadQueue>(std::move(queue));
}

FileThreadQueue::FileThreadQueue(OpenFiles& files, Way way,
                                 const ReadLimits& limits, const Setup& setup,
                                 core::Clock& clock)
    : ReadQueue(limits, clock),
      files_(files),
      way_(way),
      block_bytes_(setup.shape.block_bytes),
      engine_(EngineText(way, setup.why)),
      slots_(limits.capacity),
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
    work_arrived_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (ending_) {
      return;
    }
    ServeOne(lock);
  }
}

void FileThreadQueue::ServeOne(std::unique_lock<std::mutex>& lock) {
  Slot& slot = slots_[waiting_.front()];
  const bool has_block = slot.read.HasNext();
  const ReadOp block = has_block ? slot.read.Next() : ReadOp{};
  if (!slot.read.HasNext()) {
    slot.waiting = false;
    waiting_.Pop();
  }
  if (has_block) {
    lock.unlock();
    std::uint64_t got = 0;
    core::Status status = Serve(block, got);
    lock.lock();
    slot.read.Ended(block, got, std::move(status));
  }
  if (slot.read.finished() && !slot.waiting) {
    Finish(slot);
  }
}

void FileThreadQueue::Finish(Slot& slot) {
  ReadDone done = slot.read.Take();
  const ReadOp& op = slot.read.op();
  if (op.kind == ReadOp::Kind::kSize && done.status.ok()) {
    done.version = files_.Get(op.object).handle(way_).version;
  }
  done_.Push(std::move(done));
  if (done_.size() == wanted_) {
    done_arrived_.notify_all();
  }
}

core::Status FileThreadQueue::Serve(const ReadOp& block, std::uint64_t& got) {
  OpenFile& file = files_.Get(block.object);
  STOKER_TRY(files_.Open(file, way_));
  if (block.kind == ReadOp::Kind::kSize) {
    got = file.handle(way_).size;
    return {};
  }
  return way_ == Way::kMapped
             ? CopyMapped(file, block, got)
             : ReadAll(file, way_, block, limits().offset_align, got);
}

core::Result<std::size_t> FileThreadQueue::DoSubmit(
    std::span<const ReadOp> ops) {
  bool one_thread_is_enough = ops.size() == 1;
  {
    const std::scoped_lock lock(mutex_);
    for (const ReadOp& op : ops) {
      const auto number = static_cast<std::uint32_t>(op.tag);
      Slot& slot = slots_[number];
      slot.read.Begin(op, block_bytes_);
      slot.waiting = true;
      waiting_.Push(number);
      one_thread_is_enough &=
          block_bytes_ == 0 || op.buffer.size() <= block_bytes_;
    }
  }
  if (one_thread_is_enough) {
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
