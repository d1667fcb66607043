// npz under tensorflow: one generator a lane, each with a chunk of the share.

#include <string>
#include <vector>

#include "tests/emulator/scenario.h"

namespace stoker::emulator {
namespace {

using testing::EpochLog;
using testing::Scene;
using testing::Stage;

using GeneratorShape = testing::VirtualTimeTest;
using Files = std::vector<std::uint64_t>;

Scene GeneratorScene(std::uint64_t files, std::uint32_t threads) {
  Scene scene{.shape = PipelineShape::kTfGenerator,
              .files = files,
              .sizes = testing::DistinctSizes(1000)};
  scene.options.read_threads = threads;
  return scene;
}

TEST_F(GeneratorShape, LanesYieldBatchesOfTheirChunksInRotation) {
  // Rank 1 of two owns files 4 to 7: lane 0 the chunk 4, 5, lane 1 6, 7.
  Scene scene = GeneratorScene(8, 2);
  scene.ranks = 2;
  scene.rank = 1;
  Stage stage(scene, "null:", clock_);
  const auto loader = stage.Make();
  EXPECT_EQ(FilesOf(stage, testing::RunEpoch(*loader, clock_, {})),
            (Files{4, 6, 5, 7}));
}

TEST_F(GeneratorShape, ChunksDifferByOneBatchAtMost) {
  // Five batches, three lanes: chunks 0 1 | 2 3 | 4.
  Stage stage(GeneratorScene(5, 3), "null:", clock_);
  const auto loader = stage.Make();
  EXPECT_EQ(FilesOf(stage, testing::RunEpoch(*loader, clock_, {})),
            (Files{0, 2, 4, 1, 3}));
}

// numpy.random.RandomState(124).shuffle(list(range(10))), and with seed 125.
const Files kSeed124{6, 8, 3, 5, 4, 0, 9, 2, 7, 1};
const Files kSeed125{9, 1, 0, 6, 4, 5, 3, 8, 7, 2};
// The first of the two shuffled again, in place, with seed 125.
const Files kSeed124Then125{1, 8, 6, 9, 4, 0, 5, 7, 2, 3};

TEST_F(GeneratorShape, FileShufflesFollowNumpyAndAddUp) {
  Scene scene = GeneratorScene(10, 1);
  scene.options.shuffle_files = true;
  Stage stage(scene, "null:", clock_);
  const auto loader = stage.Make();
  EXPECT_EQ(FilesOf(stage, testing::RunEpoch(*loader, clock_, {}, 1)),
            kSeed124);
  EXPECT_EQ(FilesOf(stage, testing::RunEpoch(*loader, clock_, {}, 2)),
            kSeed124Then125);
}

TEST_F(GeneratorShape, SampleShufflesFollowNumpyAndStartAnew) {
  Scene scene = GeneratorScene(10, 1);
  scene.options.shuffle_samples = true;
  Stage stage(scene, "null:", clock_);
  const auto loader = stage.Make();
  EXPECT_EQ(FilesOf(stage, testing::RunEpoch(*loader, clock_, {}, 1)),
            kSeed124);
  EXPECT_EQ(FilesOf(stage, testing::RunEpoch(*loader, clock_, {}, 2)),
            kSeed125);
}

TEST_F(GeneratorShape, TheSeedStaysWhereItDoesNotChangeByEpoch) {
  Scene scene = GeneratorScene(10, 1);
  scene.options.shuffle_samples = true;
  scene.options.seed = 125;
  scene.options.seed_change_epoch = false;
  Stage stage(scene, "null:", clock_);
  const auto loader = stage.Make();
  for (std::uint32_t epoch = 1; epoch <= 2; ++epoch) {
    EXPECT_EQ(FilesOf(stage, testing::RunEpoch(*loader, clock_, {}, epoch)),
              kSeed125);
  }
}

TEST_F(GeneratorShape, ListsOfShuffledFilesAndSamplesCountAsMemory) {
  // 10 files of the set and the rank's 5 samples, 4 bytes each.
  Scene scene = GeneratorScene(10, 2);
  scene.ranks = 2;
  const std::uint64_t plain =
      Stage(scene, "null:", clock_).Make()->pool_bytes();
  scene.options.shuffle_files = true;
  scene.options.shuffle_samples = true;
  Stage stage(scene, "null:", clock_);
  EXPECT_EQ(stage.Make()->pool_bytes(), plain + 4 * (10 + 5));
  EXPECT_EQ(PoolBytes(scene.shape, stage.Data(), stage.Options(), {}),
            plain + 4 * (10 + 5));
}

TEST_F(GeneratorShape, ShuffledRanksShareOutTheFiles) {
  Files all;
  for (std::uint64_t rank = 0; rank < 2; ++rank) {
    Scene scene = GeneratorScene(10, 2);
    scene.ranks = 2;
    scene.rank = rank;
    scene.options.shuffle_files = true;
    scene.options.shuffle_samples = true;
    Stage stage(scene, "null:", clock_);
    const auto loader = stage.Make();
    const Files mine = FilesOf(stage, testing::RunEpoch(*loader, clock_, {}));
    all.insert(all.end(), mine.begin(), mine.end());
  }
  std::ranges::sort(all);
  EXPECT_EQ(all, (Files{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

}  // namespace
}  // namespace stoker::emulator
