#pragma once

// The training loop with parts that do as they are told, in virtual time.

#include <gtest/gtest.h>
#include <time.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "emulator/accelerator.h"
#include "emulator/epoch.h"
#include "emulator/loader.h"

namespace stoker::emulator::testing {

inline core::Nanos ThreadCpu() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + core::Nanos(time.tv_nsec);
}

inline void BurnCpu(core::Nanos time) {
  const core::Nanos end = ThreadCpu() + time;
  while (ThreadCpu() < end) {
  }
}

// A loader whose batches take `load` each and have 7 samples of 10 bytes.
class ScriptedLoader final : public Loader {
 public:
  ScriptedLoader(core::Clock& clock, core::Nanos load, std::uint64_t steps)
      : clock_(clock), load_(load), steps_(steps) {}

  std::uint64_t fail_at = std::numeric_limits<std::uint64_t>::max();
  std::vector<std::uint32_t> started;  // epochs
  int finished = 0;
  core::Nanos burn{};  // CPU time each batch costs the accelerator's thread

  core::Status StartEpoch(std::uint32_t epoch) override {
    started.push_back(epoch);
    step_ = 0;
    return {};
  }
  core::Result<std::optional<Batch>> Next() override {
    if (step_ == steps_) {
      return std::optional<Batch>{};
    }
    if (step_ == fail_at) {
      return core::Status(core::Code::kIoError, "the disk is gone");
    }
    clock_.SleepUntil(clock_.Now() + load_);
    ++handed_out_;
    if (burn > core::Nanos{}) {
      BurnCpu(burn);
    }
    return std::optional<Batch>({.step = step_++, .samples = 7, .bytes = 70});
  }
  core::Result<metrics::LoaderCounters> FinishEpoch() override {
    ++finished;
    metrics::LoaderCounters counters;
    counters.samples_delivered = 7 * step_;
    return counters;
  }
  // As if checking a batch took 3 us.
  core::Nanos checking_so_far() const override {
    return std::chrono::microseconds(3) * static_cast<int>(handed_out_);
  }
  std::uint64_t op_stream_hash() const override { return 0; }
  std::uint64_t pool_bytes() const override { return 0; }
  std::string_view engine() const override { return ""; }

 private:
  core::Clock& clock_;
  core::Nanos load_;
  std::uint64_t steps_;
  std::uint64_t step_ = 0;
  std::uint64_t handed_out_ = 0;
};

class Witness final : public LoopObserver {
 public:
  std::vector<std::string> calls;
  std::vector<metrics::EpochRecord> epochs;
  std::vector<comm::RankedValue> longest_loads;
  core::Status answer;
  const core::Clock* clock = nullptr;  // if given, when steps were told
  std::vector<core::TimePoint> told;

  core::Status OnEpochStart(std::uint32_t epoch) override {
    calls.push_back("start " + std::to_string(epoch));
    return {};
  }
  void OnStep(std::uint32_t epoch, std::uint64_t step,
              const metrics::StepRecord& record,
              const comm::RankedValue& longest) override {
    calls.push_back("step " + std::to_string(epoch) + "." +
                    std::to_string(step) + " " +
                    std::to_string(record.samples));
    longest_loads.push_back(longest);
    if (clock != nullptr) {
      told.push_back(clock->Now());
    }
  }
  void OnSave(std::uint32_t epoch, const metrics::CheckpointOp& save) override {
    calls.push_back("save " + std::to_string(epoch) + "." +
                    std::to_string(save.step));
  }
  void OnEvalStep(std::uint32_t epoch, std::uint64_t step,
                  const metrics::StepRecord& record) override {
    calls.push_back("eval " + std::to_string(epoch) + "." +
                    std::to_string(step) + " " +
                    std::to_string(record.samples));
  }
  core::Status OnEpochEnd(metrics::EpochRecord&& record) override {
    calls.push_back("end " + std::to_string(record.epoch));
    epochs.push_back(std::move(record));
    return answer;
  }
};

// Each checkpoint takes `taken`.
class ScriptedSaver final : public CheckpointHook {
 public:
  ScriptedSaver(core::Clock& clock, core::Nanos taken)
      : clock_(clock), taken_(taken) {}

  std::uint64_t fail_at = 0;  // step
  core::Nanos burn{};         // CPU time each costs

  core::Result<metrics::CheckpointOp> Save(std::uint32_t /*epoch*/,
                                           std::uint64_t step) override {
    if (step == fail_at) {
      return core::Status(core::Code::kIoError, "the checkpoint disk is full");
    }
    metrics::CheckpointOp op;
    op.step = step;
    op.start = clock_.Now();
    clock_.SleepUntil(op.start + taken_);
    if (burn > core::Nanos{}) {
      BurnCpu(burn);
    }
    op.end = clock_.Now();
    return op;
  }

 private:
  core::Clock& clock_;
  core::Nanos taken_;
};

inline TimeSource Constant(core::Nanos time) {
  return {{.kind = TimeModel::Kind::kConstant, .a = core::Seconds(time)}, 1};
}

// One rank with scripted loaders, and what became of it.
struct Seat {
  Seat(core::Clock& run_clock, const LoopOptions& loop)
      : clock(run_clock),
        options(loop),
        train(run_clock, std::chrono::microseconds(50), loop.steps),
        eval(run_clock, std::chrono::microseconds(20), loop.eval_steps),
        saver(run_clock, std::chrono::seconds(2)) {}

  core::Status Run(comm::Communicator& comm, core::Nanos compute) {
    Accelerator accelerator(Constant(compute), clock, cancel);
    Accelerator eval_accelerator(Constant(std::chrono::microseconds(30)), clock,
                                 cancel);
    return RunEpochs(options, {.comm = &comm,
                               .clock = &clock,
                               .cancel = &cancel,
                               .train_loader = &train,
                               .accelerator = &accelerator,
                               .eval_loader = &eval,
                               .eval_accelerator = &eval_accelerator,
                               .checkpoints = &saver,
                               .observer = &witness});
  }

  core::Clock& clock;
  core::CancelFlag cancel;
  LoopOptions options;
  ScriptedLoader train;
  ScriptedLoader eval;
  ScriptedSaver saver;
  Witness witness;
};

// Runs `body` on every rank; the clock starts at 0.
inline void OnRanks(int ranks, core::VirtualClock& clock,
                    const std::function<void(comm::Communicator&)>& body) {
  comm::RunThreads(ranks, clock, nullptr, body);
}

}  // namespace stoker::emulator::testing
