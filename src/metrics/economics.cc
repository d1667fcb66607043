#include "metrics/economics.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace stoker::metrics {
namespace {

constexpr double kHoursPerDay = 24;

// Daly, eq. 37.
double DalyInterval(double save, double mtbf) {
  if (save >= 2 * mtbf) return mtbf;
  const double ratio = save / (2 * mtbf);
  return std::sqrt(2 * save * mtbf) * (1 + std::sqrt(ratio) / 3 + ratio / 9) -
         save;
}

// Wall time for each second of training (Daly, eq. 20), failures during saves
// and restores included; its limit for intervals of 0, as saves that cost
// nothing ask for.
double WallPerTraining(double interval, double save, double restore,
                       double mtbf) {
  const double restarts = std::exp(restore / mtbf);
  if (interval <= 0) return restarts;
  return mtbf * restarts * std::expm1((interval + save) / mtbf) / interval;
}

}  // namespace

CheckpointEconomics Economics(const CheckpointEconomicsInput& input) {
  const double save = core::Seconds(input.save);
  const double restore = core::Seconds(input.restore);
  const double mtbf = core::Seconds(input.mtbf);
  STOKER_CHECK(mtbf > 0 && save >= 0 && restore >= 0);
  CheckpointEconomics economics;
  economics.input = input;
  economics.young_interval_s = std::sqrt(2 * save * mtbf);
  economics.daly_interval_s = DalyInterval(save, mtbf);
  const double interval = economics.daly_interval_s;
  // Infinite where the job is never done: all is lost to failures.
  const double wall = WallPerTraining(interval, save, restore, mtbf);
  economics.goodput = 1 / wall;
  economics.lost_to_saving = interval > 0 ? save / interval / wall : 0;
  economics.lost_to_failures =
      std::max(0.0, 1 - economics.goodput - economics.lost_to_saving);
  economics.lost_accelerator_hours_per_day =
      static_cast<double>(input.accelerators) * kHoursPerDay *
      (1 - economics.goodput);
  return economics;
}

std::optional<CheckpointEconomicsInput> EconomicsInputOf(
    const CheckpointSummary& summary, std::uint64_t accelerators,
    core::Nanos mtbf) {
  if (summary.saves.each.empty()) return std::nullopt;
  return CheckpointEconomicsInput{
      .save = core::FromSeconds(summary.saves.duration_max_s.mean),
      .restore = core::FromSeconds(summary.restores.duration_max_s.mean),
      .mtbf = mtbf,
      .accelerators = accelerators};
}

}  // namespace stoker::metrics
