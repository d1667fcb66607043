#include "comm/internal/node_barrier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/check.h"

namespace stoker::comm::internal {
namespace {

using core::Code;
using ::testing::HasSubstr;

// The barriers of so many ranks, all in this process.
class Host {
 public:
  Host(int ranks, bool release_by_leader)
      : memory_(Allocate(NodeBarrier::Bytes(ranks))) {
    NodeBarrier::Format(memory_.bytes(), ranks);
    for (int rank = 0; rank < ranks; ++rank) {
      barriers_.emplace_back(memory_.bytes(), ranks, rank, release_by_leader);
      // World ranks 10, 11, …: not to be taken for local ones.
      barriers_.back().Publish(10 + rank, ::getpid());
    }
  }

  NodeBarrier& Rank(std::size_t rank) { return barriers_[rank]; }
  std::size_t size() const { return barriers_.size(); }

 private:
  static core::AlignedBuffer Allocate(std::size_t bytes) {
    auto buffer = core::AlignedBuffer::Make(bytes, false);
    STOKER_CHECK(buffer.ok());
    return std::move(buffer).value();
  }

  core::AlignedBuffer memory_;
  std::vector<NodeBarrier> barriers_;
};

WaitLimits NoLimit() { return {"barrier", core::kNever, nullptr}; }
WaitLimits Expired() { return {"barrier", core::TimePoint{}, nullptr}; }

// A process id that no process has.
pid_t DeadProcess() {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(0);
  }
  STOKER_CHECK(::waitpid(child, nullptr, 0) == child);
  return child;
}

TEST(NodeBarrier, TheLastToArriveReleasesAll) {
  constexpr int kRounds = 200;
  Host host(5, false);
  std::atomic<int> arrivals = 0;
  std::vector<std::jthread> threads;
  threads.reserve(host.size());
  for (std::size_t rank = 0; rank < host.size(); ++rank) {
    threads.emplace_back([&host, &arrivals, rank] {
      for (int round = 1; round <= kRounds; ++round) {
        ++arrivals;
        host.Rank(rank).Arrive(0);
        EXPECT_TRUE(host.Rank(rank).AwaitRelease(NoLimit()).ok());
        EXPECT_GE(arrivals.load(), round * 5);
      }
    });
  }
}

TEST(NodeBarrier, WithALeaderNobodyLeavesBeforeItSaysSo) {
  constexpr int kRounds = 200;
  Host host(3, true);
  std::atomic<int> meetings = 0;  // of the leader with other hosts
  std::vector<std::jthread> threads;
  threads.reserve(host.size());
  for (std::size_t rank = 0; rank < host.size(); ++rank) {
    threads.emplace_back([&host, &meetings, rank] {
      for (int round = 1; round <= kRounds; ++round) {
        NodeBarrier& barrier = host.Rank(rank);
        barrier.Arrive(0);
        if (rank == 0) {
          EXPECT_TRUE(barrier.AwaitAll(NoLimit()).ok());
          ++meetings;
          barrier.Release({});
        } else {
          EXPECT_TRUE(barrier.AwaitRelease(NoLimit()).ok());
          EXPECT_GE(meetings.load(), round);
        }
      }
    });
  }
}

// Ranks are world ranks 10 … 13; in round n rank n % 4 brings the most.
TEST(NodeBarrier, EveryRankLearnsTheLargestValueAndItsWorldRank) {
  constexpr int kRounds = 200;
  Host host(4, false);
  std::vector<std::jthread> threads;
  threads.reserve(host.size());
  for (int rank = 0; rank < 4; ++rank) {
    threads.emplace_back([&host, rank] {
      NodeBarrier& barrier = host.Rank(static_cast<std::size_t>(rank));
      for (int round = 0; round < kRounds; ++round) {
        const bool most = round % 4 == rank;
        barrier.Arrive(most ? 1000 + round : -rank);
        const auto largest = barrier.AwaitRelease(NoLimit());
        ASSERT_TRUE(largest.ok());
        EXPECT_EQ(largest.value().value, 1000 + round);
        EXPECT_EQ(largest.value().rank, 10 + round % 4);
      }
    });
  }
}

TEST(NodeBarrier, OfEqualValuesTheLowestRankIsNamed) {
  Host host(3, false);
  host.Rank(2).Arrive(-7);
  host.Rank(1).Arrive(-7);
  host.Rank(0).Arrive(-8);
  const auto largest = host.Rank(0).AwaitRelease(NoLimit());
  ASSERT_TRUE(largest.ok());
  EXPECT_EQ(largest.value().value, -7);
  EXPECT_EQ(largest.value().rank, 11);
}

TEST(NodeBarrier, TheLeaderSeesItsHostsLargestAndSaysWhatIsTheLargestOfAll) {
  Host host(2, true);
  host.Rank(1).Arrive(5);
  host.Rank(0).Arrive(4);
  const auto of_host = host.Rank(0).AwaitAll(NoLimit());
  ASSERT_TRUE(of_host.ok());
  EXPECT_EQ(of_host.value().value, 5);
  EXPECT_EQ(of_host.value().rank, 11);
  host.Rank(0).Release({.value = 9, .rank = 77});
  const auto of_all = host.Rank(1).AwaitRelease(NoLimit());
  ASSERT_TRUE(of_all.ok());
  EXPECT_EQ(of_all.value().value, 9);
  EXPECT_EQ(of_all.value().rank, 77);
}

TEST(NodeBarrier, TimeOutNamesTheMissingRanks) {
  Host host(4, false);
  host.Rank(0).Arrive(0);
  host.Rank(2).Arrive(0);
  const core::Status status = host.Rank(0).AwaitRelease(Expired()).status();
  EXPECT_EQ(status.code(), Code::kTimedOut);
  EXPECT_EQ(status.message(),
            "barrier: waited in vain for 2 of the 4 ranks of this host: "
            "11, 13");
}

TEST(NodeBarrier, ACompletedBarrierIsLeftEvenPastTheDeadline) {
  Host host(2, false);
  host.Rank(0).Arrive(0);
  host.Rank(1).Arrive(0);
  EXPECT_TRUE(host.Rank(0).AwaitRelease(Expired()).ok());
  EXPECT_TRUE(host.Rank(1).AwaitRelease(Expired()).ok());
}

TEST(NodeBarrier, AbortWakesWaitersWithTheFirstCause) {
  Host host(3, false);
  std::jthread waiter([&host] {
    host.Rank(0).Arrive(0);
    const core::Status status = host.Rank(0).AwaitRelease(NoLimit()).status();
    EXPECT_EQ(status.code(), Code::kUnavailable);
    EXPECT_EQ(status.message(), "rank 11: first");
  });
  host.Rank(1).Abort("rank 11: first");
  host.Rank(2).Abort("rank 12: second");
  waiter.join();
  EXPECT_EQ(host.Rank(2).Interrupted(NoLimit()).message(), "rank 11: first");
}

TEST(NodeBarrier, ALongCauseIsCut) {
  Host host(1, false);
  host.Rank(0).Abort(std::string(10'000, 'x'));
  EXPECT_EQ(host.Rank(0).Interrupted(NoLimit()).message(),
            std::string(4000, 'x'));
}

TEST(NodeBarrier, CancelEndsTheWait) {
  Host host(2, false);
  core::CancelFlag cancel;
  std::jthread waiter([&host, &cancel] {
    host.Rank(0).Arrive(0);
    const core::Status status =
        host.Rank(0).AwaitRelease({"barrier", core::kNever, &cancel}).status();
    EXPECT_EQ(status.code(), Code::kCancelled);
  });
  cancel.Set();
}

TEST(NodeBarrier, ARankWhoseProcessEndedIsNoticed) {
  Host host(3, false);
  const pid_t dead = DeadProcess();
  host.Rank(2).Publish(12, dead);
  host.Rank(0).Arrive(0);
  host.Rank(1).Arrive(0);
  const core::Status status = host.Rank(0).AwaitRelease(NoLimit()).status();
  const std::string gone = "rank 12 (pid " + std::to_string(dead) + ") is gone";
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.message(), "barrier: " + gone);
  EXPECT_EQ(host.Rank(0).CheckAlive().message(), gone);
}

TEST(NodeBarrier, ARankThatArrivedMayEnd) {
  // As the last barrier of a run is left, the first to leave may be gone
  // before the others woke.
  Host host(3, false);
  host.Rank(2).Publish(12, DeadProcess());
  host.Rank(2).Arrive(0);
  std::jthread waiter([&host] {
    host.Rank(0).Arrive(0);
    EXPECT_TRUE(host.Rank(0).AwaitRelease(NoLimit()).ok());
  });
  host.Rank(1).Arrive(0);
  EXPECT_TRUE(host.Rank(1).AwaitRelease(NoLimit()).ok());
}

TEST(NodeBarrier, ADeadLeaderIsNoticedThoughItArrived) {
  Host host(2, true);
  host.Rank(0).Publish(10, DeadProcess());
  host.Rank(0).Arrive(0);
  host.Rank(1).Arrive(0);
  EXPECT_THAT(
      std::string(host.Rank(1).AwaitRelease(NoLimit()).status().message()),
      HasSubstr("rank 10 (pid"));
}

TEST(NodeBarrier, LivingRanksAreAlive) {
  Host host(4, false);
  EXPECT_TRUE(host.Rank(3).CheckAlive().ok());
}

}  // namespace
}  // namespace stoker::comm::internal
