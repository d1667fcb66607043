#include "tests/comm/collectives.h"

#include <gtest/gtest.h>

#include <string>

namespace stoker::comm::testing {

namespace {

// Rank r's text: r times 'a' + r, so lengths differ and rank 0's is empty.
std::string TextOf(int rank) {
  return std::string(static_cast<std::size_t>(rank),
                     static_cast<char>('a' + rank % 26));
}

}  // namespace

void CheckPlaces(Communicator& comm) {
  EXPECT_GE(comm.rank(), 0);
  EXPECT_LT(comm.rank(), comm.size());
  EXPECT_LT(comm.node(), comm.node_count());
  EXPECT_LT(comm.local_rank(), comm.local_size());
  const auto places =
      AllGather(comm, ToBytes(std::to_string(comm.node()) + "/" +
                              std::to_string(comm.local_rank())));
  ASSERT_TRUE(places.ok()) << places.status().ToString();
  // Rank 0 is on the first host, and no two ranks are in one place.
  EXPECT_EQ(ToText(places.value()[0]), "0/0");
  const auto mine = static_cast<std::size_t>(comm.rank());
  for (std::size_t rank = 0; rank < places.value().size(); ++rank) {
    EXPECT_EQ(places.value()[rank] == places.value()[mine], rank == mine);
  }
}

void CheckBroadcast(Communicator& comm) {
  for (int root = 0; root < comm.size(); ++root) {
    const std::string sent = "from " + TextOf(root);
    Bytes data = ToBytes(comm.rank() == root ? sent : "to be replaced");
    EXPECT_TRUE(comm.Broadcast(data, root).ok());
    EXPECT_EQ(ToText(data), sent);
  }
  Bytes empty = ToBytes(comm.rank() == 0 ? "" : "to be replaced");
  EXPECT_TRUE(comm.Broadcast(empty, 0).ok());
  EXPECT_TRUE(empty.empty());
}

void CheckGather(Communicator& comm) {
  for (int root = 0; root < comm.size(); ++root) {
    const auto all = comm.Gather(ToBytes(TextOf(comm.rank())), root);
    ASSERT_TRUE(all.ok()) << all.status().ToString();
    ASSERT_EQ(all.value().size(),
              comm.rank() == root ? static_cast<std::size_t>(comm.size()) : 0);
    for (std::size_t rank = 0; rank < all.value().size(); ++rank) {
      EXPECT_EQ(ToText(all.value()[rank]), TextOf(static_cast<int>(rank)));
    }
  }
}

void CheckAllGather(Communicator& comm) {
  // Many in a row: a rank may be a call ahead of another.
  for (int round = 0; round < 20; ++round) {
    const std::string suffix = "#" + std::to_string(round);
    const auto all = AllGather(comm, ToBytes(TextOf(comm.rank()) + suffix));
    ASSERT_TRUE(all.ok()) << all.status().ToString();
    ASSERT_EQ(all.value().size(), static_cast<std::size_t>(comm.size()));
    for (std::size_t rank = 0; rank < all.value().size(); ++rank) {
      EXPECT_EQ(ToText(all.value()[rank]),
                TextOf(static_cast<int>(rank)) + suffix);
    }
  }
}

void CheckBarrierMax(Communicator& comm) {
  // Many in a row: a rank may be a call ahead of another. In each another rank
  // brings the most, now and then less than nothing.
  for (int round = 0; round < 50; ++round) {
    const int most = round % comm.size();
    const std::int64_t value = round % 3 == 0 ? -5 : (1LL << 40) + round;
    const auto largest = comm.BarrierMax(
        kCollectiveTimeout, comm.rank() == most ? value : value - 1);
    ASSERT_TRUE(largest.ok()) << largest.status().ToString();
    EXPECT_EQ(largest.value().value, value);
    EXPECT_EQ(largest.value().rank, most);
  }
  // All but rank 0 bring the same: the lowest of them.
  const auto equal =
      comm.BarrierMax(kCollectiveTimeout, comm.rank() == 0 ? 6 : 7);
  ASSERT_TRUE(equal.ok()) << equal.status().ToString();
  EXPECT_EQ(equal.value().value, comm.size() == 1 ? 6 : 7);
  EXPECT_EQ(equal.value().rank, comm.size() == 1 ? 0 : 1);
}

void CheckAgree(Communicator& comm) {
  EXPECT_TRUE(Agree(comm, {}).ok());
  // Every rank from the middle on fails, each in its own way.
  const int lowest = comm.size() / 2;
  core::Status mine;
  if (comm.rank() >= lowest) {
    mine = core::Status(core::Code::kCorruption,
                        "bad block " + std::to_string(comm.rank()),
                        100 + comm.rank());
  }
  const core::Status agreed = Agree(comm, mine);
  EXPECT_EQ(agreed.code(), core::Code::kCorruption);
  EXPECT_EQ(agreed.os_error(), 100 + lowest);
  const std::string cause = "bad block " + std::to_string(lowest);
  EXPECT_EQ(agreed.message(),
            comm.size() == 1 ? cause
                             : "rank " + std::to_string(lowest) + ": " + cause);
}

}  // namespace stoker::comm::testing
