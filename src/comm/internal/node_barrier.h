#pragma once

// The barrier of the ranks of one host, in memory they share. It waits on a
// futex, so that waiting costs no CPU however many ranks share a core.

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"

namespace stoker::comm::internal {

// When a wait ends without success. `what` names the collective in messages.
struct WaitLimits {
  std::string_view what;
  core::TimePoint deadline;        // of core::SystemClock
  const core::CancelFlag* cancel;  // may be null
};

// One rank's view. A barrier is Arrive, then AwaitRelease; whoever arrives last
// works out the largest of the values brought and releases the others. With
// several hosts (`release_by_leader`) local rank 0, after Arrive, instead calls
// AwaitAll, meets the other hosts and then calls Release with the largest of
// all. After a failed wait the barrier cannot be used again. One thread per
// rank; Abort from any.
class NodeBarrier {
 public:
  // Size of the shared memory for so many ranks, in bytes.
  static std::size_t Bytes(int ranks);
  // Makes zeroed memory ready, by one rank before any other call on it.
  static void Format(std::span<std::byte> memory, int ranks);

  // `memory`: of Bytes(ranks) at least, 64-byte aligned, formatted; outlives
  // this.
  NodeBarrier(std::span<std::byte> memory, int ranks, int local_rank,
              bool release_by_leader);

  // Tells the other ranks who this one is. All ranks do so, and are joined by
  // other means, before the first Arrive. `pid` is this process's.
  void Publish(int world_rank, pid_t pid);

  void Arrive(std::int64_t value);
  // The largest value of this host, with the world rank.
  core::Result<RankedValue> AwaitAll(const WaitLimits& limits) const;
  void Release(const RankedValue& largest);
  // The largest value of all.
  core::Result<RankedValue> AwaitRelease(const WaitLimits& limits) const;

  // Keeps `cause`, if it is the first, and wakes all who wait. The text is cut
  // at 4000 bytes.
  void Abort(std::string_view cause);

  // kUnavailable with the first cause after Abort, kCancelled when the flag is
  // set, kTimedOut past the deadline; ok otherwise.
  core::Status Interrupted(const WaitLimits& limits) const;
  // kUnavailable naming a rank of this host whose process has ended. Ranks in
  // another PID namespace cannot be seen and count as alive.
  core::Status CheckAlive() const;

 private:
  struct Control;
  struct Slot;

  core::Status Await(const std::atomic<std::uint32_t>& word,
                     const WaitLimits& limits) const;
  RankedValue LargestOfHost() const;
  core::Status CheckAwaited() const;
  bool IsGone(const Slot& slot) const;
  core::Status TimedOut(std::string_view what) const;

  Control* control_;
  std::span<Slot> slots_;  // by local rank
  int local_rank_;
  bool release_by_leader_;
  std::uint32_t sequence_ = 0;  // barriers begun; wraps
};

}  // namespace stoker::comm::internal
