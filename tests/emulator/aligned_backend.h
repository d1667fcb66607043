#pragma once

// Storage that wants what O_DIRECT wants: offsets, lengths and buffers in whole
// blocks. Says how it was opened.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "storage/backend.h"
#include "storage/read_queue.h"
#include "tests/emulator/scenario.h"

namespace stoker::emulator::testing {

inline constexpr std::uint32_t kBlock = 4096;

// Passes ops on to `inner` and refuses lengths that are no whole blocks.
class BlockQueue final : public storage::ReadQueue {
 public:
  BlockQueue(std::unique_ptr<storage::ReadQueue> inner, std::size_t depth,
             core::Clock& clock)
      : ReadQueue(
            {.offset_align = kBlock, .buffer_align = kBlock, .capacity = depth},
            clock),
        inner_(std::move(inner)) {}
  void Wake() override { inner_->Wake(); }

 private:
  core::Result<std::size_t> DoSubmit(
      std::span<const storage::ReadOp> ops) override {
    for (const storage::ReadOp& op : ops) {
      EXPECT_EQ(op.buffer.size() % kBlock, 0U);
    }
    return inner_->Submit(ops);
  }
  core::Result<std::size_t> DoReap(std::span<storage::ReadDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) override {
    return inner_->Reap(done, at_least, deadline);
  }

  std::unique_ptr<storage::ReadQueue> inner_;
};

// Only what a loader needs; the rest is for the back end behind it.
class BlockBackend final : public storage::Backend {
 public:
  explicit BlockBackend(storage::Backend& inner) : inner_(inner) {}
  std::vector<storage::Access> accesses;

  std::string_view scheme() const override { return inner_.scheme(); }
  std::string uri() const override { return inner_.uri(); }
  storage::Capabilities capabilities() const override {
    return inner_.capabilities();
  }
  core::Status List(
      std::string_view prefix,
      const std::function<bool(const storage::ObjectInfo&)>& visit) override {
    return inner_.List(prefix, visit);
  }
  storage::ObjectId Resolve(std::string_view name) override {
    return inner_.Resolve(name);
  }
  void Release(storage::ObjectId object) override { inner_.Release(object); }
  core::Result<std::unique_ptr<storage::ReadQueue>> NewReadQueue(
      const storage::QueueOptions& options, core::Clock& clock) override {
    accesses.push_back(options.access);
    STOKER_ASSIGN(auto queue,
                  inner_.NewReadQueue({.depth = options.depth}, clock));
    if (options.access != storage::Access::kDirect) {
      return queue;
    }
    return std::unique_ptr<storage::ReadQueue>(
        std::make_unique<BlockQueue>(std::move(queue), options.depth, clock));
  }
  core::Result<std::unique_ptr<storage::WriteStream>> Create(
      std::string_view name, const storage::WriteOptions& options,
      core::Clock& clock) override {
    return inner_.Create(name, options, clock);
  }
  core::Status EnsureFolder(std::string_view prefix) override {
    return inner_.EnsureFolder(prefix);
  }
  core::Status Link(std::string_view existing, std::string_view name) override {
    return inner_.Link(existing, name);
  }
  core::Status Remove(std::string_view name) override {
    return inner_.Remove(name);
  }
  core::Result<std::uint64_t> FreeBytes() override {
    return inner_.FreeBytes();
  }

 private:
  storage::Backend& inner_;
};

}  // namespace stoker::emulator::testing
