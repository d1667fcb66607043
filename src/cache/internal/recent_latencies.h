#pragma once

// How long answers took of late.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "core/clock.h"

namespace stoker::cache::internal {

// The last kKept. Not safe for concurrent use; allocates nothing.
class RecentLatencies {
 public:
  static constexpr std::size_t kKept = 128;

  void Add(core::Nanos latency) { kept_[added_++ % kKept] = latency; }
  std::uint64_t added() const { return added_; }  // ever
  // The value that at least `fraction` (0 … 1) of the last `last` do not
  // exceed, or of those there are; 0 of nothing.
  core::Nanos Quantile(double fraction, std::size_t last = kKept) const {
    const auto count = static_cast<std::size_t>(
        std::min<std::uint64_t>({added_, last, kKept}));
    if (count == 0) {
      return {};
    }
    std::array<core::Nanos, kKept> values;
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = kept_[(added_ - count + i) % kKept];
    }
    const auto within = static_cast<std::size_t>(
        std::ceil(fraction * static_cast<double>(count)));
    const std::size_t rank = std::clamp<std::size_t>(within, 1, count) - 1;
    std::nth_element(values.begin(),
                     values.begin() + static_cast<std::ptrdiff_t>(rank),
                     values.begin() + static_cast<std::ptrdiff_t>(count));
    return values[rank];
  }

 private:
  std::array<core::Nanos, kKept> kept_{};
  std::uint64_t added_ = 0;
};

// How long to wait for what usually takes as long as `recent`: ten times what
// nearly all took, within the two bounds.
inline core::Nanos PatienceFor(const RecentLatencies& recent, core::Nanos least,
                               core::Nanos most) {
  return std::clamp(10 * recent.Quantile(0.99), least, most);
}

}  // namespace stoker::cache::internal
