#include "run/internal/live_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/units.h"

namespace stoker::run::internal {

namespace {

using reporting::Json;

double MeanSeconds(core::Nanos time, std::uint64_t count) {
  return count == 0 ? 0.0 : core::Seconds(time) / static_cast<double>(count);
}

std::string Shown(const std::optional<double>& value, std::string_view unit,
                  int decimals) {
  return value.has_value() ? fmt::format("{:.{}f}{}", *value, decimals, unit)
                           : fmt::format("-{}", unit);
}

Json OrNull(const std::optional<double>& value) {
  return value.has_value() ? Json(*value) : Json();
}

// In ms, with three digits that matter.
std::string Millis(double seconds) {
  const double millis = 1000 * seconds;
  return fmt::format("{:.{}f}", millis,
                     millis >= 99.95   ? 0
                     : millis >= 9.995 ? 1
                                       : 2);
}

}  // namespace

LiveView::LiveView(LivePlan plan)
    : plan_(std::move(plan)), waits_(plan_.hostname.size()) {}

void LiveView::BeginEpoch(std::uint32_t epoch, core::TimePoint now) {
  const core::Nanos steps = train_.time + eval_.time;
  if (epoch_ > 0) {
    gaps_ += now - epoch_start_ - (steps - steps_before_);
  }
  epoch_ = epoch;
  epoch_start_ = now;
  steps_before_ = steps;
  train_.steps_of_epoch = 0;
  eval_.steps_of_epoch = 0;
  BeginBlock();
  block_ = {};
  block_.closed = true;  // as far as it goes
  std::ranges::fill(waits_, core::Nanos{});
  slowest_ = 0;
}

void LiveView::BeginBlock() { steps_of_block_ = 0; }

void LiveView::AddStep(const metrics::StepRecord& record,
                       const comm::RankedValue& longest_load) {
  train_.time += record.proc + record.barrier;
  train_load_ += record.load;
  ++train_.steps;
  ++train_.steps_of_epoch;
  block_.wall += record.proc + record.barrier;
  if (metrics::Counts(plan_.counted, steps_of_block_)) {
    ++block_.counted_steps;
    block_.counted_compute += record.compute;
    block_.counted_bytes += record.bytes;
    longest_loads_.Add(longest_load.value);
  } else {
    block_.excluded_proc += record.proc;
  }
  ++steps_of_block_;
  const auto rank = static_cast<std::size_t>(longest_load.rank);
  waits_[rank] += core::Nanos(longest_load.value);
  if (waits_[rank] > waits_[slowest_]) {
    slowest_ = rank;
  }
}

void LiveView::AddEvalStep(const metrics::StepRecord& record) {
  eval_.time += record.proc;
  ++eval_.steps;
  ++eval_.steps_of_epoch;
}

double LiveView::SecondsLeft() const {
  const auto left = [](std::uint64_t all, std::uint64_t done) {
    return static_cast<double>(all > done ? all - done : 0);
  };
  const double train_step = MeanSeconds(train_.time, train_.steps);
  // Until an evaluation was seen: its computation, and a wait as in training.
  const double eval_step = eval_.steps > 0
                               ? MeanSeconds(eval_.time, eval_.steps)
                               : core::Seconds(plan_.eval_compute) +
                                     MeanSeconds(train_load_, train_.steps);
  const double gap = epoch_ > 1 ? MeanSeconds(gaps_, epoch_ - 1) : 0.0;
  return left(plan_.epochs * plan_.steps, train_.steps) * train_step +
         left(plan_.evaluations * plan_.eval_steps, eval_.steps) * eval_step +
         left(plan_.epochs + 1, epoch_) * gap;
}

LiveFigures LiveView::Figures() const {
  LiveFigures figures;
  figures.epoch = epoch_;
  figures.evaluating = eval_.steps_of_epoch > 0;
  figures.step =
      figures.evaluating ? eval_.steps_of_epoch : train_.steps_of_epoch;
  figures.steps = figures.evaluating ? plan_.eval_steps : plan_.steps;
  if (block_.counted_steps > 0) {
    figures.au_percent = metrics::UtilisationPercent(block_);
    figures.gib_per_second =
        core::ToGiB(metrics::CountedBytesPerSecond(block_)) *
        static_cast<double>(plan_.hostname.size());
  }
  figures.seconds_left = SecondsLeft();
  figures.wait_p50 = core::Seconds(core::Nanos(longest_loads_.Quantile(0.5)));
  figures.wait_p99 = core::Seconds(core::Nanos(longest_loads_.Quantile(0.99)));
  figures.slowest_rank = static_cast<std::uint32_t>(slowest_);
  return figures;
}

Event LiveView::ProgressEvent() const {
  const LiveFigures now = Figures();
  const std::string& host = plan_.hostname[now.slowest_rank];
  const std::string au = Shown(now.au_percent, " %", 1);
  const std::string rate = Shown(now.gib_per_second, " GiB/s", 2);
  const std::string left = core::FormatSeconds(now.seconds_left);
  Event event{.name = "progress"};
  event.text = fmt::format(
      "epoch {}/{} {} {}/{}  AU so far {}  {}  ETA {}  longest waits p50 {} ms "
      "p99 {} ms  slowest rank {} on {}",
      now.epoch, plan_.epochs, now.evaluating ? "evaluation step" : "step",
      now.step, now.steps, au, rate, left, Millis(now.wait_p50),
      Millis(now.wait_p99), now.slowest_rank, host);
  event.brief =
      fmt::format("{} {}/{} {}/{} AU {} {} ETA {} wait {}/{} ms {}@{}",
                  now.evaluating ? "eval" : "ep", now.epoch, plan_.epochs,
                  now.step, now.steps, au, rate, left, Millis(now.wait_p50),
                  Millis(now.wait_p99), now.slowest_rank, host);
  event.fields = {{"phase", now.evaluating ? "evaluation" : "training"},
                  {"epoch", now.epoch},
                  {"epochs", plan_.epochs},
                  {"step", now.step},
                  {"steps", now.steps},
                  {"au_percent", OrNull(now.au_percent)},
                  {"gib_per_s", OrNull(now.gib_per_second)},
                  {"eta_s", now.seconds_left},
                  {"wait_p50_ms", 1000 * now.wait_p50},
                  {"wait_p99_ms", 1000 * now.wait_p99},
                  {"slowest_rank", now.slowest_rank},
                  {"slowest_host", host}};
  return event;
}

}  // namespace stoker::run::internal
