// What only ranks in virtual time can show exactly: when waits end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "core/clock.h"

namespace stoker::comm {
namespace {

using core::CancelFlag;
using core::Code;
using core::Nanos;
using core::Status;
using core::TimePoint;
using core::VirtualClock;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(MakeThreads, BarrierEndsWhenTheLastRankArrives) {
  // Rank r works for r seconds: all leave at 3 s, whatever the slices of the
  // cancel flag are.
  VirtualClock clock;
  const CancelFlag cancel;
  RunThreads(4, clock, &cancel, [&](Communicator& comm) {
    clock.SleepUntil(TimePoint(seconds(comm.rank())));
    EXPECT_TRUE(comm.Barrier(kCollectiveTimeout).ok());
    EXPECT_EQ(clock.Now(), TimePoint(seconds(3)));
  });
}

TEST(MakeThreads, BarrierTimesOutAtItsDeadlineAndNamesTheMissing) {
  VirtualClock clock;
  RunThreads(3, clock, nullptr, [&](Communicator& comm) {
    if (comm.rank() == 1) {
      clock.SleepUntil(TimePoint(seconds(60)));
      return;
    }
    const Status status = comm.Barrier(milliseconds(2500));
    EXPECT_EQ(status.code(), Code::kTimedOut);
    EXPECT_THAT(std::string(status.message()), HasSubstr("is rank 1"));
    EXPECT_EQ(clock.Now(), TimePoint(milliseconds(2500)));
  });
}

TEST(MakeThreads, TheOtherCollectivesTimeOutToo) {
  VirtualClock clock;
  RunThreads(2, clock, nullptr, [&](Communicator& comm) {
    if (comm.rank() == 0) {
      clock.SleepUntil(TimePoint(2 * kCollectiveTimeout));
      return;
    }
    Bytes data;
    EXPECT_EQ(comm.Broadcast(data, 0).code(), Code::kTimedOut);
    EXPECT_EQ(clock.Now(), TimePoint(kCollectiveTimeout));
  });
}

TEST(MakeThreads, AFailureIsFinalForThatRank) {
  VirtualClock clock;
  RunThreads(2, clock, nullptr, [&](Communicator& comm) {
    if (comm.rank() == 1) {
      clock.SleepUntil(TimePoint(seconds(5)));
      return;
    }
    const Status first = comm.Barrier(seconds(1));
    const Status second = comm.Barrier(kCollectiveTimeout);
    EXPECT_EQ(second.message(), first.message());
    EXPECT_EQ(clock.Now(), TimePoint(seconds(1)));
  });
}

TEST(MakeThreads, AbortWakesAWaitingBarrierAtOnce) {
  VirtualClock clock;
  RunThreads(4, clock, nullptr, [&](Communicator& comm) {
    if (comm.rank() == 2) {
      clock.SleepUntil(TimePoint(milliseconds(1234)));
      comm.Abort(Status(Code::kNotFound, "no such file"));
      return;
    }
    const Status status = comm.Barrier(kCollectiveTimeout);
    EXPECT_EQ(status.code(), Code::kUnavailable);
    EXPECT_EQ(status.message(), "rank 2: no such file");
    EXPECT_EQ(clock.Now(), TimePoint(milliseconds(1234)));
  });
}

TEST(MakeThreads, CancelEndsAWaitingBarrierWithinASlice) {
  // The flag is set at 1.1 s; waiters look at multiples of 200 ms.
  VirtualClock clock;
  CancelFlag cancel;
  RunThreads(3, clock, &cancel, [&](Communicator& comm) {
    if (comm.rank() == 0) {
      clock.SleepUntil(TimePoint(milliseconds(1100)));
      cancel.Set();
      clock.SleepUntil(TimePoint(seconds(9)));
      return;
    }
    EXPECT_EQ(comm.Barrier(kCollectiveTimeout).code(), Code::kCancelled);
    EXPECT_EQ(clock.Now(), TimePoint(milliseconds(1200)));
  });
}

TEST(MakeThreads, ARankThatEndsIsNotWaitedFor) {
  VirtualClock clock;
  RunThreads(3, clock, nullptr, [&](Communicator& comm) {
    if (comm.rank() == 1) {
      clock.SleepUntil(TimePoint(seconds(1)));
      return;
    }
    const Status status = comm.Barrier(kCollectiveTimeout);
    EXPECT_EQ(status.code(), Code::kUnavailable);
    EXPECT_EQ(status.message(), "barrier: rank 1 is gone");
    EXPECT_EQ(clock.Now(), TimePoint(seconds(1)));
  });
}

TEST(MakeThreads, RanksMayEndRightAfterTheLastBarrier) {
  for (int round = 0; round < 20; ++round) {
    core::SystemClock clock;
    RunThreads(4, clock, nullptr, [](Communicator& comm) {
      EXPECT_TRUE(comm.Barrier(kCollectiveTimeout).ok());
    });
  }
}

TEST(MakeThreads, RanksFillTheNodesInOrder) {
  // 7 ranks, 3 per node: nodes of 3, 3 and 1.
  VirtualClock clock;
  const auto ranks = MakeThreads(7, clock, nullptr, 3);
  EXPECT_EQ(ranks[5]->node(), 1);
  EXPECT_EQ(ranks[5]->local_rank(), 2);
  EXPECT_EQ(ranks[5]->local_size(), 3);
  EXPECT_EQ(ranks[6]->node(), 2);
  EXPECT_EQ(ranks[6]->local_rank(), 0);
  EXPECT_EQ(ranks[6]->local_size(), 1);
  EXPECT_EQ(ranks[0]->node_count(), 3);
}

TEST(MakeThreads, ZeroRanksPerNodeMeansOneNode) {
  VirtualClock clock;
  const auto ranks = MakeThreads(5, clock, nullptr);
  EXPECT_EQ(ranks[4]->node(), 0);
  EXPECT_EQ(ranks[4]->node_count(), 1);
  EXPECT_EQ(ranks[4]->local_rank(), 4);
  EXPECT_EQ(ranks[4]->local_size(), 5);
}

TEST(MakeThreadsDeathTest, DifferentCallsAtTheSameTimeAreABug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        VirtualClock clock;
        const auto ranks = MakeThreads(2, clock, nullptr);
        static_cast<void>(ranks[0]->Barrier(Nanos(0)));
        static_cast<void>(ranks[1]->Gather({}, 0));
      },
      "same collective calls");
}

TEST(RunThreads, TimeStandsStillUntilAllRanksRun) {
  // Were a rank able to wait before the others exist, time would reach its
  // deadline alone.
  for (int round = 0; round < 20; ++round) {
    VirtualClock clock;
    RunThreads(8, clock, nullptr, [&](Communicator& comm) {
      EXPECT_EQ(clock.Now(), TimePoint{});
      EXPECT_TRUE(comm.Barrier(Nanos(1)).ok());
    });
  }
}

TEST(RunThreads, ReturnsWhenAllRanksEnded) {
  VirtualClock clock;
  std::atomic<int> ended = 0;
  RunThreads(5, clock, nullptr, [&](Communicator& comm) {
    clock.SleepUntil(TimePoint(seconds(comm.rank())));
    ++ended;
  });
  EXPECT_EQ(ended.load(), 5);
  EXPECT_EQ(clock.Now(), TimePoint(seconds(4)));
}

}  // namespace
}  // namespace stoker::comm
