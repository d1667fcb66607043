#pragma once

// How long the ranks of a checkpoint wait for each other.

#include <chrono>

#include "core/clock.h"

namespace stoker::checkpoint::internal {

// Of each barrier of a save and of a restore: the slowest rank may have so much
// more to write or read than the fastest.
inline constexpr core::Nanos kBarrierTimeout = std::chrono::hours(1);

}  // namespace stoker::checkpoint::internal
