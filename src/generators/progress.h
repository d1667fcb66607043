#pragma once

// How far one rank is with its share of a dataset.

#include <cstdint>
#include <functional>

namespace stoker::generators {

// Progress of all ranks is not known to one: this is the own share.
struct OwnProgress {
  std::uint64_t files_done = 0;  // names
  std::uint64_t files_mine = 0;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_mine = 0;  // 0: not known
};

// Called often: after each part of a file and after each name.
using OnProgress = std::function<void(const OwnProgress&)>;

}  // namespace stoker::generators
