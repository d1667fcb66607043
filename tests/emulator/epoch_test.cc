#include "emulator/epoch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "metrics/utilisation.h"
#include "tests/emulator/scenario.h"
#include "tests/emulator/scripted_loop.h"

namespace stoker::emulator {
namespace {

using core::Code;
using core::Nanos;
using core::Status;
using testing::Constant;
using ::testing::HasSubstr;
using testing::microseconds;
using testing::OnRanks;
using testing::Scene;
using testing::ScriptedLoader;
using testing::Seat;
using testing::seconds;
using testing::Stage;
using testing::Witness;

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

// Between the barrier and the computation all would wait for it.
TEST(RunEpochs, AStepIsToldOnceTheNextComputes) {
  core::VirtualClock clock;
  OnRanks(1, clock, [&](comm::Communicator& comm) {
    for (const bool settle : {false, true}) {
      Seat seat(clock, {.epochs = 1, .steps = 3, .settle = settle});
      seat.witness.clock = &clock;
      const core::TimePoint start = clock.Now();
      ASSERT_TRUE(seat.Run(comm, microseconds(10000)).ok());
      // Steps of 50 us and 10 ms; 4 % of the computation until it has settled.
      const Nanos step = microseconds(50) + microseconds(10000);
      const Nanos into = microseconds(50 + (settle ? 400 : 0));
      ASSERT_EQ(seat.witness.told.size(), 3U);
      EXPECT_EQ(seat.witness.told[0] - start, step + into);
      EXPECT_EQ(seat.witness.told[1] - start, 2 * step + into);
      EXPECT_EQ(seat.witness.told[2] - start, 3 * step);
    }
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
    Stage stage(scene, "model:?latency=100us&servers=1,null:", clock);
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

}  // namespace
}  // namespace stoker::emulator
