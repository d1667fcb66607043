#include "core/clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace stoker::core {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

constexpr int kRounds = 200;  // of tests whose failure would be a race

TimePoint At(Nanos since_start) { return TimePoint(since_start); }

// The calling thread takes part in the clock's time for its lifetime.
class Attached {
 public:
  explicit Attached(Clock& clock) : clock_(clock) { clock_.Attach(); }
  ~Attached() { clock_.Detach(); }
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;

 private:
  Clock& clock_;
};

TEST(FromSeconds, RoundsToTheNanosecond) {
  EXPECT_EQ(FromSeconds(0.323), Nanos(323'000'000));
  EXPECT_EQ(FromSeconds(0.6e-9), Nanos(1));
  EXPECT_EQ(FromSeconds(-1.5), Nanos(-1'500'000'000));
  EXPECT_DOUBLE_EQ(Seconds(milliseconds(1500)), 1.5);
}

TEST(VirtualClock, StartsAtZeroAndSleepsExactly) {
  VirtualClock clock;
  const Attached self(clock);
  EXPECT_EQ(clock.Now(), At(Nanos(0)));
  clock.SleepUntil(At(Nanos(123'456'789)));
  EXPECT_EQ(clock.Now(), At(Nanos(123'456'789)));
}

TEST(VirtualClock, APassedDeadlineDoesNotWait) {
  VirtualClock clock;
  const Attached self(clock);
  clock.SleepUntil(At(seconds(5)));
  clock.SleepUntil(At(seconds(3)));
  EXPECT_EQ(clock.Now(), At(seconds(5)));
  std::mutex mutex;
  std::condition_variable changed;
  std::unique_lock lock(mutex);
  EXPECT_FALSE(clock.WaitUntil(changed, lock, At(seconds(5))));
  EXPECT_TRUE(lock.owns_lock());
}

TEST(VirtualClock, JumpsFromDeadlineToDeadlineInOrder) {
  VirtualClock clock;
  clock.Attach();
  std::mutex mutex;
  std::vector<std::pair<int, TimePoint>> woken;
  std::vector<std::unique_ptr<ClockedThread>> threads;
  for (const int delay : {30, 10, 20}) {
    threads.push_back(std::make_unique<ClockedThread>(clock, [&, delay] {
      clock.SleepUntil(At(seconds(delay)));
      const std::scoped_lock lock(mutex);
      woken.emplace_back(delay, clock.Now());
    }));
  }
  for (const auto& thread : threads) {
    thread->Join();
  }
  clock.Detach();
  EXPECT_THAT(woken, ElementsAre(std::pair(10, At(seconds(10))),
                                 std::pair(20, At(seconds(20))),
                                 std::pair(30, At(seconds(30)))));
}

TEST(VirtualClock, EqualDeadlinesWakeTogether) {
  VirtualClock clock;
  const Attached self(clock);
  ClockedThread other(clock, [&clock] {
    clock.SleepUntil(At(seconds(7)));
    EXPECT_EQ(clock.Now(), At(seconds(7)));
  });
  clock.SleepUntil(At(seconds(7)));
  EXPECT_EQ(clock.Now(), At(seconds(7)));
}

TEST(VirtualClock, TimeStandsStillWhileAThreadRuns) {
  // The main thread runs: the other's deadline cannot come.
  VirtualClock clock;
  const Attached self(clock);
  ClockedThread sleeper(clock, [&clock] { clock.SleepUntil(At(seconds(1))); });
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(clock.Now(), At(seconds(0)));
    std::this_thread::yield();
  }
}

TEST(VirtualClock, WaitEndsAtItsDeadlineWithoutANotification) {
  VirtualClock clock;
  const Attached self(clock);
  std::mutex mutex;
  std::condition_variable changed;
  std::unique_lock lock(mutex);
  EXPECT_FALSE(clock.WaitUntil(changed, lock, At(seconds(2))));
  EXPECT_EQ(clock.Now(), At(seconds(2)));
}

TEST(VirtualClock, ANotificationEndsTheWaitAtItsOwnTime) {
  for (int round = 0; round < kRounds; ++round) {
    VirtualClock clock;
    const Attached self(clock);
    std::mutex mutex;
    std::condition_variable changed;
    bool ready = false;
    ClockedThread notifier(clock, [&] {
      clock.SleepUntil(At(seconds(3)));
      const std::scoped_lock lock(mutex);
      ready = true;
      clock.NotifyAll(changed);
    });
    std::unique_lock lock(mutex);
    while (!ready) {
      ASSERT_TRUE(clock.WaitUntil(changed, lock, At(seconds(100))));
    }
    EXPECT_EQ(clock.Now(), At(seconds(3)));
  }
}

TEST(VirtualClock, ANotificationIsForItsOwnConditionOnly) {
  VirtualClock clock;
  const Attached self(clock);
  std::mutex mutex;
  std::condition_variable mine;
  std::condition_variable other;
  ClockedThread notifier(clock, [&] {
    clock.SleepUntil(At(seconds(1)));
    clock.NotifyAll(other);
  });
  std::unique_lock lock(mutex);
  EXPECT_FALSE(clock.WaitUntil(mine, lock, At(seconds(5))));
  EXPECT_EQ(clock.Now(), At(seconds(5)));
}

TEST(VirtualClock, ANotifiedThreadCountsAsRunningBeforeItWakes) {
  // The notifier goes to sleep at once. Time must not jump to its deadline
  // before the notified thread had its say.
  for (int round = 0; round < kRounds; ++round) {
    VirtualClock clock;
    const Attached self(clock);
    std::mutex mutex;
    std::condition_variable changed;
    bool ready = false;
    ClockedThread waiter(clock, [&] {
      std::unique_lock lock(mutex);
      while (!ready) {
        clock.WaitUntil(changed, lock, kNever);
      }
      EXPECT_EQ(clock.Now(), At(seconds(1)));
      clock.SleepUntil(At(seconds(2)));
      EXPECT_EQ(clock.Now(), At(seconds(2)));
    });
    clock.SleepUntil(At(seconds(1)));
    {
      const std::scoped_lock lock(mutex);
      ready = true;
    }
    clock.NotifyAll(changed);
    clock.SleepUntil(At(seconds(100)));
  }
}

TEST(VirtualClock, ADueThreadCountsAsRunningBeforeItWakes) {
  // Both are due at 1 s. Whichever sleeps on first must not carry time away
  // from the other.
  for (int round = 0; round < kRounds; ++round) {
    VirtualClock clock;
    const Attached self(clock);
    ClockedThread other(clock, [&clock] {
      clock.SleepUntil(At(seconds(1)));
      EXPECT_EQ(clock.Now(), At(seconds(1)));
    });
    clock.SleepUntil(At(seconds(1)));
    EXPECT_EQ(clock.Now(), At(seconds(1)));
    clock.SleepUntil(At(seconds(50)));
  }
}

TEST(VirtualClock, DetachLetsTheOthersGoOn) {
  VirtualClock clock;
  clock.Attach();
  ClockedThread sleeper(clock, [&clock] { clock.SleepUntil(At(seconds(9))); });
  clock.Attach();
  clock.SleepUntil(TimePoint{});
  clock.Detach();
  sleeper.Join();
  EXPECT_EQ(clock.Now(), At(seconds(9)));
  clock.Detach();
}

TEST(VirtualClockDeathTest, WaitingForeverAloneStopsTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        VirtualClock clock;
        clock.Attach();
        clock.SleepUntil(kNever);
      },
      "virtual time: all threads wait");
}

// One producer at a fixed interval, one consumer that computes after each
// item, as storage and accelerator do. Returns how long each item was waited
// for.
std::vector<Nanos> WaitsFor(Nanos storage, Nanos compute, int items) {
  VirtualClock clock;
  const Attached self(clock);
  std::mutex mutex;
  std::condition_variable changed;
  int produced = 0;
  ClockedThread producer(clock, [&] {
    for (int i = 0; i < items; ++i) {
      clock.SleepUntil(clock.Now() + storage);
      const std::scoped_lock lock(mutex);
      ++produced;
      clock.NotifyAll(changed);
    }
  });
  std::vector<Nanos> waits;
  for (int item = 1; item <= items; ++item) {
    const TimePoint asked = clock.Now();
    {
      std::unique_lock lock(mutex);
      while (produced < item) {
        clock.WaitUntil(changed, lock, kNever);
      }
    }
    waits.push_back(clock.Now() - asked);
    clock.SleepUntil(clock.Now() + compute);
  }
  return waits;
}

TEST(VirtualClock, FastStorageIsWaitedForOnce) {
  // Items come every 100 us and are worked on for 300 us.
  for (int round = 0; round < 20; ++round) {
    EXPECT_THAT(WaitsFor(microseconds(100), microseconds(300), 4),
                ElementsAre(microseconds(100), Nanos(0), Nanos(0), Nanos(0)));
  }
}

TEST(VirtualClock, SlowStorageIsWaitedForAtEachStep) {
  // Items come every 300 us; 100 us of each wait are hidden by the work.
  for (int round = 0; round < 20; ++round) {
    EXPECT_THAT(
        WaitsFor(microseconds(300), microseconds(100), 3),
        ElementsAre(microseconds(300), microseconds(200), microseconds(200)));
  }
}

TEST(ClockedThread, JoinReturnsAtTheTimeTheBodyEnded) {
  for (int round = 0; round < kRounds; ++round) {
    VirtualClock clock;
    const Attached self(clock);
    ClockedThread far(clock, [&clock] { clock.SleepUntil(At(seconds(100))); });
    ClockedThread near(clock, [&clock] { clock.SleepUntil(At(seconds(1))); });
    near.Join();
    // The joiner runs from the moment the body ended: no jump to 100 s.
    EXPECT_EQ(clock.Now(), At(seconds(1)));
    std::this_thread::yield();
    EXPECT_EQ(clock.Now(), At(seconds(1)));
  }
}

TEST(ClockedThread, JoinOfAnEndedThreadTakesNoTime) {
  for (int round = 0; round < kRounds; ++round) {
    VirtualClock clock;
    const Attached self(clock);
    ClockedThread far(clock, [&clock] { clock.SleepUntil(At(seconds(100))); });
    ClockedThread idle(clock, [] {});
    clock.SleepUntil(At(seconds(1)));
    idle.Join();
    idle.Join();
    EXPECT_EQ(clock.Now(), At(seconds(1)));
  }
}

TEST(ClockedThread, TheDestructorJoins) {
  VirtualClock clock;
  const Attached self(clock);
  {
    const ClockedThread thread(clock,
                               [&clock] { clock.SleepUntil(At(seconds(4))); });
  }
  EXPECT_EQ(clock.Now(), At(seconds(4)));
}

TEST(ClockedThread, AssignmentJoinsTheFormerOne) {
  VirtualClock clock;
  const Attached self(clock);
  ClockedThread thread;
  thread = ClockedThread(clock, [&clock] { clock.SleepUntil(At(seconds(2))); });
  thread = ClockedThread(clock, [&clock] { clock.SleepUntil(At(seconds(3))); });
  EXPECT_EQ(clock.Now(), At(seconds(2)));
  thread.Join();
  EXPECT_EQ(clock.Now(), At(seconds(3)));
}

TEST(ClockedThread, NestedThreadsShareTheTime) {
  for (int round = 0; round < kRounds; ++round) {
    VirtualClock clock;
    const Attached self(clock);
    ClockedThread outer(clock, [&clock] {
      ClockedThread inner(clock,
                          [&clock] { clock.SleepUntil(At(seconds(1))); });
      inner.Join();
      EXPECT_EQ(clock.Now(), At(seconds(1)));
      clock.SleepUntil(At(seconds(2)));
    });
    outer.Join();
    EXPECT_EQ(clock.Now(), At(seconds(2)));
  }
}

TEST(SystemClock, NeverWakesBeforeTheDeadline) {
  SystemClock clock;
  for (int i = 1; i <= 5; ++i) {
    const TimePoint deadline = clock.Now() + microseconds(100 * i);
    clock.SleepUntil(deadline);
    EXPECT_GE(clock.Now(), deadline);
  }
}

TEST(SystemClock, AWaitEndsAtItsDeadline) {
  SystemClock clock;
  std::mutex mutex;
  std::condition_variable changed;
  std::unique_lock lock(mutex);
  const TimePoint deadline = clock.Now() + microseconds(500);
  while (clock.WaitUntil(changed, lock, deadline)) {
  }
  EXPECT_GE(clock.Now(), deadline);
}

TEST(SystemClock, ANotificationEndsAWaitWithoutDeadline) {
  SystemClock clock;
  std::mutex mutex;
  std::condition_variable changed;
  bool ready = false;
  ClockedThread notifier(clock, [&] {
    const std::scoped_lock lock(mutex);
    ready = true;
    clock.NotifyAll(changed);
  });
  std::unique_lock lock(mutex);
  while (!ready) {
    clock.WaitUntil(changed, lock, kNever);
  }
  EXPECT_TRUE(ready);
}

// Whose sleeps end late by a fixed time, and spins on time.
class LateClock final : public Clock {
 public:
  explicit LateClock(Nanos late) : late_(late) {}
  TimePoint Now() const override { return now_; }
  void SleepUntil(TimePoint deadline) override {
    now_ = std::max(now_, deadline) + late_;
  }
  void SpinUntil(TimePoint deadline) override {
    spun += deadline - now_;
    now_ = deadline;
  }
  bool WaitUntil(std::condition_variable& /*changed*/,
                 std::unique_lock<std::mutex>& /*lock*/,
                 TimePoint /*deadline*/) override {
    return false;
  }
  void NotifyAll(std::condition_variable& /*changed*/) override {}
  void Attach() override {}
  void Detach() override {}

  Nanos spun{};

 private:
  Nanos late_;
  TimePoint now_{};
};

TEST(PunctualSleeper, SleepsEndOnTimeOnceLatenessIsKnown) {
  using std::chrono::microseconds;
  LateClock clock{microseconds(60)};
  PunctualSleeper sleeper(clock);
  TimePoint deadline{};
  for (int i = 0; i < 50; ++i) {
    deadline = clock.Now() + std::chrono::milliseconds(10);
    sleeper.SleepUntil(deadline);
  }
  EXPECT_EQ(clock.Now(), deadline);
  // It sleeps 120 us short, wakes 60 us later and spins for the rest.
  clock.spun = {};
  sleeper.SleepUntil(clock.Now() + std::chrono::milliseconds(10));
  EXPECT_LE(clock.spun, microseconds(60));
  EXPECT_GE(clock.spun, microseconds(50));
}

TEST(PunctualSleeper, HoldsTheCoreForFourPercentAtMost) {
  using std::chrono::microseconds;
  LateClock clock{microseconds(0)};
  PunctualSleeper sleeper(clock);
  LateClock late{microseconds(5000)};
  PunctualSleeper after(late);
  for (int i = 0; i < 50; ++i) {
    after.SleepUntil(late.Now() + std::chrono::milliseconds(1));
    sleeper.SleepUntil(clock.Now() + std::chrono::milliseconds(1));
  }
  EXPECT_EQ(clock.spun, Nanos(0));
  // 40 us before the deadline, 5 ms late.
  const TimePoint start = late.Now();
  after.SleepUntil(start + std::chrono::milliseconds(1));
  EXPECT_EQ(late.Now() - start, microseconds(5960));
}

}  // namespace
}  // namespace stoker::core
