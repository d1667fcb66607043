#pragma once

// What something serves while it is busy.

#include <chrono>
#include <cstdint>

#include "core/clock.h"

namespace stoker::cache::internal {

// Over windows of kAnswers answers and kShortest at least. Not safe for
// concurrent use.
class ServiceRate {
 public:
  void Begin(std::uint64_t bytes, core::TimePoint now) {
    if (requests_++ == 0) {
      busy_since_ = now;
      window_since_ = answers_ == 0 && busy_.count() == 0 ? now : window_since_;
    }
    in_flight_ += bytes;
  }
  // It was served, or not.
  void End(std::uint64_t bytes, bool served, core::TimePoint now) {
    in_flight_ -= bytes;
    served_ += served ? bytes : 0;
    ++answers_;
    if (--requests_ == 0) {
      busy_ += now - busy_since_;
    }
    const core::Nanos length = now - window_since_;
    if (answers_ < kAnswers || length < kShortest) {
      return;
    }
    if (requests_ > 0) {
      busy_ += now - busy_since_;
      busy_since_ = now;
    }
    busy_share_ = core::Seconds(busy_) / core::Seconds(length);
    const double rate = busy_.count() == 0 ? bytes_per_s_
                                           : static_cast<double>(served_) /
                                                 core::Seconds(busy_);
    bytes_per_s_ =
        bytes_per_s_ == 0 ? rate : bytes_per_s_ + (rate - bytes_per_s_) / 2;
    answers_ = 0;
    served_ = 0;
    busy_ = {};
    window_since_ = now;
  }

  std::uint64_t in_flight() const { return in_flight_; }  // bytes
  // While there was something to serve; 0: not known. The last windows count
  // most.
  double bytes_per_s() const { return bytes_per_s_; }
  // Part of the last window in which there was: 0 … 1.
  double busy_share() const { return busy_share_; }

 private:
  static constexpr std::uint32_t kAnswers = 16;
  static constexpr core::Nanos kShortest = std::chrono::milliseconds(5);

  std::uint64_t in_flight_ = 0;
  std::uint32_t requests_ = 0;
  core::TimePoint busy_since_{};
  // Of the present window:
  core::TimePoint window_since_{};
  core::Nanos busy_{};
  std::uint64_t served_ = 0;
  std::uint32_t answers_ = 0;

  double bytes_per_s_ = 0;
  double busy_share_ = 0;
};

}  // namespace stoker::cache::internal
