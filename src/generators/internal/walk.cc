#include "generators/internal/walk.h"

#include "generators/payload.h"

namespace stoker::generators::internal {

Seat SeatOf(const comm::Communicator& comm) {
  return {.rank = static_cast<std::uint64_t>(comm.rank()),
          .ranks = static_cast<std::uint64_t>(comm.size())};
}

Place Inventory::At(std::uint64_t generation) const {
  Place place{.generation = generation};
  const bool train = generation < plan_.train.total;
  place.naming = train ? &plan_.train : &plan_.valid;
  place.index = train ? generation : generation - plan_.train.total;
  return place;
}

Place Inventory::Content(std::uint64_t c) const {
  const std::uint64_t train = train_contents();
  return At(c < train ? c : plan_.train.total + c - train);
}

Place Inventory::Link(std::uint64_t l) const {
  const std::uint64_t train_links = plan_.train.total - train_contents();
  return At(l < train_links ? train_contents() + l
                            : plan_.train.total + contents() -
                                  train_contents() + l - train_links);
}

ContentWalk::ContentWalk(const GeneratePlan& plan, const Seat& seat)
    : inventory_(plan),
      seat_(seat),
      streamed_(plan.content.mode == kDlioMode),
      streams_(ContentStreams(plan)),
      stream_(streamed_ ? seat.rank : 0),
      next_(seat.rank) {}

bool ContentWalk::Next(Place& place) {
  while (stream_ < streams_) {
    if (next_ < inventory_.contents()) {
      place = inventory_.Content(next_);
      place.stream = stream_;
      next_ += streamed_ ? streams_ : seat_.ranks;
      return true;
    }
    if (!streamed_) {
      return false;
    }
    stream_ += seat_.ranks;
    next_ = stream_;
  }
  return false;
}

}  // namespace stoker::generators::internal
