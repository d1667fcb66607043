#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "emulator/epoch.h"
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
using testing::ScriptedSaver;
using testing::Seat;
using testing::seconds;
using testing::Stage;
using testing::Witness;

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
      Stage stage(scene, "model:?latency=100us&servers=1,null:", clock);
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
