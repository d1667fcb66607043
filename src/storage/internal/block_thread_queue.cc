#include "storage/internal/block_thread_queue.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

#include "storage/internal/real_time.h"

namespace stoker::storage::internal {

namespace {

// Ops are large: this many keep a device busy, and each thread has a stack.
constexpr std::size_t kMostThreads = 16;

}  // namespace

core::Result<std::unique_ptr<BlockQueue>> BlockThreadQueue::Make(
    const BlockFiles& files, std::size_t depth, std::string_view why,
    core::Clock& clock) {
  std::unique_ptr<BlockThreadQueue> queue(
      new BlockThreadQueue(files, depth, why, clock));
  STOKER_TRY(queue->StartThreads());
  return std::unique_ptr<BlockQueue>(std::move(queue));
}

BlockThreadQueue::BlockThreadQueue(const BlockFiles& files, std::size_t depth,
                                   std::string_view why, core::Clock& clock)
    : files_(files),
      clock_(clock),
      engine_(why.empty() ? "threads" : fmt::format("threads ({})", why)),
      ops_(depth, files.size()),
      waiting_(depth) {}

core::Status BlockThreadQueue::StartThreads() {
  const std::size_t threads = std::min(ops_.capacity(), kMostThreads);
  try {
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this] { Work(); });
    }
  } catch (const std::system_error& error) {
    return {
        core::Code::kUnavailable,
        "start the threads of a block device: " + std::string(error.what()) +
            "; raise the process limit (ulimit -u)",
        error.code().value()};
  }
  return {};
}

BlockThreadQueue::~BlockThreadQueue() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  work_arrived_.notify_all();
}

std::size_t BlockThreadQueue::capacity() const { return ops_.capacity(); }

std::size_t BlockThreadQueue::in_flight() const {
  const std::scoped_lock lock(mutex_);
  return ops_.in_flight();
}

void BlockThreadQueue::Wake() {
  {
    const std::scoped_lock lock(mutex_);
    woken_ = true;
  }
  done_arrived_.notify_all();
}

void BlockThreadQueue::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_arrived_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (waiting_.empty()) {
      return;
    }
    const std::uint32_t slot = waiting_.front();
    waiting_.Pop();
    const BlockOp op = ops_.op(slot);
    lock.unlock();
    core::Status status = CarryOut(op);
    lock.lock();
    ops_.Finish(slot, std::move(status));
    if (ops_.finished() == wanted_) {
      done_arrived_.notify_all();
    }
  }
}

core::Status BlockThreadQueue::CarryOut(const BlockOp& op) const {
  std::uint64_t got = 0;
  std::optional<core::Status> outcome;
  while (!outcome.has_value()) {
    const BlockPiece piece = files_.PieceOf(op, got);
    std::byte* const bytes = piece.buffer.data();
    const std::size_t size = piece.buffer.size();
    const auto offset = static_cast<off_t>(piece.offset);
    const ssize_t result = op.kind == BlockOp::Kind::kRead
                               ? ::pread(piece.fd, bytes, size, offset)
                               : ::pwrite(piece.fd, bytes, size, offset);
    outcome = files_.Advance(op, got, result < 0 ? -errno : result);
  }
  return *std::move(outcome);
}

core::Result<std::size_t> BlockThreadQueue::Submit(
    std::span<const BlockOp> ops) {
  std::size_t taken = 0;
  std::size_t begun = 0;
  {
    const std::scoped_lock lock(mutex_);
    while (taken < ops.size() && !ops_.full()) {
      if (const std::optional<std::uint32_t> slot = ops_.Take(ops[taken++])) {
        waiting_.Push(*slot);
        ++begun;
      }
    }
  }
  if (begun == 1) {
    work_arrived_.notify_one();
  } else if (begun > 1) {
    work_arrived_.notify_all();
  }
  return taken;
}

core::Result<std::size_t> BlockThreadQueue::Reap(std::span<BlockDone> done,
                                                 std::size_t at_least,
                                                 core::TimePoint deadline) {
  std::unique_lock lock(mutex_);
  wanted_ = std::min(at_least, done.size());
  while (ops_.finished() < wanted_ && WaitForDone(lock, deadline)) {
  }
  wanted_ = 0;
  woken_ = false;
  return ops_.Pop(done);
}

bool BlockThreadQueue::WaitForDone(std::unique_lock<std::mutex>& lock,
                                   core::TimePoint deadline) {
  const auto ended = [this] { return woken_ || ops_.finished() >= wanted_; };
  const std::optional<core::Nanos> left = TimeLeft(clock_, deadline);
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
