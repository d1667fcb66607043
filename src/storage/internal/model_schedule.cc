#include "storage/internal/model_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "storage/uri_options.h"

namespace stoker::storage::internal {

namespace {

constexpr double kNormalP99 = 2.3263478740408408;  // of N(0, 1)
constexpr double kMostSeconds = 1e9;
// Keeps the draws of a back-off apart from those of the attempt it follows.
constexpr std::uint64_t kBackOffSeed = 0x6261636b6f6666;

bool Has(const Uri& uri, std::string_view key) {
  return uri.options.contains(key);
}

core::Result<double> SigmaOf(const Uri& uri, core::Nanos median) {
  STOKER_ASSIGN(const core::Nanos p99,
                DurationOption(uri, "latency_p99", core::Nanos{0}));
  if (median <= core::Nanos{0} || p99 < median) {
    return BadOption(uri, "latency_p99",
                     "expected latency_p50 above 0, and latency_p99 no less");
  }
  return std::log(core::Seconds(p99) / core::Seconds(median)) / kNormalP99;
}

core::Status CheckTogether(const Uri& uri) {
  if (Has(uri, "latency") && Has(uri, "latency_p50")) {
    return BadOption(uri, "latency",
                     "it is constant; give it, or latency_p50 and latency_p99");
  }
  if (Has(uri, "latency_p50") != Has(uri, "latency_p99")) {
    return BadOption(uri,
                     Has(uri, "latency_p50") ? "latency_p50" : "latency_p99",
                     "latency_p50 and latency_p99 go together");
  }
  if (Has(uri, "stall_rate") != Has(uri, "stall")) {
    return BadOption(uri, Has(uri, "stall") ? "stall" : "stall_rate",
                     "stall and stall_rate go together");
  }
  if (Has(uri, "retries") && !Has(uri, "throttle_rate")) {
    return BadOption(uri, "retries", "only with throttle_rate");
  }
  const bool draws = Has(uri, "latency_p50") || Has(uri, "error_rate") ||
                     Has(uri, "throttle_rate") || Has(uri, "stall_rate");
  if (Has(uri, "seed") && !draws) {
    return BadOption(uri, "seed",
                     "nothing is left to chance without latency_p50, "
                     "error_rate, throttle_rate or stall_rate");
  }
  return {};
}

}  // namespace

core::Result<ModelSchedule> ModelSchedule::Of(const Uri& uri) {
  constexpr std::uint64_t kRetries = 5;
  ModelSchedule schedule;
  STOKER_TRY(CheckTogether(uri));
  STOKER_ASSIGN(
      schedule.latency_,
      DurationOption(uri, Has(uri, "latency_p50") ? "latency_p50" : "latency",
                     core::Nanos{0}));
  if (Has(uri, "latency_p99")) {
    STOKER_ASSIGN(schedule.sigma_, SigmaOf(uri, schedule.latency_));
  }
  STOKER_ASSIGN(schedule.seed_, CountOption(uri, "seed", 0));
  STOKER_ASSIGN(schedule.error_rate_, FractionOption(uri, "error_rate", 0));
  STOKER_ASSIGN(schedule.throttle_rate_,
                FractionOption(uri, "throttle_rate", 0));
  STOKER_ASSIGN(schedule.stall_rate_, FractionOption(uri, "stall_rate", 0));
  STOKER_ASSIGN(schedule.stall_, DurationOption(uri, "stall", core::Nanos{0}));
  STOKER_ASSIGN(schedule.retries_,
                CountOption(uri, "retries", kRetries, {.highest = 100}));
  if (schedule.error_rate_ + schedule.throttle_rate_ > 1) {
    return BadOption(uri, "throttle_rate",
                     "together with error_rate it is above 1");
  }
  return schedule;
}

ModelSchedule::Attempt ModelSchedule::Draw(const OpPlace& place) const {
  Attempt attempt{.latency = latency_};
  if (sigma_ == 0 && error_rate_ == 0 && throttle_rate_ == 0 &&
      stall_rate_ == 0) {
    return attempt;
  }
  core::CounterRandom draws = DrawsFor(seed_, place);
  const double fate = draws.Uniform();
  if (fate < error_rate_) {
    attempt.outcome = Outcome::kFailed;
  } else if (fate < error_rate_ + throttle_rate_) {
    attempt.outcome = Outcome::kThrottled;
  }
  attempt.stalled = draws.Uniform() < stall_rate_;
  if (sigma_ > 0) {
    attempt.latency = core::FromSeconds(std::min(
        kMostSeconds,
        core::Seconds(latency_) * std::exp(sigma_ * DrawNormal(draws))));
  }
  if (attempt.stalled) {
    attempt.latency += stall_;
  }
  return attempt;
}

core::Nanos ModelSchedule::BackOff(const OpPlace& place,
                                   std::uint64_t number) const {
  constexpr double kFirst = 0.01;  // s
  constexpr double kMost = 1;      // s
  const double whole =
      std::min(kMost, std::ldexp(kFirst, static_cast<int>(number) - 1));
  core::CounterRandom draws = DrawsFor(seed_ ^ kBackOffSeed, place);
  return core::FromSeconds(whole * (0.5 + 0.5 * draws.Uniform()));
}

}  // namespace stoker::storage::internal
