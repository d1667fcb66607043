#pragma once

// What a queue of the cache and the fetcher say to each other.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "cache/eviction.h"
#include "cache/slot_entry.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/read_queue.h"

namespace stoker::cache::internal {

struct FetchReply {
  std::uint64_t tag = 0;
  core::Status status{};
  // The block has been fetched by another process: look again.
  bool look_again = false;
  std::uint64_t bytes = 0;  // delivered, or the size asked
  std::uint64_t from_memory = 0;
  std::uint64_t version = 0;
  core::TimePoint first_byte{};
};

// Written by the fetcher, emptied by the queue that owns it.
class Mailbox {
 public:
  // `capacity`: replies before they are taken, at most. `wake` makes the owner
  // look; from any thread.
  Mailbox(std::size_t capacity, std::function<void()> wake)
      : wake_(std::move(wake)) {
    replies_.reserve(capacity);
  }

  void Put(FetchReply reply) {
    const std::scoped_lock lock(mutex_);
    replies_.push_back(std::move(reply));
  }
  // Announces a Wake: the owner waits for it before it ends, as an answer may
  // be taken before its wake has come. Before the Put it belongs to.
  void PromiseWake() { wakes_due_.fetch_add(1, std::memory_order_relaxed); }
  // Once for each promise.
  void Wake() {
    wake_();
    wakes_due_.fetch_sub(1, std::memory_order_release);
  }
  bool all_woken() const {
    return wakes_due_.load(std::memory_order_acquire) == 0;
  }
  // Exchanges what has arrived for `empty`, which must be that.
  void Take(std::vector<FetchReply>& empty) {
    const std::scoped_lock lock(mutex_);
    replies_.swap(empty);
  }

 private:
  std::mutex mutex_;  // guards replies_
  std::vector<FetchReply> replies_;
  std::function<void()> wake_;
  std::atomic<std::uint32_t> wakes_due_ = 0;
};

// A part of a block, or the size and version of an object.
struct FetchRequest {
  storage::ReadOp::Kind kind = storage::ReadOp::Kind::kRead;
  storage::ObjectId object{};     // of the store behind
  Fingerprint key{};              // of the block
  std::uint64_t block_start = 0;  // bytes from the object's start
  std::uint32_t block_bytes = 0;
  std::uint32_t from = 0;      // the part wanted, from the block's start
  std::span<std::byte> out{};  // filled
  std::uint32_t next_use = kNeverAgain;  // of the block, for Policy::kBelady
  // Fetched for this one where it can be neither kept nor waited for.
  bool insists = false;
  // From the store, though the cache may have it; it is not put in again.
  bool past_cache = false;
  bool metered = false;  // DeviceMeter knows of it as a read of the store
  std::uint64_t tag = 0;
  Mailbox* reply = nullptr;
};

}  // namespace stoker::cache::internal
