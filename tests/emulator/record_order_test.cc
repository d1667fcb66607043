// In which order the tensorflow record pipeline hands records over.

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "tests/emulator/scenario.h"

namespace stoker::emulator {
namespace {

using testing::EpochLog;
using testing::SampleList;
using testing::Scene;
using testing::Stage;

using RecordOrder = testing::VirtualTimeTest;
using Files = std::vector<std::uint64_t>;

Scene RecordScene(std::uint64_t files, std::uint32_t samples,
                  std::uint32_t threads) {
  Scene scene{.shape = PipelineShape::kTfRecord,
              .files = files,
              .samples_per_file = samples};
  scene.options.read_threads = threads;
  return scene;
}

// One epoch of `scene` must hand over `expected`.
void ExpectOrder(const Scene& scene, core::Clock& clock,
                 const SampleList& expected) {
  Stage stage(scene, "null:", clock);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock, {});
  ASSERT_TRUE(log.status.ok()) << log.status.ToString();
  EXPECT_EQ(log.batches.size() * scene.batch, expected.size());
  EXPECT_EQ(loader->op_stream_hash(), HashOf(stage, scene, expected));
}

TEST_F(RecordOrder, OneRecordOfEachActiveFileInTurn) {
  // Two active files; when they end the staged ones take their places; the
  // fifth is alone.
  ExpectOrder(RecordScene(5, 3, 2), clock_,
              {{0, 0},
               {1, 0},
               {0, 1},
               {1, 1},
               {0, 2},
               {1, 2},
               {2, 0},
               {3, 0},
               {2, 1},
               {3, 1},
               {2, 2},
               {3, 2},
               {4, 0},
               {4, 1},
               {4, 2}});
}

TEST_F(RecordOrder, FilesThatWereNotStagedAtTheStartFollow) {
  // One active file and two staged; files 3 and 4 are opened as workers end.
  ExpectOrder(RecordScene(5, 2, 1), clock_,
              {{0, 0},
               {0, 1},
               {1, 0},
               {1, 1},
               {2, 0},
               {2, 1},
               {3, 0},
               {3, 1},
               {4, 0},
               {4, 1}});
}

TEST_F(RecordOrder, RankRKeepsFilesRModR) {
  Scene scene = RecordScene(6, 2, 4);
  scene.ranks = 2;
  scene.rank = 1;
  ExpectOrder(scene, clock_, {{1, 0}, {3, 0}, {5, 0}, {1, 1}, {3, 1}, {5, 1}});
}

TEST_F(RecordOrder, ARankWithFewerFilesStartsOverWithinTheEpoch) {
  // Three files of four records, two ranks, batches of two: ⌊12 / 2 / 2⌋ = 3
  // steps. Rank 1 has file 1 only, two batches in a pass.
  Scene scene = RecordScene(3, 4, 1);
  scene.batch = 2;
  scene.ranks = 2;
  scene.rank = 1;
  ExpectOrder(scene, clock_, {{1, 0}, {1, 1}, {1, 2}, {1, 3}, {1, 0}, {1, 1}});
}

TEST_F(RecordOrder, TheTailOfAPassIsDropped) {
  // Files of three records in batches of two: rank 1 (one file) has one batch
  // in a pass; ⌊9 / 2 / 2⌋ = 2 steps.
  Scene scene = RecordScene(3, 3, 1);
  scene.batch = 2;
  scene.ranks = 2;
  scene.rank = 1;
  ExpectOrder(scene, clock_, {{1, 0}, {1, 1}, {1, 0}, {1, 1}});
}

TEST_F(RecordOrder, RanksShareRecordsWhereThereAreFewerFilesThanRanks) {
  // Two files of six records, three ranks: rank r keeps every third record.
  Scene scene = RecordScene(2, 6, 1);
  scene.batch = 2;
  scene.ranks = 3;
  ExpectOrder(scene, clock_, {{0, 0}, {0, 3}, {1, 0}, {1, 3}});
  scene.rank = 1;
  ExpectOrder(scene, clock_, {{0, 1}, {0, 4}, {1, 1}, {1, 4}});
  scene.rank = 2;
  ExpectOrder(scene, clock_, {{0, 2}, {0, 5}, {1, 2}, {1, 5}});
}

TEST_F(RecordOrder, EveryEpochStartsWithTheFirstFiles) {
  const Scene scene = RecordScene(3, 1, 2);
  Stage stage(scene, "null:", clock_);
  const auto loader = stage.Make();
  static_cast<void>(testing::RunEpoch(*loader, clock_, {}, 1));
  static_cast<void>(testing::RunEpoch(*loader, clock_, {}, 2));
  dataset::OpStreamHash hash;
  for (std::uint32_t epoch = 1; epoch <= 2; ++epoch) {
    for (std::uint64_t file = 0; file < 3; ++file) {
      hash.Add({.epoch = epoch,
                .step = file,
                .file = file,
                .bytes = stage.BytesOf(file)});
    }
  }
  EXPECT_EQ(loader->op_stream_hash(), hash.value());
}

// --- The shuffle buffer -----------------------------------------------------

constexpr std::uint32_t kBuffer = 8;

Scene ShuffledScene(std::uint64_t files) {
  Scene scene = RecordScene(files, 1, 4);
  scene.sizes = testing::DistinctSizes(1e6);
  scene.options.shuffle_samples = true;
  scene.options.shuffle_size = kBuffer;
  return scene;
}

class ShuffleBuffer : public RecordOrder {
 protected:
  // The order of files in `epochs` epochs, one behind the other.
  Files Order(const Scene& scene, std::uint32_t epochs) {
    Stage stage(scene, "null:", clock_);
    const auto loader = stage.Make();
    Files files;
    for (std::uint32_t epoch = 1; epoch <= epochs; ++epoch) {
      const EpochLog log = testing::RunEpoch(*loader, clock_, {}, epoch);
      EXPECT_TRUE(log.status.ok()) << log.status.ToString();
      const Files more = FilesOf(stage, log);
      files.insert(files.end(), more.begin(), more.end());
    }
    return files;
  }
};

TEST_F(ShuffleBuffer, HandsEachRecordOverOnce) {
  Files files = Order(ShuffledScene(32), 1);
  EXPECT_FALSE(std::ranges::is_sorted(files));
  std::ranges::sort(files);
  for (std::size_t i = 0; i < 32; ++i) {
    EXPECT_EQ(files[i], i);
  }
}

TEST_F(ShuffleBuffer, NoRecordComesBeforeItEnteredTheBuffer) {
  const Files files = Order(ShuffledScene(32), 1);
  for (std::size_t i = 0; i < files.size(); ++i) {
    EXPECT_LT(files[i], i + kBuffer) << "position " << i;
  }
}

TEST_F(ShuffleBuffer, IsTheSameForASeed) {
  EXPECT_EQ(Order(ShuffledScene(32), 2), Order(ShuffledScene(32), 2));
  Scene other = ShuffledScene(32);
  other.options.seed = 124;
  EXPECT_NE(Order(other, 2), Order(ShuffledScene(32), 2));
}

TEST_F(ShuffleBuffer, DiffersFromEpochToEpochUnlessTheSeedStays) {
  const Files files = Order(ShuffledScene(32), 2);
  EXPECT_NE(Files(files.begin(), files.begin() + 32),
            Files(files.begin() + 32, files.end()));
  Scene fixed = ShuffledScene(32);
  fixed.options.seed_change_epoch = false;
  const Files same = Order(fixed, 2);
  EXPECT_EQ(Files(same.begin(), same.begin() + 32),
            Files(same.begin() + 32, same.end()));
}

TEST_F(ShuffleBuffer, OfRanksThatShareRecordsIsOneShuffle) {
  // Four files for five ranks, ten records a file: 40 records, eight each.
  std::vector<std::uint64_t> counts(4);
  for (std::uint64_t rank = 0; rank < 5; ++rank) {
    Scene scene = ShuffledScene(4);
    scene.samples_per_file = 10;
    scene.ranks = 5;
    scene.rank = rank;
    Stage stage(scene, "null:", clock_);
    const auto loader = stage.Make();
    const EpochLog log = testing::RunEpoch(*loader, clock_, {});
    EXPECT_EQ(log.batches.size(), 8U);
    for (const Batch& batch : log.batches) {
      ++counts[stage.FileOfSize(batch.bytes)];
    }
  }
  // Together the ranks handed over each file's ten records.
  EXPECT_EQ(counts, (std::vector<std::uint64_t>{10, 10, 10, 10}));
}

}  // namespace
}  // namespace stoker::emulator
