#pragma once

// When blocks are read next, by the order that the job has told.

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "cache/eviction.h"
#include "storage/read_order.h"

namespace stoker::cache::internal {

// Points of the order as one number, for Policy::kBelady: the same for all
// processes of a job, and coarser where there are more than 32 bits hold.
struct Uses {
  std::uint32_t now = kNeverAgain;
  std::uint32_t next = kNeverAgain;  // after now
};

// Without an order nothing is known: all is kNeverAgain. Safe for concurrent
// use; during BeginEpoch nobody is in OnRead.
class Foresight {
 public:
  // Once; `order` outlives this, and is at epoch 0.
  void SetOrder(storage::ReadOrder& order);
  // Takes the mutex.
  void BeginEpoch(std::uint32_t epoch);
  bool has_order() const { return plan() != nullptr; }

  // Of an object, for OnRead; ReadOrder::kNone where it is not in the order.
  std::uint64_t NumberOf(std::string_view object_name) const {
    return has_order() ? plan()->NumberOf(object_name)
                       : storage::ReadOrder::kNone;
  }
  // This process reads the object now. Neither locks nor allocates.
  Uses OnRead(std::uint64_t number);

  // Whether this process has read anything in an epoch: before, the store is
  // left to whoever is first.
  bool has_read() const { return has_read_.load(std::memory_order_relaxed); }
  // As far as this process has read; epoch 0 before the first.
  storage::ReadPoint reader() const {
    return {.epoch = epoch_.load(std::memory_order_relaxed),
            .position = position_.load(std::memory_order_relaxed)};
  }
  std::uint32_t UseAt(storage::ReadPoint point) const;

  // With has_order(). Whoever asks it for points without reading himself holds
  // the mutex.
  const storage::ReadOrder& order() const { return *plan(); }
  std::mutex& mutex() { return mutex_; }

 private:
  storage::ReadOrder* plan() const {
    return order_.load(std::memory_order_acquire);
  }

  std::atomic<storage::ReadOrder*> order_ = nullptr;
  std::uint32_t shift_ = 0;
  std::atomic<std::uint32_t> epoch_ = 0;
  std::atomic<std::uint64_t> position_ = 0;  // the latest one read
  std::atomic<bool> has_read_ = false;
  std::mutex mutex_;  // guards the order against BeginEpoch
};

}  // namespace stoker::cache::internal
