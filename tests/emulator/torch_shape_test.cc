// Which worker lane reads which file, and when.

#include <atomic>
#include <set>
#include <string>
#include <vector>

#include "emulator/internal/batch_schedule.h"
#include "tests/emulator/scenario.h"

namespace stoker::emulator {
namespace {

using testing::EpochLog;
using testing::milliseconds;
using testing::Opened;
using testing::Scene;
using testing::Stage;

using TorchShape = testing::VirtualTimeTest;

Scene TorchScene(std::uint64_t files, std::uint32_t threads,
                 std::uint32_t prefetch) {
  // Small enough for seven operations a file.
  Scene scene{.files = files, .sizes = testing::DistinctSizes(1000)};
  scene.options.read_threads = threads;
  scene.options.prefetch_size = prefetch;
  return scene;
}

// When the files were opened, in ms.
std::vector<std::int64_t> OpenedAtMillis(const std::vector<Opened>& opened) {
  std::vector<std::int64_t> times;
  times.reserve(opened.size());
  for (const Opened& one : opened) {
    EXPECT_EQ(one.at % milliseconds(1), core::Nanos{});
    times.push_back(one.at / milliseconds(1));
  }
  return times;
}

std::vector<std::string> Names(const std::vector<Opened>& opened) {
  std::vector<std::string> names;
  names.reserve(opened.size());
  for (const Opened& one : opened) {
    names.push_back(one.name);
  }
  return names;
}

// An accelerator that takes every batch at once.
class Discard final : public internal::BatchSink {
 public:
  void Post(std::uint64_t, std::uint64_t) override {}
};

// The files each lane visits in an epoch, in order.
std::vector<std::vector<std::uint64_t>> FilesByLane(const Scene& scene,
                                                    std::size_t lanes) {
  core::SystemClock clock;
  Stage stage(scene, "null:", clock);
  const auto schedule =
      internal::MakeSchedule(scene.shape, stage.Data(), stage.Options(), clock);
  Discard sink;
  const std::atomic<std::uint64_t> allowed = stage.steps();
  schedule->StartEpoch(1, allowed, sink);
  std::vector<std::vector<std::uint64_t>> files(lanes);
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    internal::Visit visit;
    while (schedule->NextVisit(lane, visit)) {
      files[lane].push_back(visit.file);
      static_cast<void>(schedule->OnSample({.lane = lane, .file = visit.file}));
    }
  }
  return files;
}

TEST_F(TorchShape, BatchBIsBuiltByLaneBModT) {
  // 32 files, two ranks, batches of two: eight batches each, four lanes.
  Scene scene{.files = 32, .batch = 2, .ranks = 2};
  scene.options.read_threads = 4;
  using Lanes = std::vector<std::vector<std::uint64_t>>;
  EXPECT_EQ(
      FilesByLane(scene, 4),
      (Lanes{{0, 1, 8, 9}, {2, 3, 10, 11}, {4, 5, 12, 13}, {6, 7, 14, 15}}));
  scene.rank = 1;
  EXPECT_EQ(FilesByLane(scene, 4).front(),
            (std::vector<std::uint64_t>{16, 17, 24, 25}));
}

TEST_F(TorchShape, RankOneOfFourReadsItsSixBatchesOfSeven) {
  Scene scene{.files = 168, .batch = 7, .ranks = 4, .rank = 1};
  scene.options.read_threads = 1;
  const auto files = FilesByLane(scene, 1).front();
  ASSERT_EQ(files.size(), 42U);
  for (std::size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(files[i], 42 + i);
  }
}

// A sample takes seven operations of 1 ms (see loader_timing_test.cc) on a
// storage that serves all lanes at once, a step 100 ms: batch k is taken at
// 7 + 100 k.
constexpr std::string_view kMilliseconds =
    "model:?latency=1ms&servers=16,null:";

TEST_F(TorchShape, FourLanesDispatchBatchKPlusFourWhenKIsTaken) {
  Stage stage(TorchScene(8, 4, 2), kMilliseconds, clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, milliseconds(100));
  EXPECT_EQ(FilesOf(stage, log),
            (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(OpenedAtMillis(stage.backend().opened()),
            (std::vector<std::int64_t>{0, 0, 0, 0, 7, 107, 207, 307}));
}

TEST_F(TorchShape, GoesOnWhenToldWhereTheNextBatchIsWhole) {
  // Four of six batches are whole at 7. Taking one at 50 allows the fifth,
  // begun by GoOn at 60; taking one at 90 the last, begun by the Next of 100.
  Scene scene = TorchScene(6, 4, 2);
  scene.options.settle = true;
  Stage stage(scene, kMilliseconds, clock_);
  const auto loader = stage.Make();
  ASSERT_TRUE(loader->StartEpoch(1).ok());
  const auto at = [this](int millis) {
    clock_.SleepUntil(core::TimePoint(milliseconds(millis)));
  };
  at(50);
  ASSERT_TRUE(loader->Next().ok());
  at(60);
  loader->GoOn();
  at(90);
  ASSERT_TRUE(loader->Next().ok());
  at(100);
  ASSERT_TRUE(loader->Next().ok());
  at(120);
  loader->GoOn();
  at(140);
  EXPECT_EQ(OpenedAtMillis(stage.backend().opened()),
            (std::vector<std::int64_t>{0, 0, 0, 0, 60, 100}));
}

TEST_F(TorchShape, DoesNotHoldBackWhatAcceleratorsWaitFor) {
  // One lane, two batches ahead, 7 ms each: at 10 batch 1 is in the making.
  Scene scene = TorchScene(8, 1, 2);
  scene.options.settle = true;
  Stage stage(scene, kMilliseconds, clock_);
  const auto loader = stage.Make();
  ASSERT_TRUE(loader->StartEpoch(1).ok());
  clock_.SleepUntil(core::TimePoint(milliseconds(10)));
  ASSERT_TRUE(loader->Next().ok());
  clock_.SleepUntil(core::TimePoint(milliseconds(20)));
  EXPECT_EQ(OpenedAtMillis(stage.backend().opened()),
            (std::vector<std::int64_t>{0, 7, 14}));
}

TEST_F(TorchShape, OneLaneHasTwoBatchesAhead) {
  // The lane is busy with batch 1 from 7 to 14, then may begin batch 2;
  // batch 3 is dispatched when batch 1 is taken at 107.
  Stage stage(TorchScene(5, 1, 2), kMilliseconds, clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, milliseconds(100));
  EXPECT_EQ(log.batches.size(), 5U);
  EXPECT_EQ(OpenedAtMillis(stage.backend().opened()),
            (std::vector<std::int64_t>{0, 7, 14, 107, 207}));
}

TEST_F(TorchShape, PrefetchZeroMeansTwoBatchesALane) {
  // Eight ahead: each lane goes on with its second batch at 7; batch 8 is
  // dispatched at 7 and waits for its lane until 14.
  Stage stage(TorchScene(10, 4, 0), kMilliseconds, clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, milliseconds(100));
  EXPECT_EQ(log.batches.size(), 10U);
  EXPECT_EQ(OpenedAtMillis(stage.backend().opened()),
            (std::vector<std::int64_t>{0, 0, 0, 0, 7, 7, 7, 7, 14, 107}));
}

TEST_F(TorchShape, PrefetchIsSharedOutAmongLanesRoundedUp) {
  // ceil(5 / 2) = 3 batches for each of two lanes: batches 4 and 5 begin at
  // 14, batch 6 (dispatched at 7) at 21.
  Stage stage(TorchScene(8, 2, 5), kMilliseconds, clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, milliseconds(100));
  EXPECT_EQ(log.batches.size(), 8U);
  EXPECT_EQ(OpenedAtMillis(stage.backend().opened()),
            (std::vector<std::int64_t>{0, 0, 7, 7, 14, 14, 21, 107}));
}

TEST_F(TorchShape, WithoutWorkersAFileIsOpenedWhenItIsAskedFor) {
  Stage stage(TorchScene(3, 0, 2), kMilliseconds, clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, milliseconds(100));
  EXPECT_EQ(log.batches.size(), 3U);
  EXPECT_EQ(OpenedAtMillis(stage.backend().opened()),
            (std::vector<std::int64_t>{0, 107, 214}));
}

TEST_F(TorchShape, ABatchWaitsForItsOwnLane) {
  // Two lanes, two batches each ahead. File 0 takes 50 ms: lane 1 builds
  // batches 1 and 3 meanwhile, but batch 2 is lane 0's.
  Stage stage(TorchScene(4, 2, 4),
              "fault:?object=img_0_&nth=0&delay=50ms,null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, {});
  ASSERT_TRUE(log.status.ok()) << log.status.ToString();
  EXPECT_EQ(Names(stage.backend().opened()),
            (std::vector<std::string>{
                "train/img_0_of_4.npz", "train/img_1_of_4.npz",
                "train/img_3_of_4.npz", "train/img_2_of_4.npz"}));
}

TEST_F(TorchShape, TheNextEpochReadsTheSameFilesInTheSameOrder) {
  Stage stage(TorchScene(9, 3, 2), kMilliseconds, clock_);
  const auto loader = stage.Make();
  const EpochLog first =
      testing::RunEpoch(*loader, clock_, milliseconds(100), 1);
  const auto once = Names(stage.backend().opened());
  const EpochLog second =
      testing::RunEpoch(*loader, clock_, milliseconds(100), 2);
  auto twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_EQ(Names(stage.backend().opened()), twice);
  EXPECT_EQ(first.waits, second.waits);
  EXPECT_EQ(first.counters.files_opened, 9U);
  EXPECT_EQ(second.counters.files_opened, 9U);
}

TEST_F(TorchShape, NothingIsReadBeyondTheEpoch) {
  // 11 files make five batches of two; the last file is left out.
  Scene scene = TorchScene(11, 4, 8);
  scene.batch = 2;
  Stage stage(scene, kMilliseconds, clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, milliseconds(100));
  EXPECT_EQ(log.batches.size(), 5U);
  EXPECT_EQ(stage.backend().opened().size(), 10U);
  EXPECT_EQ(stage.backend().open_now(), 0);
  EXPECT_EQ(log.counters.samples_delivered, 10U);
  EXPECT_EQ(log.counters.samples_discarded, 0U);
  EXPECT_EQ(log.counters.bytes_discarded, 0U);
}

TEST_F(TorchShape, AnEpochLeftEarlyCountsWhatItThrowsAway) {
  // Taken: batch 0. Dispatched beside it: 1, 2 (ahead two), whole long before.
  Scene scene = TorchScene(8, 2, 2);
  Stage stage(scene, kMilliseconds, clock_);
  const auto loader = stage.Make();
  ASSERT_TRUE(loader->StartEpoch(1).ok());
  ASSERT_TRUE(loader->Next().ok());
  clock_.SleepUntil(clock_.Now() + milliseconds(100));
  const auto counters = loader->FinishEpoch();
  ASSERT_TRUE(counters.ok()) << counters.status().ToString();
  EXPECT_EQ(counters.value().samples_delivered, 1U);
  EXPECT_EQ(counters.value().samples_discarded, 2U);
  EXPECT_EQ(counters.value().bytes_discarded,
            stage.BytesOf(1) + stage.BytesOf(2));
}

TEST_F(TorchShape, RanksOfAnUnevenDatasetGetEqualBatchesOfDistinctFiles) {
  // 145 samples, three ranks, batches of 16: shares of 49 would leave the last
  // rank 47 samples, two batches; every rank gets ⌊145 / 16 / 3⌋ = 3.
  std::set<std::string> files;
  for (std::uint64_t rank = 0; rank < 3; ++rank) {
    Scene scene{.files = 145, .batch = 16, .ranks = 3, .rank = rank};
    Stage stage(scene, "null:", clock_);
    const auto loader = stage.Make();
    const EpochLog log = testing::RunEpoch(*loader, clock_, {});
    EXPECT_EQ(log.batches.size(), 3U) << "rank " << rank;
    for (const std::string& name : Names(stage.backend().opened())) {
      EXPECT_TRUE(files.insert(name).second) << name << " is read twice";
    }
  }
  EXPECT_EQ(files.size(), 3U * 3U * 16U);
}

TEST_F(TorchShape, AFileOfSeveralSamplesIsReadForEachOfThem) {
  Scene scene = TorchScene(2, 1, 2);
  scene.samples_per_file = 3;
  scene.batch = 2;
  Stage stage(scene, "null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, {});
  EXPECT_EQ(log.batches.size(), 3U);
  EXPECT_EQ(log.counters.files_opened, 6U);
  EXPECT_EQ(
      loader->op_stream_hash(),
      HashOf(stage, scene, {{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}}));
}

TEST_F(TorchShape, MemoryIsTakenBeforeTheStartAndAsAnnounced) {
  // Four lanes with one request buffer of 256 KiB each, four batches ahead and
  // one with the accelerator, two tensors of 100 bytes each.
  Scene scene = TorchScene(8, 4, 2);
  scene.batch = 2;
  Stage stage(scene, "null:", clock_);
  const std::uint64_t expected = 4 * (256U << 10) + 5 * 2 * 100;
  EXPECT_EQ(PoolBytes(scene.shape, stage.Data(), stage.Options(), {}),
            expected);
  EXPECT_EQ(stage.Make()->pool_bytes(), expected);
  EXPECT_EQ(OpenFiles(scene.shape, stage.Data(), stage.Options()), 4U);
}

}  // namespace
}  // namespace stoker::emulator
