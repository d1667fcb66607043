#include "storage/internal/part_sender.h"

#include <string>
#include <system_error>
#include <utility>

#include "core/check.h"

namespace stoker::storage::internal {

PartSender::PartSender(const Setup& setup, std::shared_ptr<PartPool> pool,
                       core::Clock& clock, SendPart send)
    : setup_(setup),
      pool_(std::move(pool)),
      clock_(clock),
      send_(std::move(send)) {
  STOKER_CHECK(setup.parts >= 2 && setup.part_size > 0 && setup.threads >= 1);
}

PartSender::~PartSender() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
    clock_.NotifyAll(work_arrived_);
  }
  threads_.clear();
  for (core::AlignedBuffer& buffer : memory_) {
    pool_->Give(std::move(buffer));
  }
}

core::Status PartSender::Start() {
  try {
    while (threads_.size() < setup_.threads) {
      threads_.emplace_back(clock_, [this] { Work(); });
    }
  } catch (const std::system_error& error) {
    return {core::Code::kUnavailable,
            "start the writer threads: " + std::string(error.what()) +
                "; raise the process limit (ulimit -u), write fewer objects at "
                "once, or lower write_threads",
            error.code().value()};
  }
  return {};
}

template <class Reached>
void PartSender::WaitUntil(std::unique_lock<std::mutex>& lock,
                           Reached reached) {
  if (reached()) {
    return;
  }
  const core::TimePoint start = clock_.Now();
  while (!reached()) {
    clock_.WaitUntil(part_ended_, lock, core::kNever);
  }
  waited_ += clock_.Now() - start;
}

core::Result<std::span<std::byte>> PartSender::Take() {
  {
    std::unique_lock lock(mutex_);
    if (memory_.size() == setup_.parts) {
      WaitUntil(lock, [this] { return !free_.empty() || !failed_.ok(); });
    }
    STOKER_TRY(failed_);
    if (!free_.empty()) {
      taken_ = free_.back();
      free_.pop_back();
      return taken_;
    }
  }
  STOKER_ASSIGN(core::AlignedBuffer buffer, pool_->Take(setup_.part_size));
  memory_.push_back(std::move(buffer));
  taken_ = memory_.back().bytes();
  return taken_;
}

core::Status PartSender::Send(std::uint64_t offset,
                              std::span<const std::byte> part) {
  STOKER_TRY(Start());
  const std::scoped_lock lock(mutex_);
  STOKER_TRY(failed_);
  if (on_their_way_ == 0 && any_ended_) {
    idle_ += clock_.Now() - last_end_;
  }
  ++on_their_way_;
  Job job{.offset = offset, .part = part, .memory = {}};
  if (part.data() == taken_.data()) {
    job.memory = std::exchange(taken_, {});
  }
  jobs_.push_back(job);
  clock_.NotifyAll(work_arrived_);
  return {};
}

core::Status PartSender::Drain() {
  std::unique_lock lock(mutex_);
  WaitUntil(lock, [this] { return on_their_way_ == 0; });
  return failed_;
}

void PartSender::Work() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    if (jobs_.empty()) {
      clock_.WaitUntil(work_arrived_, lock, core::kNever);
    } else {
      SendOne(lock);
    }
  }
}

void PartSender::SendOne(std::unique_lock<std::mutex>& lock) {
  const Job job = jobs_.front();
  jobs_.pop_front();
  core::Status status;
  if (failed_.ok()) {
    lock.unlock();
    status = send_(job.offset, job.part);
    lock.lock();
  }
  if (failed_.ok()) {
    failed_ = std::move(status);
  }
  if (!job.memory.empty()) {
    free_.push_back(job.memory);
  }
  --on_their_way_;
  any_ended_ = true;
  last_end_ = clock_.Now();
  clock_.NotifyAll(part_ended_);
}

}  // namespace stoker::storage::internal
