// Lanes that are spread over several pump threads.

#include <string>
#include <vector>

#include "tests/emulator/scenario.h"

namespace stoker::emulator {
namespace {

using testing::EpochLog;
using testing::milliseconds;
using testing::Scene;
using testing::Stage;

using PumpThreads = testing::VirtualTimeTest;

Scene SceneOf(PipelineShape shape) {
  Scene scene{.shape = shape,
              .files = 24,
              .batch = 2,
              .sizes = testing::DistinctSizes(1000)};
  scene.options.read_threads = 3;
  if (shape == PipelineShape::kTfRecord) {
    scene.samples_per_file = 4;
    scene.options.shuffle_samples = true;
    scene.options.shuffle_size = 5;
  }
  if (shape == PipelineShape::kShuffled) {
    scene.options.model = LoaderModel::kLean;
  }
  return scene;
}

constexpr PipelineShape kShapes[] = {
    PipelineShape::kTorch, PipelineShape::kTfRecord,
    PipelineShape::kTfGenerator, PipelineShape::kShuffled};

// Two epochs.
struct TwoEpochs {
  std::uint64_t hash = 0;
  std::vector<EpochLog> epochs;
};

TwoEpochs RunScene(const Scene& scene, std::string_view uri, core::Clock& clock,
                   core::Nanos compute) {
  Stage stage(scene, uri, clock);
  const auto loader = stage.Make();
  TwoEpochs run;
  for (std::uint32_t epoch = 1; epoch <= 2; ++epoch) {
    run.epochs.push_back(testing::RunEpoch(*loader, clock, compute, epoch));
    EXPECT_TRUE(run.epochs.back().status.ok())
        << run.epochs.back().status.ToString();
    EXPECT_EQ(run.epochs.back().batches.size(), stage.steps());
  }
  run.hash = loader->op_stream_hash();
  return run;
}

TEST_F(PumpThreads, HandOverTheSameInTheSameTime) {
  constexpr std::string_view kSlow = "model:?latency=1ms,null:";
  for (const PipelineShape shape : kShapes) {
    Scene scene = SceneOf(shape);
    const TwoEpochs one = RunScene(scene, kSlow, clock_, milliseconds(4));
    for (const std::uint32_t threads : {2U, 3U, 64U}) {
      scene.options.pump_threads = threads;
      const TwoEpochs more = RunScene(scene, kSlow, clock_, milliseconds(4));
      EXPECT_EQ(more.hash, one.hash);
      for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(more.epochs[i].total, one.epochs[i].total)
            << "shape " << static_cast<int>(shape) << ", " << threads;
        EXPECT_EQ(more.epochs[i].counters.files_opened,
                  one.epochs[i].counters.files_opened);
        EXPECT_EQ(more.epochs[i].counters.reads.bytes,
                  one.epochs[i].counters.reads.bytes);
        EXPECT_EQ(more.epochs[i].counters.payload_bytes_delivered,
                  one.epochs[i].counters.payload_bytes_delivered);
      }
    }
  }
}

TEST(PumpThreadsOnTheSystemsClock, HandOverTheSame) {
  core::SystemClock clock;
  for (const PipelineShape shape : kShapes) {
    Scene scene = SceneOf(shape);
    const std::string uri =
        "mem:pump_threads_" + std::to_string(static_cast<int>(shape));
    Stage::Generate(scene, uri);
    const TwoEpochs one = RunScene(scene, uri, clock, {});
    scene.options.pump_threads = 3;
    EXPECT_EQ(RunScene(scene, uri, clock, {}).hash, one.hash);
  }
}

TEST_F(PumpThreads, AllEndWhenOneMeetsAnError) {
  for (const PipelineShape shape : kShapes) {
    Scene scene = SceneOf(shape);
    scene.options.pump_threads = 3;
    Stage stage(scene,
                "fault:?object=img_07&error=EIO&count=all,null:", clock_);
    const auto loader = stage.Make();
    const EpochLog log = testing::RunEpoch(*loader, clock_, milliseconds(1));
    EXPECT_EQ(log.status.code(), core::Code::kIoError) << log.status.ToString();
    EXPECT_FALSE(loader->StartEpoch(2).ok());
  }
}

TEST_F(PumpThreads, TimeSpentCheckingIsCountedWhereThereIsSomethingToCheck) {
  core::SystemClock clock;
  Scene scene = SceneOf(PipelineShape::kTorch);
  scene.options.pump_threads = 2;
  Stage::Generate(scene, "mem:pump_threads_checking");
  Stage real(scene, "mem:pump_threads_checking", clock);
  const auto loader = real.Make();
  const EpochLog first = testing::RunEpoch(*loader, clock, {}, 1);
  EXPECT_GT(first.counters.checking, core::Nanos{});
  EXPECT_EQ(loader->checking_so_far(), first.counters.checking);
  const EpochLog second = testing::RunEpoch(*loader, clock, {}, 2);
  EXPECT_EQ(loader->checking_so_far(),
            first.counters.checking + second.counters.checking);
  Stage null(scene, "null:", clock);
  EXPECT_EQ(testing::RunEpoch(*null.Make(), clock, {}).counters.checking,
            core::Nanos{});
}

}  // namespace
}  // namespace stoker::emulator
