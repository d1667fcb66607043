#include "emulator/accelerator.h"

#include <gtest/gtest.h>

#include "core/clock.h"

namespace stoker::emulator {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

class AcceleratorTest : public ::testing::Test {
 protected:
  void SetUp() override { clock_.Attach(); }
  void TearDown() override { clock_.Detach(); }
  Accelerator Computing(double time) {
    const TimeModel model{.kind = TimeModel::Kind::kConstant, .a = time};
    return {TimeSource(model, 1), clock_, cancel_};
  }

  core::VirtualClock clock_;
  core::CancelFlag cancel_;
};

TEST_F(AcceleratorTest, TakesTheTimeAskedForWithoutOvershoot) {
  Accelerator accelerator = Computing(0.323);
  const ComputeTime time = accelerator.Compute();
  EXPECT_EQ(time.taken, milliseconds(323));
  EXPECT_EQ(time.overshoot, core::Nanos{});
  EXPECT_EQ(clock_.Now().time_since_epoch(), milliseconds(323));
}

TEST_F(AcceleratorTest, SettlesAfterAPartOfTheTimeTwoMillisecondsAtMost) {
  const auto settled_at = [this](double time, Meanwhile when) {
    const core::TimePoint start = clock_.Now();
    core::TimePoint at{};
    EXPECT_EQ(Computing(time).Compute([&] { at = clock_.Now(); }, when).taken,
              core::FromSeconds(time));
    return at - start;
  };
  EXPECT_EQ(settled_at(0.025, Meanwhile::kSettled), microseconds(1000));  // 4 %
  EXPECT_EQ(settled_at(0.323, Meanwhile::kSettled), microseconds(2000));
  EXPECT_EQ(settled_at(0.0035, Meanwhile::kSettled), microseconds(140));
  // 28 us are too few.
  EXPECT_EQ(settled_at(0.0007, Meanwhile::kSettled), microseconds(0));
  EXPECT_EQ(settled_at(0.323, Meanwhile::kAtOnce), microseconds(0));
}

TEST_F(AcceleratorTest, DoesNotCountWhatOtherWorkTakesBeyondTheDeadline) {
  const auto meanwhile = [this] {
    clock_.SleepUntil(clock_.Now() + milliseconds(30));
  };
  const core::TimePoint start = clock_.Now();
  const ComputeTime time = Computing(0.01).Compute(meanwhile);
  EXPECT_EQ(clock_.Now() - start, milliseconds(30));
  EXPECT_EQ(time.taken, milliseconds(10));
  EXPECT_EQ(time.overshoot, core::Nanos{});
}

TEST_F(AcceleratorTest, TakesNoTimeWithoutComputation) {
  Accelerator accelerator{TimeSource(), clock_, cancel_};
  EXPECT_EQ(accelerator.Compute().taken, core::Nanos{});
}

TEST_F(AcceleratorTest, LeavesALongComputationSoonAfterTheRunIsStopped) {
  core::ClockedThread stopper(clock_, [&] {
    clock_.SleepUntil(core::TimePoint(seconds(3)));
    cancel_.Set();
  });
  Accelerator accelerator = Computing(3600);
  const ComputeTime time = accelerator.Compute();
  EXPECT_GE(time.taken, seconds(3));
  EXPECT_LE(time.taken, milliseconds(3000 + core::kCancelPollMillis));
  EXPECT_EQ(time.overshoot, core::Nanos{});
}

TEST_F(AcceleratorTest, FollowsTheDistribution) {
  const TimeModel model{.kind = TimeModel::Kind::kUniform, .a = 1, .b = 2};
  Accelerator accelerator{TimeSource(model, 5), clock_, cancel_};
  TimeSource same(model, 5);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(accelerator.Compute().taken, same.Next());
  }
}

// A clock whose sleeps end late.
class LateClock final : public core::Clock {
 public:
  core::TimePoint Now() const override { return now_; }
  void SleepUntil(core::TimePoint deadline) override {
    now_ = deadline + std::chrono::microseconds(70);
  }
  void SpinUntil(core::TimePoint deadline) override { now_ = deadline; }
  bool WaitUntil(std::condition_variable&, std::unique_lock<std::mutex>&,
                 core::TimePoint) override {
    return false;
  }
  void NotifyAll(std::condition_variable&) override {}
  void Attach() override {}
  void Detach() override {}

 private:
  core::TimePoint now_{};
};

TEST(Accelerator, BooksWhatASleepTakesTooLong) {
  LateClock clock;
  const core::CancelFlag cancel;
  const TimeModel model{.kind = TimeModel::Kind::kConstant, .a = 0.0035};
  Accelerator accelerator(TimeSource(model, 1), clock, cancel);
  const ComputeTime first = accelerator.Compute();
  EXPECT_EQ(first.taken, std::chrono::microseconds(3570));
  EXPECT_EQ(first.overshoot, std::chrono::microseconds(70));
  // Once it is known how late sleeps end they begin to end earlier, and what is
  // left is waited for awake.
  ComputeTime later;
  for (int step = 0; step < 30; ++step) {
    later = accelerator.Compute();
  }
  EXPECT_EQ(later.taken, std::chrono::microseconds(3500));
  EXPECT_EQ(later.overshoot, core::Nanos{});
}

}  // namespace
}  // namespace stoker::emulator
