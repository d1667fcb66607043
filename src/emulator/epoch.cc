#include "emulator/epoch.h"

#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <utility>

#include "core/cpu_time.h"
#include "core/thread_policy.h"

namespace stoker::emulator {

namespace {

core::Nanos FromTimeval(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) +
         std::chrono::microseconds(time.tv_usec);
}

metrics::CpuTime CpuTimeNow() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return {.user = FromTimeval(usage.ru_utime),
          .system = FromTimeval(usage.ru_stime),
          .main = core::ThreadCpuTime()};
}

// What the steps of a block cost in CPU time; two system calls each.
class CpuMeter {
 public:
  explicit CpuMeter(const Loader& loader) : loader_(loader), last_(Look()) {}

  // Since the last call, or construction.
  void Lap(metrics::StepRecord& step) {
    const Reading now = Look();
    step.cpu = now.process - last_.process;
    step.cpu_main = now.main - last_.main;
    step.checking = now.checking - last_.checking;
    last_ = now;
  }

 private:
  struct Reading {
    core::Nanos process{};
    core::Nanos main{};
    core::Nanos checking{};
  };

  Reading Look() const {
    return {.process = core::ProcessCpuTime(),
            .main = core::ThreadCpuTime(),
            .checking = loader_.checking_so_far()};
  }

  const Loader& loader_;
  Reading last_;
};

// Writes down what a step was, but not before the next one computes: between a
// barrier and the computation all ranks wait for the slowest.
class StepBook {
 public:
  // All outlive this.
  StepBook(std::uint32_t epoch, const Loader& loader, LoopObserver& observer,
           metrics::BlockRecord& block)
      : epoch_(epoch), cpu_(loader), observer_(observer), block_(block) {}
  StepBook(const StepBook&) = delete;
  StepBook& operator=(const StepBook&) = delete;
  // The last step has no other after it.
  ~StepBook() { Write(); }

  // The step is over; its CPU time is what was spent since the one before.
  void Keep(std::uint64_t step, const metrics::StepRecord& record,
            const comm::RankedValue& longest_load) {
    kept_ = {.step = step, .record = record, .longest_load = longest_load};
    cpu_.Lap(kept_.record);
    pending_ = true;
  }

  // What is kept, if anything is.
  void Write() {
    if (std::exchange(pending_, false)) {
      block_.steps.push_back(kept_.record);
      observer_.OnStep(epoch_, kept_.step, kept_.record, kept_.longest_load);
    }
  }

 private:
  struct Kept {
    std::uint64_t step = 0;
    metrics::StepRecord record{};
    comm::RankedValue longest_load{};
  };

  std::uint32_t epoch_;
  CpuMeter cpu_;
  LoopObserver& observer_;
  metrics::BlockRecord& block_;
  Kept kept_;
  bool pending_ = false;
};

// The steps of an epoch from one checkpoint to the next.
struct Stretch {
  std::uint32_t epoch = 1;
  std::uint64_t done = 0;  // steps before
  std::uint64_t last = 0;
};

class Loop {
 public:
  Loop(const LoopOptions& options, const LoopParts& parts)
      : options_(options), parts_(parts) {}

  core::Status Run() {
    if (options_.start_barrier) {
      STOKER_TRY(parts_.comm->Barrier(options_.barrier_timeout));
    }
    const std::vector<std::uint32_t> evaluations = EvaluationEpochs(options_);
    for (std::uint32_t epoch = 1; epoch <= options_.epochs; ++epoch) {
      const bool evaluate = std::ranges::binary_search(evaluations, epoch);
      const core::Status status = Epoch(epoch, evaluate);
      // What came through the communicator names its rank and epoch already.
      if (!status.ok()) {
        return status.code() == core::Code::kUnavailable
                   ? status
                   : status.WithContext("epoch " + std::to_string(epoch));
      }
    }
    return {};
  }

 private:
  core::Status Epoch(std::uint32_t epoch, bool evaluate) {
    metrics::EpochRecord record;
    record.epoch = epoch;
    STOKER_TRY(parts_.observer->OnEpochStart(epoch));
    const metrics::CpuTime cpu_before = CpuTimeNow();
    record.start = parts_.clock->Now();
    STOKER_TRY(Train(epoch, record));
    STOKER_TRY(parts_.comm->Barrier(options_.barrier_timeout));
    record.train_end = parts_.clock->Now();
    STOKER_ASSIGN(record.train_loader, parts_.train_loader->FinishEpoch());
    // What was read beyond the epoch is gone by then, as in the reference.
    if (DueAfterEpoch(options_.checkpoints, epoch)) {
      STOKER_TRY(Save(epoch, options_.steps + 1, record));
      record.train_end = parts_.clock->Now();
    }
    if (evaluate) {
      record.eval.emplace();
      STOKER_TRY(EvalBlock(epoch, *record.eval).WithContext("evaluation"));
      STOKER_ASSIGN(record.eval_loader, parts_.eval_loader->FinishEpoch());
    }
    // The ranks meet between epochs, as where the reference remaps samples.
    STOKER_TRY(parts_.comm->Barrier(options_.barrier_timeout));
    record.end = parts_.clock->Now();
    const metrics::CpuTime cpu_after = CpuTimeNow();
    record.cpu = {.user = cpu_after.user - cpu_before.user,
                  .system = cpu_after.system - cpu_before.system,
                  .main = cpu_after.main - cpu_before.main};
    return parts_.observer->OnEpochEnd(std::move(record));
  }

  // Blocks of steps, checkpoints between them. The last step may be followed by
  // a checkpoint, not by a block without steps.
  core::Status Train(std::uint32_t epoch, metrics::EpochRecord& record) {
    std::uint64_t done = 0;
    do {
      const Stretch stretch = {
          .epoch = epoch,
          .done = done,
          .last = LastStepOfBlock(options_.checkpoints, done, options_.steps)};
      record.blocks.emplace_back();
      STOKER_TRY(TrainBlock(stretch, record.blocks.back()));
      done = stretch.last;
      if (DueAfterStep(options_.checkpoints, done)) {
        STOKER_TRY(Save(epoch, done, record));
      }
    } while (done < options_.steps);
    return {};
  }

  core::Status Save(std::uint32_t epoch, std::uint64_t step,
                    metrics::EpochRecord& record) {
    STOKER_ASSIGN(const metrics::CheckpointOp save,
                  parts_.checkpoints->Save(epoch, step));
    record.saves.push_back(save);
    parts_.observer->OnSave(epoch, save);
    return {};
  }

  core::Status TrainBlock(const Stretch& stretch, metrics::BlockRecord& block) {
    core::Clock& clock = *parts_.clock;
    block.steps.reserve(stretch.last - stretch.done);
    block.start = clock.Now();
    core::TimePoint loading = block.start;
    StepBook book(stretch.epoch, *parts_.train_loader, *parts_.observer, block);
    if (stretch.done == 0) {
      STOKER_TRY(parts_.train_loader->StartEpoch(stretch.epoch));
    }
    for (std::uint64_t step = stretch.done; step < stretch.last; ++step) {
      metrics::StepRecord record;
      STOKER_TRY(LoadAndCompute(*parts_.train_loader, *parts_.accelerator,
                                loading, &book, record));
      const core::TimePoint computed = loading + record.proc;
      STOKER_ASSIGN(const comm::RankedValue longest_load,
                    parts_.comm->BarrierMax(options_.barrier_timeout,
                                            record.load.count()));
      loading = clock.Now();
      record.barrier = loading - computed;
      book.Keep(step, record, longest_load);
    }
    block.end = loading;
    block.closed = true;
    return {};
  }

  // No barrier between evaluation steps.
  core::Status EvalBlock(std::uint32_t epoch, metrics::BlockRecord& block) {
    core::Clock& clock = *parts_.clock;
    block.steps.reserve(options_.eval_steps);
    block.start = clock.Now();
    core::TimePoint loading = block.start;
    CpuMeter cpu(*parts_.eval_loader);
    STOKER_TRY(parts_.eval_loader->StartEpoch(epoch));
    for (std::uint64_t step = 0; step < options_.eval_steps; ++step) {
      metrics::StepRecord record;
      STOKER_TRY(LoadAndCompute(*parts_.eval_loader, *parts_.eval_accelerator,
                                loading, nullptr, record));
      loading += record.proc;
      cpu.Lap(record);
      block.steps.push_back(record);
      parts_.observer->OnEvalStep(epoch, step, record);
    }
    block.end = loading;
    block.closed = true;
    return {};
  }

  // Fills load, compute, proc, overshoot, samples and bytes. `book`, if given,
  // is brought up to date during the computation.
  core::Status LoadAndCompute(Loader& loader, Accelerator& accelerator,
                              core::TimePoint loading, StepBook* book,
                              metrics::StepRecord& record) {
    STOKER_ASSIGN(const std::optional<Batch> batch, loader.Next());
    if (!batch.has_value()) {
      return {core::Code::kCorruption,
              "the loader ran out of batches before the last step"};
    }
    record.load = parts_.clock->Now() - loading;
    const ComputeTime compute = accelerator.Compute(
        [&loader, book] {
          loader.GoOn();
          if (book != nullptr) {
            book->Write();
          }
        },
        options_.settle ? Meanwhile::kSettled : Meanwhile::kAtOnce);
    if (parts_.cancel->IsSet()) {
      return {core::Code::kCancelled, "the run was stopped"};
    }
    record.compute = compute.taken;
    record.overshoot = compute.overshoot;
    record.proc = parts_.clock->Now() - loading;
    record.samples = batch->samples;
    record.bytes = batch->bytes;
    return {};
  }

  const LoopOptions& options_;
  const LoopParts& parts_;
};

}  // namespace

std::vector<std::uint32_t> EvaluationEpochs(const LoopOptions& options) {
  std::vector<std::uint32_t> epochs;
  std::uint32_t next = options.eval_after_epoch;
  for (std::uint32_t epoch = 1; options.evaluation && epoch <= options.epochs;
       ++epoch) {
    if (epoch >= next) {
      epochs.push_back(epoch);
      next += options.epochs_between_evals;
    }
  }
  return epochs;
}

core::Status RunEpochs(const LoopOptions& options, const LoopParts& parts) {
  core::PreferPromptWakeUps();
  return Loop(options, parts).Run();
}

}  // namespace stoker::emulator
