// The loader model that shuffles all samples and reads as far ahead as a byte
// budget allows.

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "core/random.h"
#include "dataset/permutation.h"
#include "tests/emulator/scenario.h"
#include "tests/emulator/toy_format.h"

namespace stoker::emulator {
namespace {

using testing::EpochLog;
using testing::milliseconds;
using testing::SampleList;
using testing::Scene;
using testing::Stage;
using testing::ToyFormat;

using Lean = testing::VirtualTimeTest;
using Files = std::vector<std::uint64_t>;

constexpr std::uint64_t kPlenty = 1ULL << 30;

Scene LeanScene(std::uint64_t files, std::uint64_t batch = 1) {
  Scene scene{.shape = PipelineShape::kShuffled,
              .files = files,
              .batch = batch,
              .sizes = testing::DistinctSizes(1e6)};
  scene.options.model = LoaderModel::kLean;
  scene.options.byte_budget = kPlenty;
  return scene;
}

// The order of all samples in `epoch`, by definition.
SampleList GlobalOrder(const Scene& scene, std::uint32_t epoch = 1) {
  const std::uint64_t samples = scene.files * scene.samples_per_file;
  const dataset::Permutation order(samples,
                                   core::StreamKey(scene.options.seed, epoch));
  SampleList list;
  for (std::uint64_t i = 0; i < samples; ++i) {
    const std::uint64_t sample = order.At(i);
    list.emplace_back(
        sample / scene.samples_per_file,
        static_cast<std::uint32_t>(sample % scene.samples_per_file));
  }
  return list;
}

class LeanOrder : public Lean {
 protected:
  // Files in the order they were handed over, of one rank and epoch.
  Files Order(const Scene& scene, std::uint32_t epoch = 1) {
    Stage stage(scene, "null:", clock_);
    const auto loader = stage.Make();
    const EpochLog log = testing::RunEpoch(*loader, clock_, {}, epoch);
    EXPECT_TRUE(log.status.ok()) << log.status.ToString();
    return FilesOf(stage, log);
  }
};

TEST_F(LeanOrder, EverySampleIsVisitedOnceOverAllRanksUpToTheRest) {
  // 50 files on three ranks in batches of one: 16 steps, two samples are left.
  for (const std::uint32_t epoch : {1U, 2U, 7U}) {
    std::set<std::uint64_t> seen;
    for (std::uint64_t rank = 0; rank < 3; ++rank) {
      Scene scene = LeanScene(50);
      scene.ranks = 3;
      scene.rank = rank;
      for (const std::uint64_t file : Order(scene, epoch)) {
        EXPECT_TRUE(seen.insert(file).second) << file << " twice";
      }
    }
    EXPECT_EQ(seen.size(), 48U);
  }
}

TEST_F(LeanOrder, IsAnotherInEachEpochUnlessTheSeedStays) {
  Scene scene = LeanScene(64);
  EXPECT_NE(Order(scene, 1), Order(scene, 2));
  scene.options.seed_change_epoch = false;
  EXPECT_EQ(Order(scene, 1), Order(scene, 2));
}

TEST_F(LeanOrder, FollowsTheSeed) {
  Scene scene = LeanScene(64);
  const Files files = Order(scene);
  EXPECT_EQ(Order(scene), files);
  EXPECT_FALSE(std::ranges::is_sorted(files));
  scene.options.seed = 124;
  EXPECT_NE(Order(scene), files);
}

TEST_F(LeanOrder, OfAStepIsTheSameForAnyNumberOfRanks) {
  // Four ranks with one sample each see, step by step, what one rank sees
  // alone.
  const Files alone = Order(LeanScene(64));
  for (std::uint64_t rank = 0; rank < 4; ++rank) {
    Scene scene = LeanScene(64);
    scene.ranks = 4;
    scene.rank = rank;
    const Files part = Order(scene);
    ASSERT_EQ(part.size(), 16U);
    for (std::size_t step = 0; step < part.size(); ++step) {
      EXPECT_EQ(part[step], alone[4 * step + rank]);
    }
  }
}

TEST_F(Lean, HandsOverSingleSamplesOfFilesThatHoldSeveral) {
  // 6 files of 4 samples, two ranks, batches of 3: rank 1 has positions 3 … 5,
  // 9 … 11, … of the common order.
  const ToyFormat format;
  Scene scene = LeanScene(6, 3);
  scene.format = &format;
  scene.sizes = {.record_length = 10'000};
  scene.samples_per_file = 4;
  scene.ranks = 2;
  scene.rank = 1;
  scene.options.request_bytes = 4096;
  const std::string uri = "mem:lean_samples";
  Stage::Generate(scene, uri);
  Stage stage(scene, uri, clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, {});
  ASSERT_TRUE(log.status.ok()) << log.status.ToString();
  const SampleList all = GlobalOrder(scene);
  SampleList mine;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i / 3 % 2 == 1) {
      mine.push_back(all[i]);
    }
  }
  EXPECT_EQ(loader->op_stream_hash(), HashOf(stage, scene, mine));
  EXPECT_EQ(log.counters.reads.bytes, 12 * 10'000U);
  EXPECT_EQ(log.counters.bytes_discarded, 0U);
}

TEST_F(Lean, ReadsAheadAsManyBytesAsTheBudgetHolds) {
  // Samples of 10,000 bytes and a budget of 65,000: six begun, as the seventh
  // would go beyond. Each that is taken lets one more begin.
  const ToyFormat format;
  Scene scene = LeanScene(32);
  scene.format = &format;
  scene.sizes = {.record_length = 10'000};
  scene.options.request_bytes = 4096;
  scene.options.byte_budget = 65'000;
  Stage stage(scene, "model:?latency=1ms&servers=1,null:", clock_);
  const auto loader = stage.Make();
  ASSERT_TRUE(loader->StartEpoch(1).ok());
  clock_.SleepUntil(clock_.Now() + milliseconds(1000));
  EXPECT_EQ(stage.backend().opened().size(), 6U);
  ASSERT_TRUE(loader->Next().ok());
  clock_.SleepUntil(clock_.Now() + milliseconds(1000));
  EXPECT_EQ(stage.backend().opened().size(), 7U);
  const auto counters = loader->FinishEpoch();
  ASSERT_TRUE(counters.ok());
  EXPECT_EQ(counters.value().samples_discarded, 6U);
}

TEST_F(Lean, TheNextBatchIsReadWhateverTheBudget) {
  const ToyFormat format;
  Scene scene = LeanScene(32, 4);
  scene.format = &format;
  scene.sizes = {.record_length = 10'000};
  scene.options.request_bytes = 4096;
  scene.options.byte_budget = 4096;
  Stage stage(scene, "model:?latency=1ms&servers=1,null:", clock_);
  const auto loader = stage.Make();
  ASSERT_TRUE(loader->StartEpoch(1).ok());
  clock_.SleepUntil(clock_.Now() + milliseconds(1000));
  EXPECT_EQ(stage.backend().opened().size(), 4U);
  ASSERT_TRUE(loader->Next().ok());
  clock_.SleepUntil(clock_.Now() + milliseconds(1000));
  EXPECT_EQ(stage.backend().opened().size(), 8U);
  EXPECT_TRUE(loader->FinishEpoch().ok());
}

TEST_F(Lean, SamplesInFlightOverlap) {
  // Sixteen samples of three requests each, 1 ms a request, all at once.
  const ToyFormat format;
  Scene scene = LeanScene(16, 16);
  scene.format = &format;
  scene.sizes = {.record_length = 10'000};
  scene.options.request_bytes = 4096;
  Stage stage(scene, "model:?latency=1ms&servers=64,null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, {});
  ASSERT_TRUE(log.status.ok()) << log.status.ToString();
  EXPECT_EQ(log.waits, Micros({3000}));
}

TEST_F(Lean, BatchesComeInOrderAlthoughSamplesDoNot) {
  // npz of spread sizes, so that lanes end at different times.
  Scene scene = LeanScene(40, 2);
  scene.options.preprocess =
      TimeSource({.kind = TimeModel::Kind::kExponential, .a = 0.01}, /*key=*/5);
  Stage stage(scene, "model:?latency=1ms&servers=4,null:", clock_);
  const auto loader = stage.Make();
  const EpochLog log = testing::RunEpoch(*loader, clock_, milliseconds(5));
  ASSERT_TRUE(log.status.ok()) << log.status.ToString();
  EXPECT_EQ(loader->op_stream_hash(), HashOf(stage, scene, GlobalOrder(scene)));
  for (std::size_t step = 0; step < log.batches.size(); ++step) {
    const SampleList all = GlobalOrder(scene);
    EXPECT_EQ(log.batches[step].step, step);
    EXPECT_EQ(log.batches[step].bytes,
              stage.BytesOf(all[2 * step].first) +
                  stage.BytesOf(all[2 * step + 1].first));
  }
}

TEST_F(Lean, MemoryFollowsFromTheBudget) {
  // 16 samples of 10,000 bytes in a batch, a budget of a million: the next
  // batch and six more; with the one that is computed 8 · 16 tensors of 100
  // bytes. 32 lanes with a request of 8 KiB each.
  const ToyFormat format;
  Scene scene = LeanScene(2000, 16);
  scene.format = &format;
  scene.sizes = {.record_length = 10'000};
  scene.options.request_bytes = 8192;
  scene.options.byte_budget = 1'000'000;
  Stage stage(scene, "null:", clock_);
  EXPECT_EQ(stage.Make()->pool_bytes(), 32U * 8192 + 8 * 16 * 100);
  EXPECT_EQ(OpenFiles(scene.shape, stage.Data(), stage.Options()), 32U);
}

TEST(AsksForSingleSamples, IsSeenFromWhatAVisitReads) {
  const formats::Format& npz = *formats::FindFormat("npz").value();
  const formats::Format& tfrecord = *formats::FindFormat("tfrecord").value();
  EXPECT_FALSE(AsksForSingleSamples(npz, LoaderModel::kDlioV2));
  EXPECT_FALSE(AsksForSingleSamples(npz, LoaderModel::kLean));
  EXPECT_TRUE(AsksForSingleSamples(tfrecord, LoaderModel::kDlioV2));
  EXPECT_TRUE(AsksForSingleSamples(ToyFormat(), LoaderModel::kLean));
  EXPECT_FALSE(AsksForSingleSamples(ToyFormat(), LoaderModel::kDlioV3));
}

}  // namespace
}  // namespace stoker::emulator
