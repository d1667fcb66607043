#pragma once

// Which files a rank deals with, in which order.

#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "core/status.h"
#include "generators/plan.h"

namespace stoker::generators::internal {

struct Seat {
  std::uint64_t rank = 0;
  std::uint64_t ranks = 1;
};
Seat SeatOf(const comm::Communicator& comm);

// A file by its set and its place in it.
struct Place {
  const dataset::Naming* naming = nullptr;
  std::uint64_t index = 0;       // in the set
  std::uint64_t generation = 0;  // over both sets
  std::uint64_t stream = 0;      // of content, see ContentStreams
};

// Numbers of contents and names; the plan is not owned.
class Inventory {
 public:
  explicit Inventory(const GeneratePlan& plan) : plan_(plan) {}
  std::uint64_t train_contents() const {
    return dataset::DistinctFiles(plan_.train.total, plan_.content.distinct);
  }
  std::uint64_t contents() const {
    return train_contents() +
           dataset::DistinctFiles(plan_.valid.total, plan_.content.distinct);
  }
  std::uint64_t names() const { return plan_.names(); }
  // File by generation index.
  Place At(std::uint64_t generation) const;
  // Content number c < contents(), link number l < names() - contents().
  Place Content(std::uint64_t c) const;
  Place Link(std::uint64_t l) const;

 private:
  const GeneratePlan& plan_;
};

// The contents of a rank, of those that are wanted. Each goes to the rank that
// has the fewest bytes so far, the lowest of equals, so that no two ranks
// differ by more than the largest file: with files of one size r, r + R, …. All
// ranks come to the same without a message, if they want the same. Where
// contents come in streams they go by these: all of stream r, then of r + R, ….
class ContentWalk {
 public:
  using Wanted = std::function<bool(const Place&)>;
  // Nothing is owned but the function; without one all are wanted.
  ContentWalk(const GeneratePlan& plan, const Seat& seat, Wanted wanted = {});
  bool Next(Place& place);

 private:
  bool NextOfStreams(Place& place);
  std::uint64_t Deal(const Place& place);

  // Bytes dealt to a rank so far, and which.
  using Load = std::pair<std::uint64_t, std::uint64_t>;

  const GeneratePlan& plan_;
  Inventory inventory_;
  Seat seat_;
  Wanted wanted_;
  bool streamed_;
  bool alike_;  // in size
  std::uint64_t streams_;
  std::uint64_t stream_;
  std::uint64_t next_;
  std::uint64_t dealt_ = 0;
  SpecCursor specs_;
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads_;
};

// Calls `visit(place)` for each link of the rank: number r, r + R, ….
template <class Visit>
core::Status ForEachLink(const GeneratePlan& plan, const Seat& seat,
                         Visit visit) {
  const Inventory inventory(plan);
  const std::uint64_t links = inventory.names() - inventory.contents();
  for (std::uint64_t l = seat.rank; l < links; l += seat.ranks) {
    STOKER_TRY(visit(inventory.Link(l)));
  }
  return {};
}

}  // namespace stoker::generators::internal
