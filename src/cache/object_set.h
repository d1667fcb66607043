#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace stoker::cache {

// Objects of a store, by number.
struct ObjectSet {
  std::uint64_t count = 0;
  std::function<std::string(std::uint64_t)> name_of;
};

}  // namespace stoker::cache
