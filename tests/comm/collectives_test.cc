// The conformance suite of the communicators that need no launcher; the MPI
// communicator passes the same checks in tests/mpi.

#include "tests/comm/collectives.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>

#include "core/clock.h"

namespace stoker::comm {
namespace {

using core::CancelFlag;
using core::Code;
using core::Nanos;
using core::Status;

struct World {
  const char* name;
  int ranks;  // 0: MakeSelf
  bool virtual_time;
  int ranks_per_node;
};

class CommunicatorConformance : public ::testing::TestWithParam<World> {
 protected:
  int Ranks() const { return GetParam().ranks == 0 ? 1 : GetParam().ranks; }

  void Run(const CancelFlag* cancel,
           const std::function<void(Communicator&)>& body) const {
    const World& world = GetParam();
    if (world.ranks == 0) {
      body(*MakeSelf(cancel));
    } else if (world.virtual_time) {
      core::VirtualClock clock;
      RunThreads(world.ranks, clock, cancel, body, world.ranks_per_node);
    } else {
      core::SystemClock clock;
      RunThreads(world.ranks, clock, cancel, body, world.ranks_per_node);
    }
  }
};

TEST_P(CommunicatorConformance, EveryRankHasItsOwnPlace) {
  Run(nullptr, testing::CheckPlaces);
}

TEST_P(CommunicatorConformance, BroadcastReplacesTheOthersBytes) {
  Run(nullptr, testing::CheckBroadcast);
}

TEST_P(CommunicatorConformance, GatherKeepsOrderAndLengths) {
  Run(nullptr, testing::CheckGather);
}

TEST_P(CommunicatorConformance, AllGatherGivesEveryRankTheSame) {
  Run(nullptr, testing::CheckAllGather);
}

TEST_P(CommunicatorConformance, BarrierMaxTellsAllWhoBroughtTheMost) {
  Run(nullptr, testing::CheckBarrierMax);
}

TEST_P(CommunicatorConformance, AgreeGivesTheLowestFailingRanksStatusToAll) {
  Run(nullptr, testing::CheckAgree);
}

TEST_P(CommunicatorConformance, NobodyLeavesABarrierBeforeAllArrived) {
  constexpr int kRounds = 50;
  std::atomic<int> arrivals = 0;
  Run(nullptr, [&](Communicator& comm) {
    for (int round = 1; round <= kRounds; ++round) {
      ++arrivals;
      EXPECT_TRUE(comm.Barrier(kCollectiveTimeout).ok());
      EXPECT_GE(arrivals.load(), round * comm.size());
    }
  });
  EXPECT_EQ(arrivals.load(), kRounds * Ranks());
}

TEST_P(CommunicatorConformance, AbortFailsEveryCallWithTheFirstCause) {
  Run(nullptr, [](Communicator& comm) {
    const int last = comm.size() - 1;
    EXPECT_TRUE(comm.Barrier(kCollectiveTimeout).ok());
    if (comm.rank() == last) {
      comm.Abort(Status(Code::kIoError, "disk on fire"));
      comm.Abort(Status(Code::kIoError, "smoke"));
    }
    const Status first = comm.Barrier(kCollectiveTimeout);
    const auto second = comm.Gather({}, 0);
    const std::string cause = "rank " + std::to_string(last) + ": disk on fire";
    EXPECT_EQ(first.code(), Code::kUnavailable);
    EXPECT_EQ(first.message(), cause);
    EXPECT_EQ(second.status().message(), cause);
  });
}

TEST_P(CommunicatorConformance, ASetCancelFlagFailsEveryCall) {
  CancelFlag cancel;
  cancel.Set();
  Run(&cancel, [](Communicator& comm) {
    Bytes data;
    EXPECT_EQ(comm.Barrier(kCollectiveTimeout).code(), Code::kCancelled);
    EXPECT_EQ(comm.BarrierMax(kCollectiveTimeout, 1).status().code(),
              Code::kCancelled);
    EXPECT_EQ(comm.Broadcast(data, 0).code(), Code::kCancelled);
    EXPECT_EQ(comm.Gather({}, 0).status().code(), Code::kCancelled);
    EXPECT_EQ(Agree(comm, Status(Code::kIoError, "mine")).message(), "mine");
  });
}

INSTANTIATE_TEST_SUITE_P(
    Worlds, CommunicatorConformance,
    ::testing::Values(World{"Self", 0, false, 0},
                      World{"OneThread", 1, true, 0},
                      World{"ThreadsRealTime", 4, false, 0},
                      World{"ThreadsVirtualTime", 4, true, 0},
                      World{"ThreadsOnThreeNodes", 7, true, 3}),
    [](const auto& param_info) { return std::string(param_info.param.name); });

}  // namespace
}  // namespace stoker::comm
