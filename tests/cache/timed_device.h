#pragma once

// A device in memory that takes its time on a clock, and hangs when told to.

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/clock.h"
#include "core/pages.h"
#include "storage/block_device.h"

namespace stoker::testing {

// Bytes per second, in each direction by itself; one op after the other. Ops of
// a page at most take no time and never hang.
struct DeviceSpeed {
  double read = 1e9;
  double write = 1e9;
  bool shared = false;  // reads and writes take turns
  core::Nanos latency{};
};

// Safe for concurrent use. The bytes of an op move when it is answered, not
// before: as late as they can.
class TimedDevice final : public storage::BlockDevice {
 public:
  TimedDevice(std::uint64_t bytes, const DeviceSpeed& speed)
      : inner_(storage::MakeMemoryDevice(bytes)), speed_(speed) {}

  std::uint64_t size() const override { return inner_->size(); }
  bool direct() const override { return inner_->direct(); }
  core::Result<std::unique_ptr<storage::BlockQueue>> NewQueue(
      std::size_t depth, core::Clock& clock) override {
    STOKER_ASSIGN(std::unique_ptr<storage::BlockQueue> queue,
                  inner_->NewQueue(depth, clock));
    return std::unique_ptr<storage::BlockQueue>(
        std::make_unique<Queue>(std::move(queue), *this, clock));
  }
  core::Status Flush() override { return inner_->Flush(); }

  // What is asked from now on, at `from` or behind it, is not answered before
  // `until`.
  void Hang(storage::BlockOp::Kind kind, core::TimePoint until,
            std::uint64_t from = 0) {
    const std::scoped_lock lock(mutex_);
    hangs_until_[Number(kind)] = until;
    hangs_from_ = from;
  }
  // What the ops that have no answer still write to: the device does so.
  // Returns the bytes.
  std::uint64_t ScribbleOverUnanswered() {
    const std::scoped_lock lock(mutex_);
    std::uint64_t bytes = 0;
    for (const storage::BlockOp& op : unanswered_) {
      if (op.kind == storage::BlockOp::Kind::kRead) {
        std::memset(op.buffer.data(), 0xEE, op.buffer.size());
        bytes += op.buffer.size();
      }
    }
    return bytes;
  }
  std::uint64_t reads() const {
    const std::scoped_lock lock(mutex_);
    return reads_;
  }

 private:
  static std::size_t Number(storage::BlockOp::Kind kind) {
    return kind == storage::BlockOp::Kind::kRead ? 0 : 1;
  }

  class Queue final : public storage::BlockQueue {
   public:
    Queue(std::unique_ptr<storage::BlockQueue> inner, TimedDevice& device,
          core::Clock& clock)
        : inner_(std::move(inner)), device_(device), clock_(clock) {}
    ~Queue() override {
      for (const Held& held : held_) {
        STOKER_CHECK(held.due != core::kNever && "the end would never come");
        clock_.SleepUntil(held.due);
      }
    }
    std::size_t capacity() const override { return inner_->capacity(); }
    std::size_t in_flight() const override { return held_.size(); }
    core::Result<std::size_t> Submit(
        std::span<const storage::BlockOp> ops) override {
      const std::size_t taken = std::min(ops.size(), capacity() - held_.size());
      for (const storage::BlockOp& op : ops.first(taken)) {
        held_.push_back({.op = op, .due = device_.Take(op, clock_.Now())});
      }
      return taken;
    }
    core::Result<std::size_t> Reap(std::span<storage::BlockDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) override {
      std::size_t count = 0;
      while (true) {
        const core::TimePoint now = clock_.Now();
        core::TimePoint next = deadline;
        for (std::size_t i = 0; i < held_.size();) {
          if (held_[i].due <= now && count < done.size()) {
            CarryOut(held_[i].op, done[count++]);
            held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
          } else {
            next = std::min(next, held_[i++].due);
          }
        }
        std::unique_lock lock(waking_);
        if (std::exchange(woken_, false) ||
            count >= std::min(at_least, done.size()) || now >= deadline) {
          return count;
        }
        clock_.WaitUntil(changed_, lock, next);
      }
    }
    void Wake() override {
      const std::scoped_lock lock(waking_);
      woken_ = true;
      clock_.NotifyAll(changed_);
    }

   private:
    struct Held {
      storage::BlockOp op;
      core::TimePoint due;
    };

    void CarryOut(const storage::BlockOp& op, storage::BlockDone& done) {
      device_.Leave(op);
      STOKER_CHECK(inner_->Submit(std::span(&op, 1)).ok());
      STOKER_CHECK(inner_->Reap(std::span(&done, 1), 1, clock_.Now()).value() ==
                   1);
    }

    std::unique_ptr<storage::BlockQueue> inner_;
    TimedDevice& device_;
    core::Clock& clock_;
    std::vector<Held> held_;
    std::mutex waking_;  // guards woken_
    std::condition_variable changed_;
    bool woken_ = false;
  };

  core::TimePoint Take(const storage::BlockOp& op, core::TimePoint now) {
    const std::scoped_lock lock(mutex_);
    unanswered_.push_back(op);
    if (op.buffer.size() <= core::kPageBytes) {
      return now;
    }
    const std::size_t number = Number(op.kind);
    core::TimePoint& free = free_at_[speed_.shared ? 0 : number];
    free = std::max(free, now) +
           core::FromSeconds(static_cast<double>(op.buffer.size()) /
                             (number == 0 ? speed_.read : speed_.write));
    reads_ += number == 0 ? 1 : 0;
    const bool hangs = now < hangs_until_[number] && op.offset >= hangs_from_;
    return std::max(free + speed_.latency,
                    hangs ? hangs_until_[number] : core::TimePoint{});
  }
  void Leave(const storage::BlockOp& op) {
    const std::scoped_lock lock(mutex_);
    const auto found =
        std::ranges::find_if(unanswered_, [&op](const storage::BlockOp& other) {
          return other.buffer.data() == op.buffer.data() &&
                 other.tag == op.tag && other.kind == op.kind;
        });
    STOKER_CHECK(found != unanswered_.end());
    unanswered_.erase(found);
  }

  std::unique_ptr<storage::BlockDevice> inner_;
  const DeviceSpeed speed_;
  mutable std::mutex mutex_;  // guards what follows
  core::TimePoint free_at_[2]{};
  core::TimePoint hangs_until_[2]{core::TimePoint::min(),
                                  core::TimePoint::min()};
  std::uint64_t hangs_from_ = 0;
  std::vector<storage::BlockOp> unanswered_;
  std::uint64_t reads_ = 0;
};

}  // namespace stoker::testing
