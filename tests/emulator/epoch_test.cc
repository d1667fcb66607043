#include "emulator/epoch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "metrics/utilisation.h"
#include "tests/emulator/scenario.h"

namespace stoker::emulator {
namespace {

using core::Code;
using core::Nanos;
using core::Status;
using ::testing::HasSubstr;
using testing::microseconds;
using testing::Scene;
using testing::seconds;
using testing::Stage;

Nanos ThreadCpu() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + Nanos(time.tv_nsec);
}

void BurnCpu(Nanos time) {
  const Nanos end = ThreadCpu() + time;
  while (ThreadCpu() < end) {
  }
}

// A loader whose batches take `load` each and have 7 samples of 10 bytes.
class ScriptedLoader final : public Loader {
 public:
  ScriptedLoader(core::Clock& clock, Nanos load, std::uint64_t steps)
      : clock_(clock), load_(load), steps_(steps) {}

  std::uint64_t fail_at = std::numeric_limits<std::uint64_t>::max();
  std::vector<std::uint32_t> started;  // epochs
  int finished = 0;
  Nanos burn{};  // CPU time each batch costs the accelerator's thread

  Status StartEpoch(std::uint32_t epoch) override {
    started.push_back(epoch);
    step_ = 0;
    return {};
  }
  core::Result<std::optional<Batch>> Next() override {
    if (step_ == steps_) {
      return std::optional<Batch>{};
    }
    if (step_ == fail_at) {
      return Status(Code::kIoError, "the disk is gone");
    }
    clock_.SleepUntil(clock_.Now() + load_);
    ++handed_out_;
    if (burn > Nanos{}) {
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
  Nanos checking_so_far() const override {
    return microseconds(3) * static_cast<int>(handed_out_);
  }
  std::uint64_t op_stream_hash() const override { return 0; }
  std::uint64_t pool_bytes() const override { return 0; }
  std::string_view engine() const override { return ""; }

 private:
  core::Clock& clock_;
  Nanos load_;
  std::uint64_t steps_;
  std::uint64_t step_ = 0;
  std::uint64_t handed_out_ = 0;
};

class Witness final : public LoopObserver {
 public:
  std::vector<std::string> calls;
  std::vector<metrics::EpochRecord> epochs;
  std::vector<comm::RankedValue> longest_loads;
  Status answer;

  void OnEpochStart(std::uint32_t epoch) override {
    calls.push_back("start " + std::to_string(epoch));
  }
  void OnStep(std::uint32_t epoch, std::uint64_t step,
              const metrics::StepRecord& record,
              const comm::RankedValue& longest) override {
    calls.push_back("step " + std::to_string(epoch) + "." +
                    std::to_string(step) + " " +
                    std::to_string(record.samples));
    longest_loads.push_back(longest);
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
  Status OnEpochEnd(metrics::EpochRecord&& record) override {
    calls.push_back("end " + std::to_string(record.epoch));
    epochs.push_back(std::move(record));
    return answer;
  }
};

// Each checkpoint takes `taken`.
class ScriptedSaver final : public CheckpointHook {
 public:
  ScriptedSaver(core::Clock& clock, Nanos taken)
      : clock_(clock), taken_(taken) {}

  std::uint64_t fail_at = 0;  // step
  Nanos burn{};               // CPU time each costs

  core::Result<metrics::CheckpointOp> Save(std::uint32_t /*epoch*/,
                                           std::uint64_t step) override {
    if (step == fail_at) {
      return Status(Code::kIoError, "the checkpoint disk is full");
    }
    metrics::CheckpointOp op;
    op.step = step;
    op.start = clock_.Now();
    clock_.SleepUntil(op.start + taken_);
    if (burn > Nanos{}) {
      BurnCpu(burn);
    }
    op.end = clock_.Now();
    return op;
  }

 private:
  core::Clock& clock_;
  Nanos taken_;
};

TimeSource Constant(Nanos time) {
  return {{.kind = TimeModel::Kind::kConstant, .a = core::Seconds(time)}, 1};
}

// One rank with scripted loaders, and what became of it.
struct Seat {
  Seat(core::Clock& run_clock, const LoopOptions& loop)
      : clock(run_clock),
        options(loop),
        train(run_clock, microseconds(50), loop.steps),
        eval(run_clock, microseconds(20), loop.eval_steps),
        saver(run_clock, seconds(2)) {}

  Status Run(comm::Communicator& comm, Nanos compute) {
    Accelerator accelerator(Constant(compute), clock, cancel);
    Accelerator eval_accelerator(Constant(microseconds(30)), clock, cancel);
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
void OnRanks(int ranks, core::VirtualClock& clock,
             const std::function<void(comm::Communicator&)>& body) {
  comm::RunThreads(ranks, clock, nullptr, body);
}

TEST(RunEpochs, RecordsLoadComputeProcAndBarrierOfEachStep) {
  // Both ranks load for 50 us; they compute for 100 and 200 us, so rank 0
  // waits 100 us at the barrier and a step takes 250 us.
  core::VirtualClock clock;
  OnRanks(2, clock, [&](comm::Communicator& comm) {
    Seat seat(clock, {.epochs = 2, .steps = 3});
    const microseconds compute(100 * (comm.rank() + 1));
    const Status status = seat.Run(comm, compute);
    ASSERT_TRUE(status.ok()) << status.ToString();
    ASSERT_EQ(seat.witness.epochs.size(), 2U);
    for (const metrics::EpochRecord& epoch : seat.witness.epochs) {
      const metrics::BlockRecord& block = epoch.blocks.front();
      EXPECT_EQ(block.end - block.start, microseconds(3 * 250));
      EXPECT_TRUE(block.closed);
      ASSERT_EQ(block.steps.size(), 3U);
      for (const metrics::StepRecord& step : block.steps) {
        EXPECT_EQ(step.load, microseconds(50));
        EXPECT_EQ(step.compute, compute);
        EXPECT_EQ(step.proc, microseconds(50) + compute);
        EXPECT_EQ(step.barrier, microseconds(200) - compute);
        EXPECT_EQ(step.overshoot, Nanos{});
        EXPECT_EQ(step.samples, 7U);
        EXPECT_EQ(step.bytes, 70U);
      }
      EXPECT_EQ(epoch.train_loader.samples_delivered, 21U);
    }
  });
}

TEST(RunEpochs, TellsTheObserverInOrder) {
  core::VirtualClock clock;
  OnRanks(1, clock, [&](comm::Communicator& comm) {
    Seat seat(clock, {.epochs = 2, .steps = 2});
    ASSERT_TRUE(seat.Run(comm, microseconds(1)).ok());
    EXPECT_EQ(seat.witness.calls,
              (std::vector<std::string>{"start 1", "step 1.0 7", "step 1.1 7",
                                        "end 1", "start 2", "step 2.0 7",
                                        "step 2.1 7", "end 2"}));
    EXPECT_EQ(seat.train.started, (std::vector<std::uint32_t>{1, 2}));
    EXPECT_EQ(seat.train.finished, 2);
  });
}

TEST(RunEpochs, EveryRankLearnsTheLongestWaitOfAStepAndWhoseItIs) {
  // Rank r waits 50 + 10 r us for each batch, computes for 100 us.
  core::VirtualClock clock;
  OnRanks(3, clock, [&](comm::Communicator& comm) {
    Seat seat(clock, {.epochs = 1, .steps = 2});
    ScriptedLoader loader(clock, microseconds(50 + 10 * comm.rank()), 2);
    Accelerator accelerator(Constant(microseconds(100)), clock, seat.cancel);
    const Status status = RunEpochs(seat.options, {.comm = &comm,
                                                   .clock = &clock,
                                                   .cancel = &seat.cancel,
                                                   .train_loader = &loader,
                                                   .accelerator = &accelerator,
                                                   .observer = &seat.witness});
    ASSERT_TRUE(status.ok()) << status.ToString();
    ASSERT_EQ(seat.witness.longest_loads.size(), 2U);
    for (const comm::RankedValue& longest : seat.witness.longest_loads) {
      EXPECT_EQ(longest.value, Nanos(microseconds(70)).count());
      EXPECT_EQ(longest.rank, 2);
    }
  });
}

TEST(RunEpochs, CpuTimeIsOfTheStepItWasSpentIn) {
  // Each batch costs this thread 2 ms, and the loader says 3 us of checks.
  core::VirtualClock clock;
  OnRanks(1, clock, [&](comm::Communicator& comm) {
    Seat seat(clock,
              {.epochs = 2, .steps = 3, .evaluation = true, .eval_steps = 2});
    constexpr microseconds kBurnt(2000);
    seat.train.burn = kBurnt;
    seat.eval.burn = kBurnt;
    ASSERT_TRUE(seat.Run(comm, microseconds(100)).ok());
    for (const metrics::EpochRecord& epoch : seat.witness.epochs) {
      Nanos main{};
      for (const auto* block : {&epoch.blocks.front(), &*epoch.eval}) {
        for (const metrics::StepRecord& step : block->steps) {
          EXPECT_GE(step.cpu_main, kBurnt);
          EXPECT_GE(step.cpu, kBurnt);
          EXPECT_EQ(step.checking, microseconds(3));
          main += step.cpu_main;
        }
      }
      EXPECT_GE(epoch.cpu.main, main);
    }
  });
}

TEST(RunEpochs, TheObserverSeesEvaluationStepsToo) {
  core::VirtualClock clock;
  OnRanks(1, clock, [&](comm::Communicator& comm) {
    Seat seat(clock,
              {.epochs = 1, .steps = 1, .evaluation = true, .eval_steps = 2});
    ASSERT_TRUE(seat.Run(comm, microseconds(1)).ok());
    EXPECT_EQ(seat.witness.calls,
              (std::vector<std::string>{"start 1", "step 1.0 7", "eval 1.0 7",
                                        "eval 1.1 7", "end 1"}));
  });
}

TEST(RunEpochs, EvaluatesAfterTheEpochsAskedFor) {
  core::VirtualClock clock;
  OnRanks(1, clock, [&](comm::Communicator& comm) {
    Seat seat(clock, {.epochs = 7,
                      .steps = 1,
                      .evaluation = true,
                      .eval_steps = 2,
                      .eval_after_epoch = 2,
                      .epochs_between_evals = 3});
    ASSERT_TRUE(seat.Run(comm, microseconds(100)).ok());
    EXPECT_EQ(seat.eval.started, (std::vector<std::uint32_t>{2, 5}));
    EXPECT_FALSE(seat.witness.epochs[0].eval.has_value());
    const metrics::EpochRecord& second = seat.witness.epochs[1];
    ASSERT_TRUE(second.eval.has_value());
    // Two steps of 20 us load and 30 us computation.
    EXPECT_EQ(second.eval->end - second.eval->start, microseconds(100));
    EXPECT_EQ(second.eval->steps[1].load, microseconds(20));
    EXPECT_EQ(second.eval->steps[1].compute, microseconds(30));
    EXPECT_EQ(second.eval_loader.samples_delivered, 14U);
    EXPECT_EQ(second.train_end - second.start, microseconds(150));
    EXPECT_EQ(second.end - second.start, microseconds(250));
  });
}

TEST(RunEpochs, RanksDoNotWaitForEachOtherBetweenEvaluationSteps) {
  // Rank 1 loads for 20 us longer in each of the three steps; rank 0's
  // evaluation is over before, and the epoch ends for both with the slower.
  core::VirtualClock clock;
  OnRanks(2, clock, [&](comm::Communicator& comm) {
    Seat seat(clock,
              {.epochs = 1, .steps = 1, .evaluation = true, .eval_steps = 3});
    ScriptedLoader slow(clock, microseconds(40), 3);
    Accelerator accelerator(Constant(microseconds(30)), clock, seat.cancel);
    const bool is_slow = comm.rank() == 1;
    const Status status =
        RunEpochs(seat.options, {.comm = &comm,
                                 .clock = &clock,
                                 .cancel = &seat.cancel,
                                 .train_loader = &seat.train,
                                 .accelerator = &accelerator,
                                 .eval_loader = is_slow ? &slow : &seat.eval,
                                 .eval_accelerator = &accelerator,
                                 .observer = &seat.witness});
    ASSERT_TRUE(status.ok()) << status.ToString();
    const metrics::EpochRecord& epoch = seat.witness.epochs.front();
    EXPECT_EQ(epoch.eval->end - epoch.eval->start,
              microseconds(is_slow ? 3 * 70 : 3 * 50));
    EXPECT_EQ(epoch.end - epoch.eval->start, microseconds(3 * 70));
  });
}

TEST(RunEpochs, TheStartBarrierKeepsASlowStartOutOfTheFirstEpoch) {
  for (const bool barrier : {true, false}) {
    core::VirtualClock clock;
    OnRanks(2, clock, [&](comm::Communicator& comm) {
      Seat seat(clock, {.epochs = 1, .steps = 2, .start_barrier = barrier});
      clock.SleepUntil(core::TimePoint(seconds(comm.rank())));
      ASSERT_TRUE(seat.Run(comm, microseconds(100)).ok());
      if (comm.rank() == 1) {
        return;
      }
      const metrics::EpochRecord& epoch = seat.witness.epochs.front();
      EXPECT_EQ(epoch.start, core::TimePoint(seconds(barrier ? 1 : 0)));
      EXPECT_EQ(epoch.blocks.front().steps.front().barrier,
                seconds(barrier ? 0 : 1));
    });
  }
}

TEST(RunEpochs, ARankThatFailsEndsTheOthersOnceItsCallerAborts) {
  core::VirtualClock clock;
  OnRanks(3, clock, [&](comm::Communicator& comm) {
    Seat seat(clock, {.epochs = 1, .steps = 5});
    if (comm.rank() == 1) {
      seat.train.fail_at = 2;
    }
    const Status status = seat.Run(comm, microseconds(100));
    if (comm.rank() == 1) {
      EXPECT_EQ(status.code(), Code::kIoError);
      EXPECT_THAT(std::string(status.message()), HasSubstr("epoch 1"));
      comm.Abort(status);
    } else {
      EXPECT_FALSE(status.ok());
      EXPECT_THAT(std::string(status.message()), HasSubstr("the disk is gone"));
    }
    // Two whole steps, and nobody waited for a time limit.
    EXPECT_EQ(seat.witness.calls.size(), 3U);
    EXPECT_LT(clock.Now(), core::TimePoint(seconds(1)));
  });
}

TEST(RunEpochs, AnObserverThatFailsEndsTheRun) {
  core::VirtualClock clock;
  OnRanks(1, clock, [&](comm::Communicator& comm) {
    Seat seat(clock, {.epochs = 3, .steps = 1});
    seat.witness.answer = Status(Code::kIoError, "the result disk is full");
    const Status status = seat.Run(comm, microseconds(100));
    EXPECT_EQ(status.code(), Code::kIoError);
    EXPECT_EQ(seat.witness.epochs.size(), 1U);
  });
}

TEST(RunEpochs, ALoaderThatRunsOutIsAnError) {
  core::VirtualClock clock;
  OnRanks(1, clock, [&](comm::Communicator& comm) {
    Seat seat(clock, {.epochs = 1, .steps = 3});
    seat.options.steps = 4;
    EXPECT_EQ(seat.Run(comm, microseconds(100)).code(), Code::kCorruption);
  });
}

TEST(RunEpochs, AStoppedRunEndsWithinAComputation) {
  core::VirtualClock clock;
  OnRanks(1, clock, [&](comm::Communicator& comm) {
    Seat seat(clock, {.epochs = 1, .steps = 3});
    core::ClockedThread stopper(clock, [&] {
      clock.SleepUntil(core::TimePoint(seconds(5)));
      seat.cancel.Set();
    });
    EXPECT_EQ(seat.Run(comm, seconds(3600)).code(), Code::kCancelled);
    EXPECT_LT(clock.Now(), core::TimePoint(seconds(6)));
  });
}

// --- With checkpoints -------------------------------------------------------

TEST(RunEpochs, ACheckpointByStepsEndsABlockAndTheNextBeginsAfterIt) {
  // Steps of 150 us; each save takes 2 s.
  core::VirtualClock clock;
  OnRanks(1, clock, [&](comm::Communicator& comm) {
    Seat seat(clock,
              {.epochs = 2, .steps = 5, .checkpoints = {.steps_between = 2}});
    ASSERT_TRUE(seat.Run(comm, microseconds(100)).ok());
    EXPECT_EQ(seat.train.started, (std::vector<std::uint32_t>{1, 2}));
    ASSERT_EQ(seat.witness.epochs.size(), 2U);
    for (const metrics::EpochRecord& epoch : seat.witness.epochs) {
      ASSERT_EQ(epoch.blocks.size(), 3U);
      ASSERT_EQ(epoch.saves.size(), 2U);
      EXPECT_EQ(epoch.blocks[0].start, epoch.start);
      for (std::size_t i = 0; i < 3; ++i) {
        const metrics::BlockRecord& block = epoch.blocks[i];
        EXPECT_TRUE(block.closed);
        EXPECT_EQ(block.steps.size(), i < 2 ? 2U : 1U);
        EXPECT_EQ(block.end - block.start, microseconds(i < 2 ? 300 : 150));
        // The wait for a batch begins anew after the save.
        EXPECT_EQ(block.steps[0].load, microseconds(50));
      }
      for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(epoch.saves[i].step, 2 * (i + 1));
        EXPECT_EQ(epoch.saves[i].start, epoch.blocks[i].end);
        EXPECT_EQ(epoch.saves[i].end, epoch.blocks[i + 1].start);
      }
      EXPECT_EQ(epoch.end - epoch.start, seconds(4) + microseconds(5 * 150));
    }
  });
}

TEST(RunEpochs, TellsTheObserverOfCheckpointsWhereTheyHappen) {
  core::VirtualClock clock;
  OnRanks(1, clock, [&](comm::Communicator& comm) {
    Seat seat(clock,
              {.epochs = 1, .steps = 4, .checkpoints = {.steps_between = 2}});
    ASSERT_TRUE(seat.Run(comm, microseconds(100)).ok());
    EXPECT_EQ(seat.witness.calls,
              (std::vector<std::string>{"start 1", "step 1.0 7", "step 1.1 7",
                                        "save 1.2", "step 1.2 7", "step 1.3 7",
                                        "save 1.4", "end 1"}));
    // No block without steps behind the last.
    EXPECT_EQ(seat.witness.epochs[0].blocks.size(), 2U);
  });
}

TEST(RunEpochs, ACheckpointAtAnEpochsEndComesOnceTheBlockIsClosed) {
  // Two steps of 150 us, a save of 2 s, an evaluation of one step of 50 us.
  core::VirtualClock clock;
  OnRanks(1, clock, [&](comm::Communicator& comm) {
    Seat seat(clock, {.epochs = 4,
                      .steps = 2,
                      .evaluation = true,
                      .eval_steps = 1,
                      .checkpoints = {.steps_between = -1,
                                      .after_epoch = 2,
                                      .epochs_between = 2}});
    ASSERT_TRUE(seat.Run(comm, microseconds(100)).ok());
    EXPECT_TRUE(seat.witness.epochs[0].saves.empty());
    EXPECT_TRUE(seat.witness.epochs[2].saves.empty());
    for (const std::size_t i : {1U, 3U}) {
      const metrics::EpochRecord& epoch = seat.witness.epochs[i];
      ASSERT_EQ(epoch.blocks.size(), 1U);
      EXPECT_EQ(epoch.blocks[0].end - epoch.blocks[0].start, microseconds(300));
      ASSERT_EQ(epoch.saves.size(), 1U);
      EXPECT_EQ(epoch.saves[0].step, 3U);  // one beyond the last
      EXPECT_EQ(epoch.saves[0].start, epoch.blocks[0].end);
      EXPECT_EQ(epoch.train_end, epoch.saves[0].end);
      EXPECT_EQ(epoch.eval->start, epoch.train_end);
    }
  });
}

TEST(RunEpochs, UtilisationLeavesTheTimeOfCheckpointsOut) {
  // Steps of 50 us load and 100 us computation, none excluded: 2/3, in each
  // block and in the mean of blocks of 2, 2 and 1 steps, with and without.
  for (const std::int64_t between : {0, 2}) {
    core::VirtualClock clock;
    OnRanks(2, clock, [&](comm::Communicator& comm) {
      Seat seat(
          clock,
          {.epochs = 1, .steps = 5, .checkpoints = {.steps_between = between}});
      ASSERT_TRUE(seat.Run(comm, microseconds(100)).ok());
      std::vector<double> values;
      std::vector<std::uint64_t> steps;
      for (const metrics::BlockRecord& block : seat.witness.epochs[0].blocks) {
        const metrics::BlockSums sums = metrics::SumBlock(
            block, {.epoch_steps = 5, .exclude_start = 0, .exclude_end = 0});
        values.push_back(metrics::UtilisationPercent(sums));
        steps.push_back(sums.steps);
      }
      EXPECT_EQ(values.size(), between == 0 ? 1U : 3U);
      EXPECT_NEAR(metrics::WeightedByBlockSteps(values, steps), 200.0 / 3,
                  1e-9);
    });
  }
}

TEST(RunEpochs, CpuTimeOfACheckpointIsOfNoStep) {
  // Each save costs this thread 50 ms.
  core::VirtualClock clock;
  OnRanks(1, clock, [&](comm::Communicator& comm) {
    Seat seat(clock,
              {.epochs = 1, .steps = 2, .checkpoints = {.steps_between = 1}});
    seat.saver.burn = microseconds(50000);
    ASSERT_TRUE(seat.Run(comm, microseconds(100)).ok());
    const metrics::EpochRecord& epoch = seat.witness.epochs.front();
    EXPECT_GE(epoch.cpu.main, 2 * seat.saver.burn);
    for (const metrics::BlockRecord& block : epoch.blocks) {
      EXPECT_LT(block.steps[0].cpu_main, seat.saver.burn);
    }
  });
}

TEST(RunEpochs, ACheckpointThatFailsEndsTheRun) {
  core::VirtualClock clock;
  OnRanks(1, clock, [&](comm::Communicator& comm) {
    Seat seat(clock,
              {.epochs = 3, .steps = 5, .checkpoints = {.steps_between = 2}});
    seat.saver.fail_at = 4;
    const Status status = seat.Run(comm, microseconds(100));
    EXPECT_EQ(status.code(), Code::kIoError);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("epoch 1: the checkpoint disk is full"));
    // Four steps, one save.
    EXPECT_EQ(seat.witness.calls.size(), 1U + 4 + 1);
  });
}

// --- With real loaders ------------------------------------------------------

// Batches of 7 on two ranks for 500 steps; storage answers at once.
Scene PerfectScene(PipelineShape shape, int rank) {
  const bool record = shape == PipelineShape::kTfRecord;
  Scene scene{.shape = shape,
              .files = record ? 10U : 7000U,
              .samples_per_file = record ? 700U : 1U,
              .batch = 7,
              .ranks = 2,
              .rank = static_cast<std::uint64_t>(rank)};
  scene.options.read_threads = 4;
  return scene;
}

// Runs one epoch of 0.323 s steps and hands over its block.
metrics::BlockRecord PerfectOverlap(const Scene& scene, core::Clock& clock,
                                    comm::Communicator& comm) {
  Stage stage(scene, "null:", clock);
  const auto loader = stage.Make();
  Accelerator accelerator(Constant(testing::milliseconds(323)), clock,
                          stage.cancel());
  Witness witness;
  const Status status =
      RunEpochs({.epochs = 1, .steps = 500}, {.comm = &comm,
                                              .clock = &clock,
                                              .cancel = &stage.cancel(),
                                              .train_loader = loader.get(),
                                              .accelerator = &accelerator,
                                              .observer = &witness});
  EXPECT_TRUE(status.ok()) << status.ToString();
  return status.ok() ? witness.epochs.front().blocks.front()
                     : metrics::BlockRecord{};
}

TEST(RunEpochs, PerfectOverlapScoresOneHundredPercent) {
  // 499 counted steps in 499 · 0.323 s; the reference's rate counts 498 steps:
  // 498 / 499 · 7 / 0.323 = 21.628 samples/s.
  for (const PipelineShape shape :
       {PipelineShape::kTorch, PipelineShape::kTfRecord}) {
    core::VirtualClock clock;
    OnRanks(2, clock, [&](comm::Communicator& comm) {
      const metrics::BlockSums sums = metrics::SumBlock(
          PerfectOverlap(PerfectScene(shape, comm.rank()), clock, comm),
          {.epoch_steps = 500});
      EXPECT_DOUBLE_EQ(metrics::UtilisationPercent(sums), 100.0);
      const double rate = 498.0 / 499.0 * 7 / 0.323;
      EXPECT_NEAR(metrics::ReferenceSamplesPerSecond(sums, 7), rate, 1e-9);
      EXPECT_NEAR(rate, 21.628, 0.0005);
      EXPECT_EQ(sums.counted_load, Nanos{});
      EXPECT_EQ(sums.max_overshoot, Nanos{});
      EXPECT_EQ(sums.total_samples, 3500U);
    });
  }
}

TEST(RunEpochs, StorageSharedByNoOneHoldsEachRankUpAlike) {
  // Without workers a step is 7 operations of 100 us for one sample and 300 us
  // of computation; both ranks have storage of their own, so no barrier waits.
  core::VirtualClock clock;
  OnRanks(2, clock, [&](comm::Communicator& comm) {
    Scene scene{.files = 8,
                .ranks = 2,
                .rank = static_cast<std::uint64_t>(comm.rank())};
    scene.options.read_threads = 0;
    Stage stage(scene, "model:?latency=100us,null:", clock);
    const auto loader = stage.Make();
    Accelerator accelerator(Constant(microseconds(300)), clock, stage.cancel());
    Witness witness;
    const Status status =
        RunEpochs({.epochs = 1, .steps = 4}, {.comm = &comm,
                                              .clock = &clock,
                                              .cancel = &stage.cancel(),
                                              .train_loader = loader.get(),
                                              .accelerator = &accelerator,
                                              .observer = &witness});
    ASSERT_TRUE(status.ok()) << status.ToString();
    for (const metrics::StepRecord& step :
         witness.epochs.front().blocks.front().steps) {
      EXPECT_EQ(step.load, microseconds(700));
      EXPECT_EQ(step.proc, microseconds(1000));
      EXPECT_EQ(step.barrier, Nanos{});
    }
  });
}

TEST(RunEpochs, LoadersReadAheadDuringACheckpointAndReadTheSame) {
  // A sample is 7 operations of 100 us and one worker reads; 300 us of
  // computation leave 400 us to wait for each batch, but for those that came
  // while a checkpoint was saved.
  std::vector<std::uint64_t> hashes;
  for (const std::int64_t between : {0, 3}) {
    core::VirtualClock clock;
    OnRanks(1, clock, [&](comm::Communicator& comm) {
      Scene scene{.files = 8};
      scene.options.read_threads = 1;
      Stage stage(scene, "model:?latency=100us,null:", clock);
      const auto loader = stage.Make();
      Accelerator accelerator(Constant(microseconds(300)), clock,
                              stage.cancel());
      ScriptedSaver saver(clock, seconds(1));
      Witness witness;
      const Status status = RunEpochs(
          {.epochs = 1, .steps = 8, .checkpoints = {.steps_between = between}},
          {.comm = &comm,
           .clock = &clock,
           .cancel = &stage.cancel(),
           .train_loader = loader.get(),
           .accelerator = &accelerator,
           .checkpoints = &saver,
           .observer = &witness});
      ASSERT_TRUE(status.ok()) << status.ToString();
      hashes.push_back(loader->op_stream_hash());
      const auto& blocks = witness.epochs.front().blocks;
      ASSERT_EQ(blocks.size(), between == 0 ? 1U : 3U);
      EXPECT_EQ(blocks[0].steps[2].load, microseconds(400));
      for (std::size_t i = 1; i < blocks.size(); ++i) {
        EXPECT_EQ(blocks[i].steps[0].load, Nanos{});
      }
    });
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

}  // namespace
}  // namespace stoker::emulator
