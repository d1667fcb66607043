// The conformance suite of communicators, on ranks that are MPI processes.
// Every rank runs every test; the program fails if one does.

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>

#include "comm/mpi_communicator.h"
#include "core/check.h"
#include "tests/comm/collectives.h"

namespace stoker::comm {
namespace {

Communicator* world = nullptr;  // from main() to the tests

TEST(MpiCommunicator, EveryRankHasItsOwnPlace) { testing::CheckPlaces(*world); }

TEST(MpiCommunicator, BroadcastReplacesTheOthersBytes) {
  testing::CheckBroadcast(*world);
}

TEST(MpiCommunicator, GatherKeepsOrderAndLengths) {
  testing::CheckGather(*world);
}

TEST(MpiCommunicator, AllGatherGivesEveryRankTheSame) {
  testing::CheckAllGather(*world);
}

TEST(MpiCommunicator, BarrierMaxTellsAllWhoBroughtTheMost) {
  testing::CheckBarrierMax(*world);
}

TEST(MpiCommunicator, AgreeGivesTheLowestFailingRanksStatusToAll) {
  testing::CheckAgree(*world);
}

TEST(MpiCommunicator, ManyBarriersInARow) {
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(world->Barrier(kCollectiveTimeout).ok());
  }
}

// Byte i of rank r's part; no part repeats another.
std::byte PartByte(int rank, std::size_t i) {
  return static_cast<std::byte>(i * 7 + i / 253 +
                                static_cast<std::size_t>(rank) * 31);
}

Bytes Part(int rank, std::size_t size) {
  Bytes part(size);
  for (std::size_t i = 0; i < size; ++i) {
    part[i] = PartByte(rank, i);
  }
  return part;
}

// Longer than one round of the transfer, and not a multiple of it.
constexpr std::size_t kLong = (std::size_t{80} << 20) + 12'345;

TEST(MpiCommunicator, LongBroadcastsGoInRounds) {
  const Bytes expected = Part(0, kLong);
  Bytes data = world->rank() == 0 ? expected : Bytes{};
  ASSERT_TRUE(world->Broadcast(data, 0).ok());
  EXPECT_TRUE(data == expected);
}

TEST(MpiCommunicator, LongGathersGoInRounds) {
  const int root = world->size() - 1;
  const auto ranks = static_cast<std::size_t>(world->size());
  // Rank 0 sends least.
  const auto size_of = [ranks](int rank) {
    return kLong / ranks * static_cast<std::size_t>(rank + 1) / ranks + 3;
  };
  const auto all =
      world->Gather(Part(world->rank(), size_of(world->rank())), root);
  ASSERT_TRUE(all.ok()) << all.status().ToString();
  for (std::size_t rank = 0; rank < all.value().size(); ++rank) {
    const int number = static_cast<int>(rank);
    EXPECT_TRUE(all.value()[rank] == Part(number, size_of(number))) << rank;
  }
}

}  // namespace
}  // namespace stoker::comm

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  STOKER_CHECK(stoker::comm::StartedByMpi());
  auto comm = stoker::comm::MakeMpi(nullptr);
  STOKER_CHECK(comm.ok());
  stoker::comm::world = comm.value().get();
  return RUN_ALL_TESTS();
}
