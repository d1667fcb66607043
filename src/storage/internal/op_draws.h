#pragma once

// What chance decides about one attempt of an op: the same whenever it is
// asked, on whichever rank and thread.

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

#include "core/random.h"

namespace stoker::storage::internal {

// Names what is drawn for. Ops of two kinds on one place draw independently.
struct OpPlace {
  enum class Kind : std::uint8_t {
    kRead,
    kSize,
    kCreate,
    kWrite,
    kCommit,
    kList,
    kLink,
    kRemove,
  };
  Kind kind = Kind::kRead;
  std::uint64_t object = 0;   // HashOfName
  std::uint64_t offset = 0;   // bytes from the object's start
  std::uint64_t attempt = 0;  // 0, then 1 for the first repetition, …
};

// The same in every process and build.
inline std::uint64_t HashOfName(std::string_view name) {
  std::uint64_t hash = core::StreamKey(name.size());
  for (const char c : name) {
    hash =
        core::Mix64(hash ^ (static_cast<unsigned char>(c) + core::kGolden64));
  }
  return hash;
}

// The draws of one attempt, in the order the caller asks for them.
inline core::CounterRandom DrawsFor(std::uint64_t seed, const OpPlace& place) {
  return core::CounterRandom(core::StreamKey(seed, place.kind, place.object,
                                             place.offset, place.attempt));
}

// Standard normal, by Box and Muller from two uniform draws.
inline double DrawNormal(core::CounterRandom& draws) {
  const double radius = std::sqrt(-2 * std::log(1 - draws.Uniform()));
  return radius * std::cos(2 * std::numbers::pi * draws.Uniform());
}

}  // namespace stoker::storage::internal
