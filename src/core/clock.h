#pragma once

// Time as a dependency: whatever measures or waits is handed a Clock.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace stoker::core {

using Nanos = std::chrono::nanoseconds;

// Monotonic; the zero point is arbitrary.
struct RunTime {
  using rep = Nanos::rep;
  using period = Nanos::period;
  using duration = Nanos;
  using time_point = std::chrono::time_point<RunTime>;
  static constexpr bool is_steady = true;
};
using TimePoint = RunTime::time_point;

// A deadline that never comes.
inline constexpr TimePoint kNever = TimePoint::max();

// Seconds as a double, for reports.
inline double Seconds(Nanos duration) {
  return std::chrono::duration<double>(duration).count();
}
// From seconds, rounded to the nanosecond. `seconds` is finite and small
// enough for 63 bits of nanoseconds (292 years).
Nanos FromSeconds(double seconds);

// Safe for concurrent use.
class Clock {
 public:
  Clock() = default;
  virtual ~Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;

  virtual TimePoint Now() const = 0;
  // Returns no earlier than `deadline`; at once if it has passed.
  virtual void SleepUntil(TimePoint deadline) = 0;
  // As SleepUntil, for short waits: stays awake meanwhile, and so returns
  // within a microsecond of `deadline` unless others use the core.
  virtual void SpinUntil(TimePoint deadline) { SleepUntil(deadline); }
  // As condition_variable::wait_until: false once `deadline` has passed without
  // a notification; may wake without reason. The only way a thread waits for
  // another; the other must notify through NotifyAll.
  virtual bool WaitUntil(std::condition_variable& changed,
                         std::unique_lock<std::mutex>& lock,
                         TimePoint deadline) = 0;
  virtual void NotifyAll(std::condition_variable& changed) = 0;
  // A thread that takes part in the run, between the two. Attach is called
  // before the thread starts (by its creator, who is running); Detach by the
  // thread as its last act. Only virtual time cares.
  virtual void Attach() = 0;
  virtual void Detach() = 0;
};

// CLOCK_MONOTONIC with absolute-deadline sleeps. Sets the calling thread's
// timer slack to 1 ns at its first sleep.
class SystemClock final : public Clock {
 public:
  TimePoint Now() const override;
  void SleepUntil(TimePoint deadline) override;
  void SpinUntil(TimePoint deadline) override;
  bool WaitUntil(std::condition_variable& changed,
                 std::unique_lock<std::mutex>& lock,
                 TimePoint deadline) override;
  void NotifyAll(std::condition_variable& changed) override;
  void Attach() override {}
  void Detach() override {}
};

// Sleeps that end on time. The kernel wakes a thread late, on virtual machines
// by some 100 us: this sleeps for less, by twice what sleeps were late of
// late, and stays awake for the rest. Belongs to one thread.
class PunctualSleeper {
 public:
  // The clock outlives this.
  explicit PunctualSleeper(Clock& clock) : clock_(clock) {}
  // As Clock::SleepUntil. Stays awake for at most 150 us, or 4 % of the
  // sleep where that is less; the core is others' as soon as they want it.
  void SleepUntil(TimePoint deadline);

 private:
  Clock& clock_;
  Nanos
      late_{};  // mean of the last sleeps, the latest of them weighs an eighth
};

// Time that jumps: when every attached thread waits through the clock, it
// moves to the earliest deadline. Starts at 0 with no thread attached. If all
// wait and none has a deadline the run can never go on: the program stops with
// a message (a bug, or a test without a time-out).
class VirtualClock final : public Clock {
 public:
  VirtualClock();
  ~VirtualClock() override;
  TimePoint Now() const override;
  void SleepUntil(TimePoint deadline) override;
  bool WaitUntil(std::condition_variable& changed,
                 std::unique_lock<std::mutex>& lock,
                 TimePoint deadline) override;
  void NotifyAll(std::condition_variable& changed) override;
  void Attach() override;
  void Detach() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A thread that takes part in the clock's time. Join (and the destructor)
// waits for the body to return; the caller must be attached itself, and counts
// as waiting meanwhile.
class ClockedThread {
 public:
  ClockedThread();
  ClockedThread(Clock& clock, std::function<void()> body);
  ~ClockedThread();
  ClockedThread(ClockedThread&&) = delete;
  ClockedThread& operator=(ClockedThread&& other) noexcept;
  ClockedThread(const ClockedThread&) = delete;
  ClockedThread& operator=(const ClockedThread&) = delete;
  void Join();

 private:
  struct Handover;
  Clock* clock_ = nullptr;
  std::unique_ptr<Handover> handover_;
  std::thread thread_;
};

}  // namespace stoker::core
