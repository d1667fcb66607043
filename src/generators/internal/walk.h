#pragma once

// Which files a rank deals with, in which order.

#include <cstdint>
#include <string>

#include "comm/communicator.h"
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

// The contents of a rank: number r, r + R, …; where they come in streams, all
// of stream r, then of stream r + R, ….
class ContentWalk {
 public:
  ContentWalk(const GeneratePlan& plan, const Seat& seat);
  bool Next(Place& place);

 private:
  Inventory inventory_;
  Seat seat_;
  bool streamed_;
  std::uint64_t streams_;
  std::uint64_t stream_;
  std::uint64_t next_;
};

}  // namespace stoker::generators::internal
