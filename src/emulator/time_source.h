#pragma once

// Durations to emulate: the distributions of computation, evaluation and
// preprocessing time.

#include <cstdint>

#include "core/clock.h"
#include "core/random.h"

namespace stoker::emulator {

// What to draw from; seconds.
struct TimeModel {
  enum class Kind : std::uint8_t {
    kNone,
    kConstant,
    kNormal,
    kUniform,
    kGamma,
    kExponential,
    kPoisson,
  } kind = Kind::kNone;
  double a = 0;  // constant, mean; min; shape; scale (exponential); lam
  double b = 0;  // stdev; max; scale (gamma)
};

// Draws durations: the absolute value of the distribution's; 0 for kNone.
// Each rank has a stream of its own, so that jitter differs between ranks.
// Not safe for concurrent use; copies draw the same sequence.
class TimeSource {
 public:
  TimeSource() = default;
  TimeSource(const TimeModel& model, std::uint64_t key)
      : model_(model), key_(key), random_(key) {}
  // A stream of the same distribution that is independent of this one and of
  // those of other indices.
  TimeSource Stream(std::uint64_t index) const {
    return {model_, core::StreamKey(key_, index)};
  }
  core::Nanos Next();
  bool IsZero() const { return model_.kind == TimeModel::Kind::kNone; }

 private:
  double Draw();

  TimeModel model_;
  std::uint64_t key_ = 0;
  core::CounterRandom random_{0};
};

}  // namespace stoker::emulator
