#pragma once

// The training loop of one rank: load, compute, meet the others; now and then a
// checkpoint.

#include <cstdint>
#include <functional>
#include <vector>

#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"
#include "emulator/accelerator.h"
#include "emulator/checkpoint_times.h"
#include "emulator/loader.h"
#include "metrics/run_record.h"

namespace stoker::emulator {

struct LoopOptions {
  std::uint32_t epochs = 1;
  std::uint64_t steps = 0;  // per epoch, the same on every rank
  bool evaluation = false;
  std::uint64_t eval_steps = 0;
  std::uint32_t eval_after_epoch = 1;
  std::uint32_t epochs_between_evals = 1;
  CheckpointTimes checkpoints{};
  // All ranks meet once the loaders stand, before epoch 1.
  bool start_barrier = true;
  // Pumps go on once the accelerators are asleep: ranks that share cores would
  // hold each other up at the start of a step (LoaderOptions::settle is to be
  // set as well).
  bool settle = false;
  core::Nanos barrier_timeout = std::chrono::hours(1);
};

// Saves checkpoints of what is trained.
class CheckpointHook {
 public:
  virtual ~CheckpointHook() = default;
  // Collective, on the loop's thread, while loaders read ahead. `step` names
  // the checkpoint: the steps of the epoch that are done, one more at its end.
  virtual core::Result<metrics::CheckpointOp> Save(std::uint32_t epoch,
                                                   std::uint64_t step) = 0;
};

// Told before every epoch, after every step, checkpoint and epoch, on the
// loop's thread; must be quick while an epoch goes on. Of a step it is told
// once the next one computes, or the block ends.
class LoopObserver {
 public:
  virtual ~LoopObserver() = default;
  // Nothing is timed yet, and no rank reads; collective calls are allowed here.
  // A failure ends the run.
  virtual core::Status OnEpochStart(std::uint32_t epoch) = 0;
  // `longest_load`: the longest wait for this step's batch of all ranks, ns.
  virtual void OnStep(std::uint32_t epoch, std::uint64_t step,
                      const metrics::StepRecord& record,
                      const comm::RankedValue& longest_load) = 0;
  // The next step, if there is one, begins a block.
  virtual void OnSave(std::uint32_t epoch,
                      const metrics::CheckpointOp& save) = 0;
  virtual void OnEvalStep(std::uint32_t epoch, std::uint64_t step,
                          const metrics::StepRecord& record) = 0;
  // Takes the record; collective calls are allowed here. A failure ends the
  // run.
  virtual core::Status OnEpochEnd(metrics::EpochRecord&& record) = 0;
};

// What the loop works with; nothing is owned. `eval_*` null without
// evaluation, `checkpoints` where none is due.
struct LoopParts {
  comm::Communicator* comm = nullptr;
  core::Clock* clock = nullptr;
  const core::CancelFlag* cancel = nullptr;
  Loader* train_loader = nullptr;
  Accelerator* accelerator = nullptr;
  Loader* eval_loader = nullptr;
  Accelerator* eval_accelerator = nullptr;
  CheckpointHook* checkpoints = nullptr;
  LoopObserver* observer = nullptr;
};

// The epochs that an evaluation follows, ascending.
std::vector<std::uint32_t> EvaluationEpochs(const LoopOptions& options);

// Collective. Each step: the batch, the computation, a barrier. Where a
// checkpoint is due the block ends before it and, if steps are left, the next
// begins after it, so that its time is in no block. Fails with the first error
// of this rank, or of the communicator.
core::Status RunEpochs(const LoopOptions& options, const LoopParts& parts);

}  // namespace stoker::emulator
