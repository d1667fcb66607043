// What a loader makes of storage that fails, hangs or lies, and of being
// stopped.

#include <string>
#include <vector>

#include "tests/emulator/scenario.h"

namespace stoker::emulator {
namespace {

using core::Code;
using testing::EpochLog;
using ::testing::HasSubstr;
using testing::hours;
using testing::milliseconds;
using testing::RunEpoch;
using testing::Scene;
using testing::seconds;
using testing::Stage;

using LoaderErrors = testing::VirtualTimeTest;

Scene TorchScene() {
  Scene scene{.files = 6};
  scene.options.read_threads = 2;
  return scene;
}

// One worker builds batch after batch, so that all before a failing one are
// whole.
Scene OneWorkerScene() {
  Scene scene = TorchScene();
  scene.options.read_threads = 1;
  return scene;
}

Scene RecordScene() {
  Scene scene = TorchScene();
  scene.shape = PipelineShape::kTfRecord;
  scene.samples_per_file = 2;
  return scene;
}

std::string Message(const core::Status& status) {
  return std::string(status.message());
}

void Put(std::string_view uri, std::string_view name,
         std::string_view content) {
  core::SystemClock clock;
  auto backend = storage::OpenBackend(uri);
  ASSERT_TRUE(backend.ok());
  ASSERT_TRUE(
      storage::WriteObject(*backend.value(), name, content, clock).ok());
}

std::string Get(std::string_view uri, std::string_view name) {
  core::SystemClock clock;
  auto backend = storage::OpenBackend(uri);
  auto content = storage::ReadObject(*backend.value(), name, clock);
  EXPECT_TRUE(content.ok()) << content.status().ToString();
  return content.ok() ? content.value() : "";
}

TEST_F(LoaderErrors, AMissingFileIsNamed) {
  const std::string uri = "mem:loader_errors_missing";
  Stage::Generate(TorchScene(), uri);
  ASSERT_TRUE(
      storage::OpenBackend(uri).value()->Remove("train/img_3_of_6.npz").ok());
  Stage stage(OneWorkerScene(), uri, clock_);
  const auto loader = stage.Make();
  const EpochLog log = RunEpoch(*loader, clock_, {});
  EXPECT_EQ(log.batches.size(), 3U);
  EXPECT_EQ(log.status.code(), Code::kNotFound) << log.status.ToString();
  EXPECT_THAT(Message(log.status), HasSubstr("train/img_3_of_6.npz"));
}

TEST_F(LoaderErrors, ATruncatedFileIsCorrupt) {
  for (const Scene& scene : {TorchScene(), RecordScene()}) {
    const bool record = scene.shape == PipelineShape::kTfRecord;
    const std::string uri =
        record ? "mem:loader_errors_cut_record" : "mem:loader_errors_cut";
    const std::string name =
        record ? "train/img_2_of_6.tfrecord" : "train/img_2_of_6.npz";
    Stage::Generate(scene, uri);
    const std::string whole = Get(uri, name);
    Put(uri, name, std::string_view(whole).substr(0, whole.size() - 10));
    Stage stage(scene, uri, clock_);
    const auto loader = stage.Make();
    const EpochLog log = RunEpoch(*loader, clock_, {});
    EXPECT_EQ(log.status.code(), Code::kCorruption) << log.status.ToString();
    EXPECT_THAT(Message(log.status), HasSubstr(name));
  }
}

TEST_F(LoaderErrors, ChangedBytesAreNoticedUnlessNotChecked) {
  const std::string uri = "mem:loader_errors_changed";
  Stage::Generate(TorchScene(), uri);
  // Byte 200 of the file lies in the array (55 bytes zip header, 128 npy).
  const std::string broken = "fault:?object=img_4&flip=200&count=all," + uri;
  Scene scene = TorchScene();
  Stage checked(scene, broken, clock_);
  EXPECT_EQ(RunEpoch(*checked.Make(), clock_, {}).status.code(),
            Code::kCorruption);
  scene.options.check = false;
  Stage unchecked(scene, broken, clock_);
  const EpochLog log = RunEpoch(*unchecked.Make(), clock_, {});
  EXPECT_TRUE(log.status.ok()) << log.status.ToString();
  EXPECT_EQ(log.batches.size(), 6U);
}

TEST_F(LoaderErrors, AnotherNumberOfRecordsIsCorrupt) {
  for (const std::uint32_t stored : {1U, 3U}) {
    const std::string uri =
        "mem:loader_errors_records_" + std::to_string(stored);
    Stage::Generate(RecordScene(), uri, stored);
    Stage stage(RecordScene(), uri, clock_);
    const auto loader = stage.Make();
    const EpochLog log = RunEpoch(*loader, clock_, milliseconds(1));
    EXPECT_EQ(log.status.code(), Code::kCorruption) << log.status.ToString();
    EXPECT_THAT(Message(log.status), HasSubstr("train/img_0_of_6.tfrecord"));
  }
}

TEST_F(LoaderErrors, AReadErrorEndsTheLoaderForGood) {
  Stage stage(OneWorkerScene(),
              "fault:?object=img_4&error=EIO&count=all,null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = RunEpoch(*loader, clock_, {});
  EXPECT_EQ(log.batches.size(), 4U);
  EXPECT_EQ(log.status.code(), Code::kIoError);
  EXPECT_THAT(Message(log.status), HasSubstr("train/img_4_of_6.npz"));
  EXPECT_THAT(Message(log.status), HasSubstr("at byte 0"));
  EXPECT_EQ(loader->FinishEpoch().status().code(), Code::kIoError);
  EXPECT_EQ(loader->StartEpoch(2).code(), Code::kIoError);
  EXPECT_EQ(stage.backend().open_now(), 0);
}

TEST_F(LoaderErrors, BatchesBeforeTheErrorAreStillHandedOver) {
  // File 1 fails while the accelerator computes; batch 0 was whole by then.
  Stage stage(OneWorkerScene(), "fault:?object=img_1&error=EIO,null:", clock_);
  const auto loader = stage.Make();
  ASSERT_TRUE(loader->StartEpoch(1).ok());
  clock_.SleepUntil(clock_.Now() + seconds(1));
  const auto first = loader->Next();
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  EXPECT_EQ(loader->Next().status().code(), Code::kIoError);
}

TEST_F(LoaderErrors, StorageThatHangsTimesOut) {
  for (Scene scene : {TorchScene(), RecordScene()}) {
    scene.options.io_timeout = seconds(5);
    Stage stage(scene, "model:?latency=3600s,null:", clock_);
    const auto loader = stage.Make();
    const EpochLog log = RunEpoch(*loader, clock_, {});
    EXPECT_EQ(log.status.code(), Code::kTimedOut) << log.status.ToString();
    EXPECT_THAT(Message(log.status), HasSubstr("train/img_0_of_6"));
    EXPECT_THAT(Message(log.status), HasSubstr("--io-timeout"));
    EXPECT_GE(log.total, seconds(5));
    EXPECT_LE(log.total, seconds(6));
    EXPECT_EQ(loader->FinishEpoch().status().code(), Code::kTimedOut);
  }
}

TEST_F(LoaderErrors, SlowStorageWithinTheTimeOutIsNoError) {
  Scene scene = TorchScene();
  scene.options.io_timeout = seconds(5);
  Stage stage(scene, "model:?latency=4s&servers=2,null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = RunEpoch(*loader, clock_, {});
  EXPECT_TRUE(log.status.ok()) << log.status.ToString();
  // Three rounds of seven operations.
  EXPECT_EQ(log.total, seconds(3 * 7 * 4));
}

TEST_F(LoaderErrors, AStoppedRunLeavesTheWaitSoon) {
  Scene scene = TorchScene();
  scene.options.io_timeout = hours(2);
  Stage stage(scene, "model:?latency=3600s,null:", clock_);
  auto loader = stage.Make();
  core::ClockedThread stopper(clock_, [&] {
    clock_.SleepUntil(core::TimePoint(milliseconds(5050)));
    stage.cancel().Set();
  });
  const EpochLog log = RunEpoch(*loader, clock_, {});
  EXPECT_EQ(log.status.code(), Code::kCancelled);
  EXPECT_LE(log.total, seconds(6));
  EXPECT_EQ(loader->FinishEpoch().status().code(), Code::kCancelled);
  // Nor is the end of the loader held up by storage that hangs.
  loader.reset();
  EXPECT_LE(clock_.Now(), core::TimePoint(seconds(8)));
}

TEST_F(LoaderErrors, AStoppedRunGetsNoFurtherBatch) {
  Stage stage(TorchScene(), "null:", clock_);
  const auto loader = stage.Make();
  ASSERT_TRUE(loader->StartEpoch(1).ok());
  ASSERT_TRUE(loader->Next().ok());
  stage.cancel().Set();
  EXPECT_EQ(loader->Next().status().code(), Code::kCancelled);
}

TEST_F(LoaderErrors, ALoaderMayEndAtAnyTime) {
  for (const Scene& scene : {TorchScene(), RecordScene()}) {
    for (int taken = -2; taken < 4; ++taken) {
      Stage stage(scene, "model:?latency=100us&servers=1,null:", clock_);
      const auto loader = stage.Make();
      if (taken >= -1) {
        ASSERT_TRUE(loader->StartEpoch(1).ok());
      }
      for (int i = 0; i < taken; ++i) {
        ASSERT_TRUE(loader->Next().ok());
      }
    }
  }
}

TEST_F(LoaderErrors, StorageThatRefusesAQueueIsReported) {
  Stage stage(TorchScene(), "null:", clock_);
  stage.backend().refuse_queues = true;
  EXPECT_EQ(stage.TryMake().status().code(), Code::kUnsupported);
}

TEST(LoaderModels, AnUnknownOneIsRefusedWithTheKnownOnes) {
  const core::Status status = FindLoaderModel("dlio-v9").status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  for (const char* name : {"dlio-v9", "dlio-v2", "dlio-v3", "lean"}) {
    EXPECT_THAT(Message(status), HasSubstr(name));
  }
  EXPECT_EQ(FindLoaderModel("lean").value(), LoaderModel::kLean);
}

TEST_F(LoaderErrors, AfterTheLastBatchThereIsNone) {
  Stage stage(TorchScene(), "null:", clock_);
  const auto loader = stage.Make();
  ASSERT_TRUE(loader->StartEpoch(1).ok());
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(loader->Next().value().has_value());
  }
  EXPECT_FALSE(loader->Next().value().has_value());
  EXPECT_FALSE(loader->Next().value().has_value());
}

TEST_F(LoaderErrors, SamplesOfAnotherSizeThanConfiguredAreCounted) {
  // Files of 20 × 20 bytes where 10 × 10 are announced.
  Scene stored = TorchScene();
  stored.sizes.record_length = 400;
  const std::string uri = "mem:loader_errors_sizes";
  Stage::Generate(stored, uri);
  Stage stage(TorchScene(), uri, clock_);
  const EpochLog log = RunEpoch(*stage.Make(), clock_, {});
  ASSERT_TRUE(log.status.ok()) << log.status.ToString();
  EXPECT_EQ(log.counters.unexpected_sizes, 6U);
  EXPECT_EQ(log.counters.payload_bytes_delivered, 6 * 400U);
}

}  // namespace
}  // namespace stoker::emulator
