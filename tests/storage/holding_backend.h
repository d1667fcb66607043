#pragma once

// Storage that keeps buffers of its callers, as a cache does whose device
// hangs.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/read_queue.h"
#include "storage/wrapper_backend.h"

namespace stoker::testing {

// Of callers that give up buffers it keeps that of one read in `every`, and
// fails the test if it is handed one of those again.
class HoldingBackend final : public storage::WrapperBackend {
 public:
  HoldingBackend(std::unique_ptr<storage::Backend> inner, std::uint64_t every)
      : WrapperBackend(std::move(inner)), every_(every) {}

  std::string_view scheme() const override { return inner().scheme(); }
  std::string uri() const override { return inner().uri(); }
  core::Result<std::unique_ptr<storage::ReadQueue>> NewReadQueue(
      const storage::QueueOptions& options, core::Clock& clock) override {
    STOKER_ASSIGN(std::unique_ptr<storage::ReadQueue> queue,
                  inner().NewReadQueue(options, clock));
    if (!options.gives_up_buffers) {
      return queue;
    }
    return std::unique_ptr<storage::ReadQueue>(
        std::make_unique<Queue>(std::move(queue), *this, clock));
  }
  // Writes over all it keeps, and forgets about it; how many buffers that are.
  std::size_t Scribble() {
    const std::scoped_lock lock(mutex_);
    for (const std::span<std::byte> buffer : held_) {
      std::memset(buffer.data(), 0xEE, buffer.size());
    }
    return std::exchange(held_, {}).size();
  }

 private:
  class Queue final : public storage::ReadQueue {
   public:
    Queue(std::unique_ptr<storage::ReadQueue> inner, HoldingBackend& backend,
          core::Clock& clock)
        : ReadQueue(inner->limits(), clock),
          inner_(std::move(inner)),
          backend_(backend),
          buffers_(limits().capacity) {}
    void Wake() override { inner_->Wake(); }
    std::string_view engine() const override { return inner_->engine(); }

   private:
    core::Result<std::size_t> DoSubmit(
        std::span<const storage::ReadOp> ops) override {
      for (const storage::ReadOp& op : ops) {
        backend_.CheckFree(op.buffer);
        buffers_[op.tag] = op.buffer;
      }
      return inner_->Submit(ops);
    }
    core::Result<std::size_t> DoReap(std::span<storage::ReadDone> done,
                                     std::size_t at_least,
                                     core::TimePoint deadline) override {
      STOKER_ASSIGN(const std::size_t count,
                    inner_->Reap(done, at_least, deadline));
      for (storage::ReadDone& one : done.first(count)) {
        one.buffer_held = one.kind == storage::ReadOp::Kind::kRead &&
                          backend_.Keeps(buffers_[one.tag]);
      }
      return count;
    }

    std::unique_ptr<storage::ReadQueue> inner_;
    HoldingBackend& backend_;
    std::vector<std::span<std::byte>> buffers_;  // by tag
  };

  void CheckFree(std::span<std::byte> buffer) {
    const std::scoped_lock lock(mutex_);
    for (const std::span<std::byte> held : held_) {
      EXPECT_TRUE(buffer.data() >= held.data() + held.size() ||
                  held.data() >= buffer.data() + buffer.size())
          << "a buffer that is held is read into";
    }
  }
  bool Keeps(std::span<std::byte> buffer) {
    const std::scoped_lock lock(mutex_);
    if (buffer.empty() || ++reads_ % every_ != 0) {
      return false;
    }
    held_.push_back(buffer);
    return true;
  }

  const std::uint64_t every_;
  std::mutex mutex_;  // guards what follows
  std::uint64_t reads_ = 0;
  std::vector<std::span<std::byte>> held_;
};

}  // namespace stoker::testing
