// How far the tensorflow record pipeline reads ahead, and what it throws away.

#include <algorithm>
#include <string>
#include <vector>

#include "tests/emulator/scenario.h"

namespace stoker::emulator {
namespace {

using testing::EpochLog;

using testing::milliseconds;
using testing::Scene;
using testing::seconds;
using testing::Stage;

using RecordPipeline = testing::VirtualTimeTest;

// Storage far faster than the accelerator: look-ahead is always full.
constexpr std::string_view kFast = "model:?latency=1us&servers=64,null:";
// Records of 65,536 bytes take 65,595 in the file.
constexpr std::uint64_t kPayload = 65536;
constexpr std::uint64_t kFramed = 65595;

Scene FramedRecordScene(std::uint64_t files, std::uint32_t samples,
                        std::uint32_t threads) {
  Scene scene{.shape = PipelineShape::kTfRecord,
              .files = files,
              .samples_per_file = samples,
              .sizes = {.record_length = 65536}};
  scene.options.read_threads = threads;
  scene.options.transfer_size = kFramed;
  return scene;
}

TEST_F(RecordPipeline, ThreeTimesTReadersRunAheadByThreeRecordsEach) {
  // Nothing is taken: (prefetch 2 + computation 1) batches of 4 records are
  // composed, from files 0 and 1 in turn; 3 · 2 readers hold three more each.
  Scene scene = FramedRecordScene(20, 100, 2);
  scene.batch = 4;
  Stage stage(scene, kFast, clock_);
  const auto loader = stage.Make();
  ASSERT_TRUE(loader->StartEpoch(1).ok());
  clock_.SleepUntil(clock_.Now() + seconds(1));
  EXPECT_EQ(stage.backend().opened().size(), 6U);
  const auto counters = loader->FinishEpoch();
  ASSERT_TRUE(counters.ok()) << counters.status().ToString();
  EXPECT_EQ(counters.value().samples_delivered, 0U);
  EXPECT_EQ(counters.value().samples_discarded, 3 * 4 + 6 * 3U);
  // Requests are as long as records, so nothing else was read.
  EXPECT_EQ(counters.value().bytes_discarded, (3 * 4 + 6 * 3) * kPayload);
  EXPECT_EQ(counters.value().reads.bytes, (3 * 4 + 6 * 3) * kFramed);
}

TEST_F(RecordPipeline, TheShuffleBufferIsReadAheadToo) {
  Scene scene = FramedRecordScene(20, 100, 2);
  scene.options.shuffle_samples = true;
  scene.options.shuffle_size = 10;
  scene.options.computation_threads = 3;
  Stage stage(scene, kFast, clock_);
  const auto loader = stage.Make();
  ASSERT_TRUE(loader->StartEpoch(1).ok());
  clock_.SleepUntil(clock_.Now() + seconds(1));
  const auto counters = loader->FinishEpoch();
  ASSERT_TRUE(counters.ok()) << counters.status().ToString();
  // Five batches of one; taking the fifth out of the full buffer leaves nine.
  EXPECT_EQ(counters.value().samples_discarded, 5 + 9 + 6 * 3U);
}

TEST_F(RecordPipeline, ReadsNothingBeyondTheLastBatch) {
  Scene scene = FramedRecordScene(20, 2, 2);
  scene.batch = 2;
  scene.options.epochs = 2;
  Stage stage(scene, kFast, clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, seconds(1));
  EXPECT_EQ(log.batches.size(), 20U);
  EXPECT_EQ(log.counters.files_opened, 20U);
  EXPECT_EQ(log.counters.samples_discarded, 0U);
  EXPECT_EQ(log.counters.bytes_discarded, 0U);
  // Two requests with a record and one that finds the end, for each file.
  EXPECT_EQ(log.counters.reads.reads, 20 * 3U);
}

TEST_F(RecordPipeline, AShortEpochOpensOnlyTheFilesItNeeds) {
  // Three records of files of two, two active files: file 1 gives only one.
  Scene scene = FramedRecordScene(20, 2, 2);
  scene.options.steps = 3;
  Stage stage(scene, kFast, clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, seconds(1));
  EXPECT_EQ(log.batches.size(), 3U);
  EXPECT_EQ(log.counters.files_opened, 2U);
  EXPECT_EQ(log.counters.samples_discarded, 0U);
  EXPECT_EQ(log.counters.bytes_discarded, 0U);
}

TEST_F(RecordPipeline, ARequestThatHoldsMoreThanNeededIsCounted) {
  // One request of 256 KiB brings 3 records and the start of a fourth; the
  // epoch wants one of them.
  Scene scene = FramedRecordScene(4, 8, 1);
  scene.options.steps = 1;
  scene.options.transfer_size = 256U << 10;
  Stage stage(scene, kFast, clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, seconds(1));
  EXPECT_EQ(log.counters.reads.reads, 1U);
  EXPECT_EQ(log.counters.samples_discarded, 0U);
  EXPECT_EQ(log.counters.bytes_discarded, (256U << 10) - kFramed);
}

TEST_F(RecordPipeline, ReadPastTheEndThrowsAwayTheNextPass) {
  // 20 files of two records, batches of two: 20 steps. After the last one the
  // iterator goes on with (prefetch 2 + computation 1) batches of the next
  // pass: six records, of files 0, 1 (whole) and 2, 3. Six readers are at
  // files 2 to 7 then, two records each: files 0 to 7 are read whole.
  Scene scene = FramedRecordScene(20, 2, 2);
  scene.batch = 2;
  scene.options.epochs = 2;
  scene.options.read_past_end = true;
  Stage stage(scene, kFast, clock_);
  const auto loader = stage.Make();
  for (std::uint32_t epoch = 1; epoch <= 2; ++epoch) {
    const EpochLog log = testing::RunEpoch(*loader, clock_, seconds(1), epoch);
    EXPECT_EQ(log.batches.size(), 20U);
    EXPECT_EQ(log.counters.files_opened, 20 + 8U);
    EXPECT_EQ(log.counters.samples_delivered, 40U);
    EXPECT_EQ(log.counters.samples_discarded, 16U);
    EXPECT_EQ(log.counters.bytes_discarded, 16 * kPayload);
    EXPECT_EQ(log.counters.payload_bytes_delivered, 40 * kPayload);
    EXPECT_EQ(log.counters.reads.reads, 28 * 3U);
  }
}

TEST_F(RecordPipeline, ReadPastTheEndStopsAtTheIteratorsLimit) {
  // take(epochs · steps): with one epoch no batch follows the last one.
  Scene scene = FramedRecordScene(20, 2, 2);
  scene.batch = 2;
  scene.options.read_past_end = true;
  Stage stage(scene, kFast, clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, seconds(1));
  EXPECT_EQ(log.batches.size(), 20U);
  EXPECT_EQ(log.counters.samples_discarded, 0U);
}

TEST_F(RecordPipeline, BothWaysHandOverTheSame) {
  std::vector<std::uint64_t> hashes;
  for (const bool past_end : {false, true}) {
    Scene scene = FramedRecordScene(7, 5, 3);
    scene.batch = 2;
    scene.ranks = 2;
    scene.options.epochs = 3;
    scene.options.read_past_end = past_end;
    Stage stage(scene, kFast, clock_);
    const auto loader = stage.Make();
    for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) {
      static_cast<void>(
          testing::RunEpoch(*loader, clock_, milliseconds(1), epoch));
    }
    hashes.push_back(loader->op_stream_hash());
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

TEST_F(RecordPipeline, RecordsOfOtherRanksAreReadAndDropped) {
  // Fewer files than ranks: of 12 records the rank keeps four.
  Scene scene = FramedRecordScene(2, 6, 1);
  scene.ranks = 3;
  Stage stage(scene, kFast, clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, seconds(1));
  EXPECT_EQ(log.counters.files_opened, 2U);
  EXPECT_EQ(log.counters.samples_delivered, 4U);
  EXPECT_EQ(log.counters.samples_discarded, 8U);
}

TEST_F(RecordPipeline, ARankWithoutAWholeBatchIsRefused) {
  // Three files of two records, two ranks, batches of three: one step, but
  // rank 1 has only the two records of file 1.
  Scene scene = FramedRecordScene(3, 2, 1);
  scene.batch = 3;
  scene.ranks = 2;
  scene.rank = 1;
  Stage stage(scene, "null:", clock_);
  const core::Status status = stage.TryMake().status();
  EXPECT_EQ(status.code(), core::Code::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr("rank 1 has 2 records"));
}

TEST_F(RecordPipeline, ListsOfRecordsCountAsMemory) {
  // Six lanes with a request buffer and 3 records each; 3 batches of 4 ahead
  // and one more; 24 bytes a record, 100 a tensor.
  Scene scene = FramedRecordScene(20, 100, 2);
  scene.batch = 4;
  const std::uint64_t buffer = (kFramed + 4095) / 4096 * 4096;
  const std::uint64_t plain = 6 * buffer + 4 * 4 * 100 + (4 * 4 + 6 * 3) * 24;
  EXPECT_EQ(Stage(scene, "null:", clock_).Make()->pool_bytes(), plain);
  scene.options.shuffle_samples = true;
  scene.options.shuffle_size = 1000;
  Stage stage(scene, "null:", clock_);
  EXPECT_EQ(stage.Make()->pool_bytes(), plain + 1000 * 24);
  EXPECT_EQ(PoolBytes(scene.shape, stage.Data(), stage.Options(), {}),
            plain + 1000 * 24);
}

TEST_F(RecordPipeline, SlowestReadAndBytesAreThoseOfTheEpoch) {
  Scene scene = FramedRecordScene(2, 2, 1);
  Stage stage(scene, "fault:?nth=0&delay=3ms,null:", clock_);
  const auto loader = stage.Make();
  const EpochLog first = testing::RunEpoch(*loader, clock_, {}, 1);
  const EpochLog second = testing::RunEpoch(*loader, clock_, {}, 2);
  EXPECT_EQ(first.counters.reads.latency_max, milliseconds(3));
  EXPECT_EQ(second.counters.reads.latency_max, core::Nanos{});
  EXPECT_EQ(second.counters.payload_bytes_delivered, 4 * kPayload);
}

}  // namespace
}  // namespace stoker::emulator
