// How loaders get at the bytes: past the page cache, mapped, by whole blocks.

#include <string>
#include <vector>

#include "tests/emulator/aligned_backend.h"
#include "tests/emulator/scenario.h"
#include "tests/emulator/toy_format.h"

namespace stoker::emulator {
namespace {

using storage::Access;
using testing::BlockBackend;
using testing::EpochLog;
using testing::IndexedToyFormat;
using testing::Read;
using testing::ReadLog;
using testing::Scene;
using testing::Stage;
using testing::ToyFormat;

using testing::milliseconds;

using LoaderAccess = testing::VirtualTimeTest;

class DirectLoader : public LoaderAccess {
 protected:
  // One epoch of `scene` over block storage.
  EpochLog Run(Scene scene, const std::string& uri) {
    Stage::Generate(scene, uri);
    scene.options.observer = &log_;
    Stage stage(scene, uri, clock_);
    BlockBackend backend(stage.backend());
    LoaderData data = stage.Data();
    data.backend = &backend;
    const LoaderOptions options = stage.Options();
    auto loader =
        MakeLoader(scene.shape, data, options, clock_, stage.cancel());
    EXPECT_TRUE(loader.ok()) << loader.status().ToString();
    pool_bytes_ = loader.value()->pool_bytes();
    const storage::ReadLimits limits{.offset_align = testing::kBlock,
                                     .buffer_align = testing::kBlock};
    EXPECT_EQ(PoolBytes(scene.shape, data, options, limits), pool_bytes_);
    EpochLog log = testing::RunEpoch(*loader.value(), clock_, {});
    loader = core::Status(core::Code::kCancelled, "gone");
    accesses_ = backend.accesses;
    return log;
  }

  ToyFormat format_;
  ReadLog log_;
  std::uint64_t pool_bytes_ = 0;
  std::vector<Access> accesses_;
};

TEST_F(DirectLoader, ReadsAWholeFileInOneRequestOfWholeBlocks) {
  // 10,000 bytes: three blocks.
  Scene scene{.files = 2, .sizes = {.record_length = 10'000}};
  scene.format = &format_;
  scene.options.read_threads = 1;
  scene.options.direct = true;
  const EpochLog log = Run(scene, "mem:direct_whole");
  ASSERT_TRUE(log.status.ok()) << log.status.ToString();
  EXPECT_EQ(accesses_, std::vector<Access>{Access::kDirect});
  EXPECT_THAT(log_.seen, ::testing::ElementsAre(Read(0, 12'288, 10'000),
                                                Read(0, 12'288, 10'000)));
  // One buffer, the largest file; three tensors of 100 bytes.
  EXPECT_EQ(pool_bytes_, 12'288U + 3 * 100);
}

TEST_F(DirectLoader, RoundsRequestsOutAndHandsOverWhatWasAskedFor) {
  // Sample 1 of each file: bytes 10,000 to 19,999. The request ends at the next
  // multiple of 12,288 and begins within a block: 8,192 to 12,287, then 12,288
  // to 20,479 of a file of 20,000 bytes. The program looks at every byte.
  Scene scene{.shape = PipelineShape::kShuffled,
              .files = 3,
              .samples_per_file = 2,
              .sizes = {.record_length = 10'000}};
  scene.format = &format_;
  scene.options.model = LoaderModel::kLean;
  scene.options.byte_budget = 12'288;  // one lane
  scene.options.request_bytes = 12'288;
  scene.options.direct = true;
  const EpochLog log = Run(scene, "mem:direct_rounded");
  ASSERT_TRUE(log.status.ok()) << log.status.ToString();
  EXPECT_EQ(log.counters.samples_delivered, 6U);
  EXPECT_THAT(log_.seen, ::testing::Contains(Read(0, 12'288, 12'288)));
  EXPECT_THAT(log_.seen, ::testing::Contains(Read(8192, 4096, 4096)));
  EXPECT_THAT(log_.seen, ::testing::Contains(Read(12'288, 8192, 7712)));
  EXPECT_EQ(log_.seen.size(), 9U);
}

TEST_F(DirectLoader, MapsFilesOnlyWhereTheModelDoes) {
  const IndexedToyFormat indexed;
  Scene scene{.format = &indexed};
  Stage stage(scene, "null:", clock_);
  LoaderOptions options = stage.Options();
  EXPECT_EQ(AccessOf(stage.Data(), options), Access::kMapped);
  options.model = LoaderModel::kDlioV3;
  EXPECT_EQ(AccessOf(stage.Data(), options), Access::kDefault);
  options.direct = true;
  EXPECT_EQ(AccessOf(stage.Data(), options), Access::kDirect);
}

// --- Index files ------------------------------------------------------------

class Sidecars : public LoaderAccess {
 protected:
  Scene IndexedScene() {
    Scene scene{.files = 6,
                .samples_per_file = 2,
                .ranks = 2,
                .rank = 1,
                .sizes = {.record_length = 1000}};
    scene.format = &format_;
    scene.options.read_threads = 2;
    return scene;
  }
  // Data, and indices of `bytes` bytes each, at a place of the test's own.
  std::string Write(const Scene& scene, std::size_t bytes) {
    const std::string uri =
        std::string("mem:sidecars_") +
        ::testing::UnitTest::GetInstance()->current_test_info()->name();
    Stage::Generate(scene, uri);
    core::SystemClock clock;
    auto backend = storage::OpenBackend(uri);
    for (int file = 0; file < 6; ++file) {
      for (const char* suffix : {".off.idx", ".sz.idx"}) {
        EXPECT_TRUE(storage::WriteObject(*backend.value(),
                                         "train/img_" + std::to_string(file) +
                                             "_of_6.toy" + suffix,
                                         std::string(bytes, 'x'), clock)
                        .ok());
      }
    }
    return uri;
  }
  static std::size_t CountIndices(const std::vector<testing::Opened>& opened) {
    std::size_t count = 0;
    for (const testing::Opened& one : opened) {
      count += one.name.ends_with(".idx") ? 1 : 0;
    }
    return count;
  }

  IndexedToyFormat format_;
};

TEST_F(Sidecars, OfTheRanksFilesAreReadByEachWorkerOnceAndFirst) {
  // Rank 1 of two has files 3 to 5, two indices each, two workers.
  const Scene scene = IndexedScene();
  Stage stage(scene, Write(scene, 16), clock_);
  const auto loader = stage.Make();
  EXPECT_TRUE(stage.backend().opened().empty());
  const EpochLog first = testing::RunEpoch(*loader, clock_, {}, 1);
  ASSERT_TRUE(first.status.ok()) << first.status.ToString();
  EXPECT_EQ(CountIndices(stage.backend().opened()), 2U * 3 * 2);
  EXPECT_EQ(first.counters.files_opened, 12U + 6);
  EXPECT_EQ(first.counters.reads.size_queries, 12U);
  // 12 indices of 16 bytes; 6 visits that read a file of 2,000 bytes.
  const std::uint64_t edge = 31;  // ⌊√1000⌋
  EXPECT_EQ(first.counters.reads.bytes, 12 * 16 + 6 * 2 * edge * edge);
  EXPECT_THAT(stage.backend().opened().front().name,
              ::testing::HasSubstr("img_3_of_6.toy.off.idx"));
  const EpochLog second = testing::RunEpoch(*loader, clock_, {}, 2);
  EXPECT_EQ(second.counters.files_opened, 6U);
}

TEST_F(Sidecars, CountInTheFirstLoadUnlessTheModelWarmsUp) {
  // 1 ms an operation: six indices a worker, a question and a read each, before
  // its first sample of one request.
  const Scene scene = IndexedScene();
  const std::string slow = "model:?latency=1ms&servers=64," + Write(scene, 16);
  Stage cold(scene, slow, clock_);
  const EpochLog log = testing::RunEpoch(*cold.Make(), clock_, {});
  EXPECT_EQ(log.waits.front(), milliseconds(13));
  Scene v3 = scene;
  v3.options.model = LoaderModel::kDlioV3;
  Stage warm(v3, slow, clock_);
  const auto loader = warm.Make();
  EXPECT_EQ(CountIndices(warm.backend().opened()), 12U);
  const EpochLog warm_log = testing::RunEpoch(*loader, clock_, {});
  EXPECT_EQ(warm_log.waits.front(), milliseconds(1));
  EXPECT_EQ(warm_log.counters.files_opened, 6U);
  EXPECT_EQ(warm_log.counters.reads.size_queries, 0U);
}

TEST_F(Sidecars, OfAnotherSizeAreCorrupt) {
  const Scene scene = IndexedScene();
  const std::string uri = Write(scene, 24);
  Stage stage(scene, uri, clock_);
  const EpochLog log = testing::RunEpoch(*stage.Make(), clock_, {});
  EXPECT_EQ(log.status.code(), core::Code::kCorruption);
  EXPECT_THAT(std::string(log.status.message()),
              ::testing::HasSubstr(".off.idx: expected 16 bytes, found 24"));
  Scene v3 = scene;
  v3.options.model = LoaderModel::kDlioV3;
  Stage warm(v3, uri, clock_);
  EXPECT_EQ(warm.TryMake().status().code(), core::Code::kCorruption);
}

TEST_F(Sidecars, AreReadOnStorageWithoutDataToo) {
  Stage stage(IndexedScene(), "null:", clock_);
  const EpochLog log = testing::RunEpoch(*stage.Make(), clock_, {});
  ASSERT_TRUE(log.status.ok()) << log.status.ToString();
  EXPECT_EQ(log.counters.files_opened, 12U + 6);
}

TEST_F(Sidecars, AreNotReadByTheLeanModel) {
  Scene scene = IndexedScene();
  scene.shape = PipelineShape::kShuffled;
  scene.options.model = LoaderModel::kLean;
  Stage stage(scene, "null:", clock_);
  const EpochLog log = testing::RunEpoch(*stage.Make(), clock_, {});
  ASSERT_TRUE(log.status.ok()) << log.status.ToString();
  EXPECT_EQ(log.counters.files_opened, 6U);
}

}  // namespace
}  // namespace stoker::emulator
