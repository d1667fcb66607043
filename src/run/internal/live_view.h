#pragma once

// How a training run stands, from what rank 0 sees of its steps.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "core/clock.h"
#include "core/histogram.h"
#include "metrics/run_record.h"
#include "metrics/utilisation.h"
#include "run/console.h"

namespace stoker::run::internal {

struct LivePlan {
  std::uint32_t epochs = 1;
  std::uint64_t steps = 0;            // per epoch
  std::uint64_t eval_steps = 0;       // per evaluation
  std::uint64_t evaluations = 0;      // of the run
  core::Nanos eval_compute{};         // mean of an evaluation step
  metrics::CountedSteps counted;      // of training
  std::vector<std::string> hostname;  // element r is of rank r
};

struct LiveFigures {
  std::uint32_t epoch = 0;
  bool evaluating = false;
  std::uint64_t step = 0;  // done, of the epoch's training or evaluation
  std::uint64_t steps = 0;
  // Of this epoch's counted training steps so far; none yet: no value. AU is
  // rank 0's, the rate rank 0's times the ranks.
  std::optional<double> au_percent;
  std::optional<double> gib_per_second;
  double seconds_left = 0;  // of the run
  // Of the counted steps' longest waits for a batch, of the run so far.
  double wait_p50 = 0;  // s
  double wait_p99 = 0;  // s
  // The rank whose longest waits add up to most in this epoch.
  std::uint32_t slowest_rank = 0;
};

// Used by one thread.
class LiveView {
 public:
  explicit LiveView(LivePlan plan);

  void BeginEpoch(std::uint32_t epoch, core::TimePoint now);
  // The next step is the first behind a checkpoint.
  void BeginBlock();
  void AddStep(const metrics::StepRecord& record,
               const comm::RankedValue& longest_load);
  void AddEvalStep(const metrics::StepRecord& record);

  LiveFigures Figures() const;
  // Of the counted training steps, ns.
  const core::Histogram& longest_loads() const { return longest_loads_; }
  Event ProgressEvent() const;

 private:
  struct Series {  // steps of a kind, in the run and in this epoch
    core::Nanos time{};
    std::uint64_t steps = 0;
    std::uint64_t steps_of_epoch = 0;
  };

  double SecondsLeft() const;

  LivePlan plan_;
  std::uint32_t epoch_ = 0;
  Series train_;
  Series eval_;
  core::Nanos train_load_{};
  // Of this epoch's training, all of its blocks; and steps of the current one.
  metrics::BlockSums block_;
  std::uint64_t steps_of_block_ = 0;
  std::vector<core::Nanos> waits_;  // of this epoch's longest, by rank
  std::size_t slowest_ = 0;
  core::Histogram longest_loads_;
  // What epochs take beside their steps.
  core::TimePoint epoch_start_{};
  core::Nanos steps_before_{};  // time of all steps when the epoch began
  core::Nanos gaps_{};
};

}  // namespace stoker::run::internal
