#include "core/clock.h"

#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <vector>

#include "core/check.h"

namespace stoker::core {

namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

timespec ToTimespec(TimePoint when) {
  const std::int64_t nanos =
      std::max<std::int64_t>(0, when.time_since_epoch().count());
  return {.tv_sec = static_cast<time_t>(nanos / kNanosPerSecond),
          .tv_nsec = static_cast<long>(  // NOLINT(google-runtime-int): POSIX
              nanos % kNanosPerSecond)};
}

// The kernel may delay a sleep by the thread's slack, 50 us by default.
void ReduceTimerSlack() {
  thread_local bool done = false;
  if (!done) {
    ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    done = true;
  }
}

}  // namespace

Nanos FromSeconds(double seconds) { return Nanos(std::llround(seconds * 1e9)); }

TimePoint SystemClock::Now() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return TimePoint(Nanos(now.tv_sec * kNanosPerSecond + now.tv_nsec));
}

void SystemClock::SleepUntil(TimePoint deadline) {
  ReduceTimerSlack();
  const timespec when = ToTimespec(deadline);
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, nullptr) ==
         EINTR) {
  }
}

void SystemClock::SpinUntil(TimePoint deadline) {
  while (Now() < deadline) {
    ::sched_yield();
  }
}

void PunctualSleeper::SleepUntil(TimePoint deadline) {
  constexpr Nanos kMost = std::chrono::microseconds(150);
  const TimePoint start = clock_.Now();
  if (start >= deadline) {
    return;
  }
  // Twice the mean: most sleeps are then over in time.
  const Nanos margin =
      std::max(Nanos{}, std::min({2 * late_, kMost, (deadline - start) / 25}));
  clock_.SleepUntil(deadline - margin);
  const TimePoint woke = clock_.Now();
  // A machine that was away for long says nothing about the next time.
  const Nanos late = std::min(woke - (deadline - margin), kMost);
  late_ += (late - late_) / 8;
  if (woke < deadline) {
    clock_.SpinUntil(deadline);
  }
}

bool SystemClock::WaitUntil(std::condition_variable& changed,
                            std::unique_lock<std::mutex>& lock,
                            TimePoint deadline) {
  ReduceTimerSlack();
  if (deadline == kNever) {
    changed.wait(lock);
    return true;
  }
  // libstdc++'s steady_clock is CLOCK_MONOTONIC, as Now() is.
  const std::chrono::steady_clock::time_point when(deadline.time_since_epoch());
  return changed.wait_until(lock, when) == std::cv_status::no_timeout;
}

void SystemClock::NotifyAll(std::condition_variable& changed) {
  changed.notify_all();
}

// --- VirtualClock ---------------------------------------------------------

namespace {

// One thread inside SleepUntil or WaitUntil.
struct Waiter {
  const std::condition_variable* changed;  // null: a plain sleep
  TimePoint deadline;
  bool released = false;
  bool notified = false;
  std::condition_variable wake{};
};

}  // namespace

struct VirtualClock::State {
  mutable std::mutex mutex;  // guards everything below
  TimePoint now{};
  std::size_t attached = 0;
  std::vector<Waiter*> waiting;

  void Release(Waiter& waiter, bool notified) {
    waiter.released = true;
    waiter.notified = notified;
    waiter.wake.notify_one();
  }

  // If nobody can run, lets time jump to the earliest deadline.
  void JumpIfAllWait() {
    if (waiting.empty() || waiting.size() < attached) {
      return;
    }
    TimePoint earliest = kNever;
    for (const Waiter* waiter : waiting) {
      earliest = std::min(earliest, waiter->deadline);
    }
    STOKER_CHECK(earliest != kNever && "virtual time: all threads wait");
    now = std::max(now, earliest);
    std::erase_if(waiting, [this](Waiter* waiter) {
      const bool due = waiter->deadline <= now;
      if (due) {
        Release(*waiter, false);
      }
      return due;
    });
  }

  // `user_lock`, if given, is released while waiting.
  bool Wait(const std::condition_variable* changed, TimePoint deadline,
            std::unique_lock<std::mutex>* user_lock) {
    std::unique_lock lock(mutex);
    if (deadline <= now) {
      return false;
    }
    Waiter self{.changed = changed, .deadline = deadline};
    waiting.push_back(&self);
    if (user_lock != nullptr) {
      user_lock->unlock();
    }
    JumpIfAllWait();
    self.wake.wait(lock, [&self] { return self.released; });
    lock.unlock();
    if (user_lock != nullptr) {
      user_lock->lock();
    }
    return self.notified;
  }
};

VirtualClock::VirtualClock() : state_(std::make_unique<State>()) {}
VirtualClock::~VirtualClock() = default;

TimePoint VirtualClock::Now() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->now;
}

void VirtualClock::SleepUntil(TimePoint deadline) {
  state_->Wait(nullptr, deadline, nullptr);
}

bool VirtualClock::WaitUntil(std::condition_variable& changed,
                             std::unique_lock<std::mutex>& lock,
                             TimePoint deadline) {
  return state_->Wait(&changed, deadline, &lock);
}

void VirtualClock::NotifyAll(std::condition_variable& changed) {
  const std::scoped_lock lock(state_->mutex);
  std::erase_if(state_->waiting, [this, &changed](Waiter* waiter) {
    const bool hit = waiter->changed == &changed;
    if (hit) {
      state_->Release(*waiter, true);
    }
    return hit;
  });
}

void VirtualClock::Attach() {
  const std::scoped_lock lock(state_->mutex);
  ++state_->attached;
}

void VirtualClock::Detach() {
  const std::scoped_lock lock(state_->mutex);
  STOKER_CHECK(state_->attached > 0);
  --state_->attached;
  state_->JumpIfAllWait();
}

// --- ClockedThread --------------------------------------------------------

struct ClockedThread::Handover {
  std::mutex mutex;  // guards the two
  bool finished = false;
  bool joining = false;
};

ClockedThread::ClockedThread(Clock& clock, std::function<void()> body)
    : clock_(&clock), handover_(std::make_unique<Handover>()) {
  clock.Attach();
  thread_ =
      std::thread([&clock, handover = handover_.get(), work = std::move(body)] {
        work();
        const std::scoped_lock lock(handover->mutex);
        handover->finished = true;
        // A joiner takes over this thread's place, so that time cannot jump
        // between the two.
        if (!handover->joining) {
          clock.Detach();
        }
      });
}

ClockedThread::ClockedThread() = default;
ClockedThread::~ClockedThread() { Join(); }

ClockedThread& ClockedThread::operator=(ClockedThread&& other) noexcept {
  Join();
  clock_ = other.clock_;
  handover_ = std::move(other.handover_);
  thread_ = std::move(other.thread_);
  return *this;
}

void ClockedThread::Join() {
  if (!thread_.joinable()) {
    return;
  }
  {
    const std::scoped_lock lock(handover_->mutex);
    if (!handover_->finished) {
      handover_->joining = true;
      clock_->Detach();
    }
  }
  thread_.join();
}

}  // namespace stoker::core
