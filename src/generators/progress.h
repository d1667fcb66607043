#pragma once

// How far one rank is with its share of a dataset.

#include <cstdint>
#include <functional>

namespace stoker::generators {

// What the other ranks have done so far is not known: this is the own share,
// and what all shares add up to.
struct OwnProgress {
  std::uint64_t files_done = 0;  // names
  std::uint64_t files_mine = 0;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_mine = 0;  // 0: not known
  // Of all ranks, at rank 0; elsewhere not known.
  std::uint64_t files_all = 0;
  std::uint64_t bytes_all = 0;
  bool waiting = false;  // the own share is done, others are at work
};

// Called often: after each part of a file and after each name; where there are
// other ranks also once the own share is done.
using OnProgress = std::function<void(const OwnProgress&)>;

}  // namespace stoker::generators
