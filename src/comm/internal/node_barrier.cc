#include "comm/internal/node_barrier.h"

#include <fmt/format.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "core/check.h"

namespace stoker::comm::internal {

namespace {

using Word = std::atomic<std::uint32_t>;
static_assert(Word::is_always_lock_free);
static_assert(sizeof(Word) == sizeof(std::uint32_t));

constexpr std::size_t kLine = 64;
constexpr std::size_t kCauseBytes = 4000;
constexpr core::Nanos kSlice =
    std::chrono::milliseconds(core::kCancelPollMillis);

// States of Control::abort.
constexpr std::uint32_t kRunning = 0;
constexpr std::uint32_t kCauseBeingWritten = 1;
constexpr std::uint32_t kAborted = 2;

// Without FUTEX_PRIVATE_FLAG: the word is shared by processes.
// False if `limit` passed without a wake.
bool FutexWait(const Word& word, std::uint32_t seen, core::Nanos limit) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(limit);
  const timespec relative{
      .tv_sec = static_cast<time_t>(seconds.count()),
      .tv_nsec = static_cast<long>(  // NOLINT(google-runtime-int): POSIX
          (limit - seconds).count())};
  const auto result =
      ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, &relative, nullptr, 0);
  return result == 0 || errno != ETIMEDOUT;
}

// Ranks that work in step arrive within microseconds of each other, less than
// it takes to fall asleep and be woken: so look for a moment first, leaving the
// core to whoever else wants it. True if `word` became `wanted`.
bool SpinBriefly(const Word& word, std::uint32_t wanted,
                 const core::SystemClock& clock) {
  constexpr core::Nanos kLongest = std::chrono::microseconds(50);
  const core::TimePoint end = clock.Now() + kLongest;
  do {
    if (word.load() == wanted) {
      return true;
    }
    ::sched_yield();
  } while (clock.Now() < end);
  return false;
}

void FutexWakeAll(const Word& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

// Process ids are comparable only within one PID namespace; 0 if unknown.
std::uint64_t PidNamespace() {
  struct stat info{};
  return ::stat("/proc/self/ns/pid", &info) == 0 ? info.st_ino : 0;
}

}  // namespace

struct NodeBarrier::Control {
  alignas(kLine) Word arrived{0};   // ranks in the present barrier
  alignas(kLine) Word complete{0};  // the last barrier all ranks arrived in
  RankedValue host_largest;         // of that; written before `complete`
  alignas(kLine) Word released{0};  // the last barrier ranks may leave
  RankedValue largest;              // of that; written before `released`
  alignas(kLine) Word abort{kRunning};
  std::uint32_t cause_bytes = 0;
  char cause[kCauseBytes] = {};  // written before abort becomes kAborted
};

struct NodeBarrier::Slot {
  alignas(kLine) Word arrived{0};  // the last barrier this rank arrived in
  std::int64_t value = 0;          // brought to it; written before `arrived`
  std::int32_t world_rank = -1;
  std::int32_t pid = 0;
  std::uint64_t pid_namespace = 0;
};

std::size_t NodeBarrier::Bytes(int ranks) {
  return sizeof(Control) + static_cast<std::size_t>(ranks) * sizeof(Slot);
}

void NodeBarrier::Format(std::span<std::byte> memory, int ranks) {
  STOKER_CHECK(memory.size() >= Bytes(ranks));
  auto* control = reinterpret_cast<Control*>(memory.data());
  std::construct_at(control);
  std::uninitialized_default_construct_n(
      reinterpret_cast<Slot*>(memory.data() + sizeof(Control)), ranks);
}

NodeBarrier::NodeBarrier(std::span<std::byte> memory, int ranks, int local_rank,
                         bool release_by_leader)
    : control_(std::launder(reinterpret_cast<Control*>(memory.data()))),
      slots_(std::launder(
                 reinterpret_cast<Slot*>(memory.data() + sizeof(Control))),
             static_cast<std::size_t>(ranks)),
      local_rank_(local_rank),
      release_by_leader_(release_by_leader) {
  STOKER_CHECK(memory.size() >= Bytes(ranks));
  STOKER_CHECK(reinterpret_cast<std::uintptr_t>(memory.data()) % kLine == 0);
  STOKER_CHECK(local_rank >= 0 && local_rank < ranks);
}

void NodeBarrier::Publish(int world_rank, pid_t pid) {
  Slot& mine = slots_[static_cast<std::size_t>(local_rank_)];
  mine.world_rank = world_rank;
  mine.pid = pid;
  mine.pid_namespace = PidNamespace();
}

void NodeBarrier::Arrive(std::int64_t value) {
  ++sequence_;
  Slot& mine = slots_[static_cast<std::size_t>(local_rank_)];
  mine.value = value;
  mine.arrived.store(sequence_);
  if (control_->arrived.fetch_add(1) + 1 < slots_.size()) {
    return;
  }
  // Nobody arrives in the next barrier before this one is released, so what is
  // not atomic here is not written while anybody reads it.
  control_->arrived.store(0);
  control_->host_largest = LargestOfHost();
  control_->complete.store(sequence_);
  if (release_by_leader_) {
    FutexWakeAll(control_->complete);
  } else {
    Release(control_->host_largest);
  }
}

RankedValue NodeBarrier::LargestOfHost() const {
  RankedValue largest{.value = slots_.front().value,
                      .rank = slots_.front().world_rank};
  for (const Slot& slot : slots_.subspan(1)) {
    largest = LargerOf(largest, {.value = slot.value, .rank = slot.world_rank});
  }
  return largest;
}

core::Result<RankedValue> NodeBarrier::AwaitAll(
    const WaitLimits& limits) const {
  STOKER_TRY(Await(control_->complete, limits));
  return control_->host_largest;
}

void NodeBarrier::Release(const RankedValue& largest) {
  control_->largest = largest;
  control_->released.store(sequence_);
  FutexWakeAll(control_->released);
}

core::Result<RankedValue> NodeBarrier::AwaitRelease(
    const WaitLimits& limits) const {
  STOKER_TRY(Await(control_->released, limits));
  return control_->largest;
}

core::Status NodeBarrier::Await(const Word& word,
                                const WaitLimits& limits) const {
  const core::SystemClock clock;
  while (true) {
    const std::uint32_t seen = word.load();
    if (seen == sequence_) {
      return {};
    }
    const core::Status interrupted = Interrupted(limits);
    if (!interrupted.ok()) {
      return word.load() == sequence_ ? core::Status{} : interrupted;
    }
    if (SpinBriefly(word, sequence_, clock)) {
      return {};
    }
    const core::Nanos left = limits.deadline - clock.Now();
    const core::Nanos slice = std::clamp(left, core::Nanos(0), kSlice);
    if (!FutexWait(word, seen, slice)) {
      const core::Status alive = CheckAwaited();
      // A rank may leave for good as soon as it is released.
      if (!alive.ok() && word.load() != sequence_) {
        return alive.WithContext(limits.what);
      }
    }
  }
}

void NodeBarrier::Abort(std::string_view cause) {
  std::uint32_t expected = kRunning;
  if (!control_->abort.compare_exchange_strong(expected, kCauseBeingWritten)) {
    return;
  }
  const std::size_t bytes = std::min(cause.size(), kCauseBytes);
  std::memcpy(control_->cause, cause.data(), bytes);
  control_->cause_bytes = static_cast<std::uint32_t>(bytes);
  control_->abort.store(kAborted);
  // A rank on its way into the wait misses this; it looks again after a slice.
  FutexWakeAll(control_->complete);
  FutexWakeAll(control_->released);
}

core::Status NodeBarrier::Interrupted(const WaitLimits& limits) const {
  if (control_->abort.load() == kAborted) {
    return {core::Code::kUnavailable,
            std::string(control_->cause, control_->cause_bytes)};
  }
  if (limits.cancel != nullptr && limits.cancel->IsSet()) {
    return {core::Code::kCancelled,
            fmt::format("{}: the run was asked to stop", limits.what)};
  }
  if (core::SystemClock().Now() >= limits.deadline) {
    return TimedOut(limits.what);
  }
  return {};
}

core::Status NodeBarrier::CheckAlive() const {
  for (const Slot& slot : slots_) {
    if (IsGone(slot)) {
      return {core::Code::kUnavailable, fmt::format("rank {} (pid {}) is gone",
                                                    slot.world_rank, slot.pid)};
    }
  }
  return {};
}

// Only ranks that this barrier still needs: those missing, and the leader.
core::Status NodeBarrier::CheckAwaited() const {
  for (const Slot& slot : slots_) {
    const bool awaited = slot.arrived.load() != sequence_ ||
                         (release_by_leader_ && &slot == &slots_.front());
    if (awaited && IsGone(slot)) {
      return {core::Code::kUnavailable, fmt::format("rank {} (pid {}) is gone",
                                                    slot.world_rank, slot.pid)};
    }
  }
  return {};
}

bool NodeBarrier::IsGone(const Slot& slot) const {
  const Slot& mine = slots_[static_cast<std::size_t>(local_rank_)];
  return slot.pid > 0 && slot.pid_namespace == mine.pid_namespace &&
         ::kill(slot.pid, 0) != 0 && errno == ESRCH;
}

core::Status NodeBarrier::TimedOut(std::string_view what) const {
  constexpr int kNamed = 8;
  std::string missing;
  int count = 0;
  for (const Slot& slot : slots_) {
    if (slot.arrived.load() != sequence_ && count++ < kNamed) {
      missing += fmt::format("{}{}", count == 1 ? "" : ", ", slot.world_rank);
    }
  }
  if (count == 0) {
    return {core::Code::kTimedOut,
            fmt::format("{}: all ranks of this host came, but not all others "
                        "did, or answered, in time",
                        what)};
  }
  return {core::Code::kTimedOut,
          fmt::format("{}: waited in vain for {} of the {} ranks of this host: "
                      "{}{}",
                      what, count, slots_.size(), missing,
                      count > kNamed ? ", ..." : "")};
}

}  // namespace stoker::comm::internal
