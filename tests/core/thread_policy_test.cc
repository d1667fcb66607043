#include "core/thread_policy.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

namespace stoker::core {
namespace {

// What a new thread's policy is after `prefer`.
int PolicyAfter(void (*prefer)()) {
  int policy = -1;
  std::thread([&] {
    prefer();
    policy = ::sched_getscheduler(0);
  }).join();
  return policy;
}

TEST(PreferLongSlices, MakesTheCallingThreadABatchThread) {
  const int before = ::sched_getscheduler(0);
  EXPECT_EQ(PolicyAfter(PreferLongSlices), SCHED_BATCH);
  EXPECT_EQ(::sched_getscheduler(0), before);
}

TEST(PreferPromptWakeUps, KeepsThePolicy) {
  EXPECT_EQ(PolicyAfter(PreferPromptWakeUps), SCHED_OTHER);
}

TEST(PreferPromptWakeUps, LeavesAPolicyThatWasChosenAlone) {
  EXPECT_EQ(PolicyAfter([] {
              PreferLongSlices();
              PreferPromptWakeUps();
            }),
            SCHED_BATCH);
}

}  // namespace
}  // namespace stoker::core
