#include "generators/internal/walk.h"

#include <utility>

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

ContentWalk::ContentWalk(const GeneratePlan& plan, const Seat& seat,
                         Wanted wanted)
    : plan_(plan),
      inventory_(plan),
      seat_(seat),
      wanted_(std::move(wanted)),
      streamed_(plan.content.mode == kDlioMode),
      alike_(!(plan.sizes.stdev > 0)),
      streams_(ContentStreams(plan)),
      stream_(streamed_ ? seat.rank : 0),
      next_(streamed_ ? seat.rank : 0),
      specs_(plan) {
  for (std::uint64_t rank = 0; rank < seat.ranks; ++rank) {
    loads_.emplace(0, rank);
  }
}

bool ContentWalk::Next(Place& place) {
  if (streamed_) {
    return NextOfStreams(place);
  }
  while (next_ < inventory_.contents()) {
    place = inventory_.Content(next_++);
    if ((!wanted_ || wanted_(place)) && Deal(place) == seat_.rank) {
      return true;
    }
  }
  return false;
}

bool ContentWalk::NextOfStreams(Place& place) {
  for (; stream_ < streams_; stream_ += seat_.ranks, next_ = stream_) {
    while (next_ < inventory_.contents()) {
      place = inventory_.Content(next_);
      place.stream = stream_;
      next_ += streams_;
      if (!wanted_ || wanted_(place)) {
        return true;
      }
    }
  }
  return false;
}

// Whose it is.
std::uint64_t ContentWalk::Deal(const Place& place) {
  if (alike_) {
    return dealt_++ % seat_.ranks;
  }
  const auto [bytes, rank] = loads_.top();
  loads_.pop();
  loads_.emplace(
      bytes + StoredBytes(*plan_.format, specs_.At(place.generation)), rank);
  return rank;
}

}  // namespace stoker::generators::internal
