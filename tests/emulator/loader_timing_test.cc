// Waits for batches in virtual time, against hand arithmetic.
//
// A pytorch sample is an npz file of one array of 10 × 10 bytes: 598 bytes
// that numpy gets with one size query and six reads (strace), seven operations.
// A tensorflow sample is a record of 65,595 bytes, read by requests of that
// size: one operation.

#include <string>
#include <vector>

#include "tests/emulator/scenario.h"

namespace stoker::emulator {
namespace {

using testing::EpochLog;
using testing::microseconds;
using testing::milliseconds;
using testing::Scene;
using testing::Stage;

using LoaderTiming = testing::VirtualTimeTest;

Scene TorchScene(std::uint64_t files, std::uint32_t threads) {
  Scene scene{.files = files};
  scene.options.read_threads = threads;
  return scene;
}

// One file, so that one lane reads and no two requests overlap.
Scene RecordScene(std::uint32_t records) {
  Scene scene{.shape = PipelineShape::kTfRecord,
              .files = 1,
              .samples_per_file = records,
              .sizes = {.record_length = 65536}};
  scene.options.transfer_size = 65595;
  return scene;
}

TEST_F(LoaderTiming, TorchWaitsOnceWhenStorageIsFaster) {
  // 7 × 100 us a sample against 2100 us of computation.
  Stage stage(TorchScene(6, 1), "model:?latency=100us&servers=1,null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, microseconds(2100));
  EXPECT_EQ(log.waits, Micros({700, 0, 0, 0, 0, 0}));
  EXPECT_EQ(log.total, microseconds(700 + 6 * 2100));
}

TEST_F(LoaderTiming, TorchWaitsEachStepWhenStorageIsSlower) {
  // 7 × 300 us a sample against 700 us: sample k is there at 2100 (k + 1), and
  // asked for 700 us after sample k - 1 was.
  Stage stage(TorchScene(6, 1), "model:?latency=300us&servers=1,null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, microseconds(700));
  EXPECT_EQ(log.waits, Micros({2100, 1400, 1400, 1400, 1400, 1400}));
}

TEST_F(LoaderTiming, RecordsWaitOnceWhenStorageIsFaster) {
  Stage stage(RecordScene(6), "model:?latency=100us&servers=1,null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, microseconds(300));
  EXPECT_EQ(log.waits, Micros({100, 0, 0, 0, 0, 0}));
}

TEST_F(LoaderTiming, RecordsWaitEachStepWhenStorageIsSlower) {
  Stage stage(RecordScene(6), "model:?latency=300us&servers=1,null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, microseconds(100));
  EXPECT_EQ(log.waits, Micros({300, 200, 200, 200, 200, 200}));
}

TEST_F(LoaderTiming, LanesShareTheStorage) {
  // Two lanes over two servers: batches 0 and 1 are there at 700, batches 2
  // and 3 begin when 0 and 1 are taken, at 700, and are there at 1400.
  Stage stage(TorchScene(4, 2), "model:?latency=100us&servers=2,null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, {});
  EXPECT_EQ(log.waits, Micros({700, 0, 700, 0}));
}

TEST_F(LoaderTiming, WithoutWorkersNothingOverlaps) {
  Stage stage(TorchScene(5, 0), "model:?latency=100us&servers=1,null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, milliseconds(10));
  EXPECT_EQ(log.waits, Micros({700, 700, 700, 700, 700}));
  EXPECT_EQ(log.total, microseconds(5 * 10700));
}

TEST_F(LoaderTiming, EveryEpochStartsCold) {
  Stage stage(TorchScene(3, 1), "model:?latency=100us&servers=1,null:", clock_);
  const auto loader = stage.Make();
  for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) {
    const EpochLog log =
        testing::RunEpoch(*loader, clock_, milliseconds(10), epoch);
    EXPECT_EQ(log.waits, Micros({700, 0, 0})) << "epoch " << epoch;
  }
}

TEST_F(LoaderTiming, ASlowFileHoldsBackLaterBatches) {
  // File 0 takes 50 ms; batches 1 to 3 are whole long before.
  Stage stage(TorchScene(8, 4),
              "fault:?object=img_0_&nth=0&delay=50ms,null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, {});
  EXPECT_EQ(log.waits, Micros({50000, 0, 0, 0, 0, 0, 0, 0}));
  for (std::size_t i = 0; i < log.batches.size(); ++i) {
    EXPECT_EQ(log.batches[i].step, i);
  }
}

// --- preprocess_time --------------------------------------------------------

TimeSource HundredMicros() {
  return {{.kind = TimeModel::Kind::kConstant, .a = 100e-6}, 1};
}

TEST_F(LoaderTiming, TorchPreprocessesEachSampleInItsWorker) {
  // Two samples a batch: 200 us. Two workers take turns; batch k + 2 begins
  // when batch k is taken.
  Scene scene = TorchScene(8, 2);
  scene.batch = 2;
  scene.options.preprocess = HundredMicros();
  Stage stage(scene, "null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, {});
  EXPECT_EQ(log.waits, Micros({200, 0, 200, 0}));
}

TEST_F(LoaderTiming, RecordsArePreprocessedByComputationThreads) {
  // 200 us a batch. Two threads: batches 0 and 1 come out at 200, 2 and 3 at
  // 400, 4 and 5 (begun when 0 and 1 are taken) at 600.
  Scene scene = RecordScene(12);
  scene.batch = 2;
  scene.options.preprocess = HundredMicros();
  scene.options.computation_threads = 2;
  Stage stage(scene, "null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, {});
  EXPECT_EQ(log.waits, Micros({200, 0, 200, 0, 200, 0}));
}

TEST_F(LoaderTiming, OneComputationThreadPreprocessesOneBatchAtATime) {
  Scene scene = RecordScene(12);
  scene.batch = 2;
  scene.options.preprocess = HundredMicros();
  Stage stage(scene, "null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, {});
  EXPECT_EQ(log.waits, Micros({200, 200, 200, 200, 200, 200}));
}

}  // namespace
}  // namespace stoker::emulator
