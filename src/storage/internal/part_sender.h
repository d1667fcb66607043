#pragma once

// Sends the parts of a stream in threads of its own.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/internal/part_memory.h"

namespace stoker::storage::internal {

// Also owns the parts' memory: what was used last is given out first, while it
// is still in a cache. Memory is taken and threads are started when they are
// needed first. Every call comes from one thread, the owner, which takes part
// in the clock's time; waits last as long as the storage takes. After an error
// nothing more is sent, and Take, Send and Drain return the first one.
class PartSender {
 public:
  // Runs in the sender's threads, for several parts at once if those are many.
  using SendPart = std::function<core::Status(std::uint64_t offset,
                                              std::span<const std::byte> part)>;
  struct Setup {
    std::size_t parts = 2;      // how many there is memory for, at least 2
    std::size_t part_size = 0;  // bytes of one
    std::size_t threads = 1;    // at least 1
  };

  PartSender(const Setup& setup, std::shared_ptr<PartPool> pool,
             core::Clock& clock, SendPart send);
  // Waits for the parts whose sending has begun, drops the others.
  ~PartSender();
  PartSender(const PartSender&) = delete;
  PartSender& operator=(const PartSender&) = delete;

  // Memory of a part that is not in use; waits for one.
  core::Result<std::span<std::byte>> Take();
  // Hands over what Take gave last, or memory of the caller's that stays as it
  // is until Drain. kUnavailable: no thread could be started.
  core::Status Send(std::uint64_t offset, std::span<const std::byte> part);
  // Waits until all is sent.
  core::Status Drain();

  bool started() const { return !threads_.empty(); }
  // After Drain: the owner waited, no part was on its way although one had been
  // and one was to come, and when the last one had arrived (started()).
  core::Nanos waited() const { return waited_; }
  core::Nanos idle() const { return idle_; }
  core::TimePoint last_end() const { return last_end_; }

 private:
  struct Job {
    std::uint64_t offset = 0;
    std::span<const std::byte> part;
    std::span<std::byte> memory;  // to be used again; empty: the caller's
  };

  core::Status Start();
  void Work();
  // `lock` holds mutex_, which it gives up meanwhile.
  void SendOne(std::unique_lock<std::mutex>& lock);
  template <class Reached>
  void WaitUntil(std::unique_lock<std::mutex>& lock, Reached reached);

  const Setup setup_;
  const std::shared_ptr<PartPool> pool_;
  core::Clock& clock_;
  const SendPart send_;

  // The owner's.
  std::vector<core::AlignedBuffer> memory_;
  std::span<std::byte> taken_;
  core::Nanos waited_{};
  std::deque<core::ClockedThread> threads_;

  std::mutex mutex_;  // guards all that follows
  std::condition_variable work_arrived_;
  std::condition_variable part_ended_;
  std::vector<std::span<std::byte>> free_;  // of memory_, the last used at back
  std::deque<Job> jobs_;                    // not yet begun
  std::size_t on_their_way_ = 0;            // begun or not
  core::Nanos idle_{};
  bool any_ended_ = false;
  core::TimePoint last_end_{};  // of one that has ended
  core::Status failed_;         // the first error
  bool ending_ = false;
};

}  // namespace stoker::storage::internal
