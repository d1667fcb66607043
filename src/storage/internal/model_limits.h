#pragma once

// What a simulated store can do at most, by all who use it together.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "core/clock.h"

namespace stoker::storage::internal {

// Of one host. Plain data: it lies in shared memory and is compared there.
struct ModelCaps {
  double bytes_per_second = 0;     // in each direction; 0: unlimited
  double requests_per_second = 0;  // 0: unlimited
  std::uint64_t concurrency = 0;   // ops in service at once; 0: unlimited
  // Each op in service has 1/concurrency of the bandwidth, used or not
  // ("servers"); else those whose bytes flow share it, first come first served.
  bool split = false;
  friend bool operator==(const ModelCaps&, const ModelCaps&) = default;
};

enum class Direction : std::uint8_t { kRead, kWrite };

// The times up to which a store's resources are taken: times, not counts, so
// that what a killed process held is free again once they have passed. All
// zeros is a store that nobody has used. In 1/16 ns but for the slots.
struct ModelTimes {
  alignas(64) std::atomic<std::int64_t> read_pipe;
  alignas(64) std::atomic<std::int64_t> write_pipe;
  alignas(64) std::atomic<std::int64_t> requests;
};
using ModelSlot = std::atomic<std::int64_t>;  // ns: free from then on
static_assert(std::atomic<std::int64_t>::is_always_lock_free,
              "the times are shared between processes");

// Virtual scheduling (GCRA without a burst allowance): whoever comes reserves
// the next piece of time of a resource. Safe for concurrent use, also by
// processes over the same memory; takes no lock, allocates nothing. Times of
// one clock only; those beyond 9 years of its zero point are one and the same.
class ModelLimits {
 public:
  // Caps of `caps` that are 0 need no memory; `slots` holds caps.concurrency.
  // The memory outlives this.
  ModelLimits(const ModelCaps& caps, ModelTimes& times,
              std::span<ModelSlot> slots)
      : caps_(caps), times_(times), slots_(slots) {}

  const ModelCaps& caps() const { return caps_; }

  // When a request that arrives at `at` is let in: no two of them closer than
  // 1/requests_per_second.
  core::TimePoint Admit(core::TimePoint at);

  // When bytes flow that could from `earliest` on: the store's bandwidth is
  // theirs alone from begin to end.
  struct Flow {
    core::TimePoint begin, end;
  };
  Flow Transfer(Direction direction, core::TimePoint earliest,
                std::uint64_t bytes);
  // What `bytes` take of the bandwidth, or of a server's part of it.
  core::Nanos TransferTime(std::uint64_t bytes) const;

  // A place among the ops in service, from `begin` until `until` unless it is
  // extended.
  struct Lease {
    std::size_t slot = 0;
    core::TimePoint begin{};
    core::TimePoint until{};
  };
  // For `hold`, from `arrived` or when the place became free, whichever is
  // later; nothing if none is free at `now`. caps().concurrency > 0, as below.
  std::optional<Lease> TryEnter(core::TimePoint arrived, core::TimePoint now,
                                core::Nanos hold);
  // As TryEnter, but reserves the place that is free first.
  Lease Enter(core::TimePoint arrived, core::Nanos hold);
  // No effect once the lease has ended and another op has the place.
  void Extend(Lease& lease, core::TimePoint until);
  // When the first place is free.
  core::TimePoint NextFree() const;

 private:
  std::size_t FirstFree() const;

  const ModelCaps caps_;
  ModelTimes& times_;
  const std::span<ModelSlot> slots_;
};

// The same in this process's own memory.
class OwnModelMemory {
 public:
  explicit OwnModelMemory(std::uint64_t slots)
      : slots_(std::make_unique<ModelSlot[]>(slots)), count_(slots) {}
  ModelTimes& times() { return times_; }
  std::span<ModelSlot> slots() { return {slots_.get(), count_}; }

 private:
  ModelTimes times_{};
  std::unique_ptr<ModelSlot[]> slots_;
  std::size_t count_;
};

}  // namespace stoker::storage::internal
