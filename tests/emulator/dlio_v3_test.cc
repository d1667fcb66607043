// What dlio-v3 does differently from dlio-v2.

#include <set>
#include <string>
#include <vector>

#include "tests/emulator/scenario.h"
#include "tests/emulator/toy_format.h"

namespace stoker::emulator {
namespace {

using testing::EpochLog;
using testing::Read;
using testing::ReadLog;
using testing::Scene;
using testing::Stage;
using testing::ToyFormat;

using DlioV3 = testing::VirtualTimeTest;

Scene V3Scene(std::uint64_t files) {
  Scene scene{.files = files, .sizes = testing::DistinctSizes(1000)};
  scene.options.model = LoaderModel::kDlioV3;
  return scene;
}

TEST_F(DlioV3, RanksShareWhatDividesAndTheRestIsLeftOut) {
  // 11 files on three ranks: three each. dlio-v2 starts rank 1 at ⌈11/3⌉ = 4.
  std::set<std::uint64_t> seen;
  for (std::uint64_t rank = 0; rank < 3; ++rank) {
    Scene scene = V3Scene(11);
    scene.ranks = 3;
    scene.rank = rank;
    Stage stage(scene, "null:", clock_);
    const auto files =
        FilesOf(stage, testing::RunEpoch(*stage.Make(), clock_, {}));
    EXPECT_EQ(files, (std::vector<std::uint64_t>{3 * rank, 3 * rank + 1,
                                                 3 * rank + 2}));
    seen.insert(files.begin(), files.end());
  }
  EXPECT_EQ(seen.size(), 9U);
}

TEST_F(DlioV3, ReadsAWholeFileFrontToBackForASample) {
  const ToyFormat format;
  ReadLog log;
  Scene scene = V3Scene(1);
  scene.format = &format;
  scene.sizes = {.record_length = 10'000};
  scene.options.transfer_size = 4096;
  scene.options.observer = &log;
  Stage stage(scene, "null:", clock_);
  EXPECT_TRUE(testing::RunEpoch(*stage.Make(), clock_, {}).status.ok());
  EXPECT_THAT(log.seen, ::testing::ElementsAre(Read(0, 4096, 4096),
                                               Read(4096, 4096, 4096),
                                               Read(8192, 1808, 1808)));
}

TEST_F(DlioV3, HoldsOneConstantBatchOnly) {
  // Four lanes with a request each; two tensors of 100 bytes, however far the
  // workers run ahead.
  const ToyFormat format;
  Scene scene = V3Scene(64);
  scene.format = &format;
  scene.batch = 2;
  scene.options.read_threads = 4;
  scene.options.prefetch_size = 16;
  scene.options.transfer_size = 8192;
  Stage stage(scene, "null:", clock_);
  EXPECT_EQ(stage.Make()->pool_bytes(), 4U * 8192 + 2 * 100);
}

TEST_F(DlioV3, RecordsComeInTheOrderOfDlioV2) {
  Scene scene{.shape = PipelineShape::kTfRecord,
              .files = 5,
              .samples_per_file = 3,
              .batch = 2};
  scene.options.shuffle_samples = true;
  scene.options.shuffle_size = 4;
  Stage v2(scene, "null:", clock_);
  const auto reference = v2.Make();
  EXPECT_TRUE(testing::RunEpoch(*reference, clock_, {}).status.ok());
  scene.options.model = LoaderModel::kDlioV3;
  Stage v3(scene, "null:", clock_);
  const auto loader = v3.Make();
  EXPECT_TRUE(testing::RunEpoch(*loader, clock_, {}).status.ok());
  EXPECT_EQ(loader->op_stream_hash(), reference->op_stream_hash());
}

TEST_F(DlioV3, ChecksumsAreVerifiedUnlessNotChecked) {
  for (const PipelineShape shape :
       {PipelineShape::kTorch, PipelineShape::kTfRecord}) {
    Scene scene{.shape = shape, .files = 3, .sizes = {.record_length = 1000}};
    scene.options.model = LoaderModel::kDlioV3;
    const std::string uri =
        "mem:dlio_v3_" + std::to_string(static_cast<int>(shape));
    Stage::Generate(scene, uri);
    const std::string broken = "fault:?object=img_1&flip=500&count=all," + uri;
    Stage checked(scene, broken, clock_);
    EXPECT_EQ(testing::RunEpoch(*checked.Make(), clock_, {}).status.code(),
              core::Code::kCorruption);
    scene.options.check = false;
    Stage unchecked(scene, broken, clock_);
    EXPECT_TRUE(testing::RunEpoch(*unchecked.Make(), clock_, {}).status.ok());
  }
}

}  // namespace
}  // namespace stoker::emulator
