// The op stream hash: the same wherever the samples come from.

#include <set>
#include <string>
#include <vector>

#include "tests/emulator/scenario.h"
#include "tests/support/temp_dir.h"

namespace stoker::emulator {
namespace {

using testing::EpochLog;
using testing::Scene;
using testing::Stage;

Scene TwoRankTorchScene() {
  Scene scene{.files = 12,
              .batch = 2,
              .ranks = 2,
              .sizes = testing::DistinctSizes(1000)};
  scene.options.read_threads = 3;
  return scene;
}

Scene TwoRankRecordScene() {
  Scene scene = TwoRankTorchScene();
  scene.shape = PipelineShape::kTfRecord;
  scene.samples_per_file = 3;
  scene.options.shuffle_samples = true;
  scene.options.shuffle_size = 5;
  return scene;
}

// Two epochs on the system's clock.
std::uint64_t Hash(const Scene& scene, std::string_view uri) {
  core::SystemClock clock;
  Stage stage(scene, uri, clock);
  const auto loader = stage.Make();
  for (std::uint32_t epoch = 1; epoch <= 2; ++epoch) {
    const EpochLog log = testing::RunEpoch(*loader, clock, {}, epoch);
    EXPECT_TRUE(log.status.ok()) << uri << ": " << log.status.ToString();
    EXPECT_EQ(log.batches.size(), stage.steps());
  }
  return loader->op_stream_hash();
}

void ExpectTheSameEverywhere(const Scene& scene, const std::string& name) {
  const stoker::testing::TempDir folder;
  const std::string mem = "mem:op_stream_" + name;
  const std::string file = "file://" + folder.str();
  Stage::Generate(scene, mem);
  Stage::Generate(scene, file);
  const std::uint64_t hash = Hash(scene, mem);
  const std::vector<std::string> others{mem,
                                        "null:",
                                        "model:?latency=20us&servers=3," + mem,
                                        "model:?latency=20us&servers=1,null:",
                                        file + "?engine=threads",
                                        file + "?engine=auto"};
  for (const std::string& uri : others) {
    EXPECT_EQ(Hash(scene, uri), hash) << uri;
  }
}

TEST(OpStream, OfTheTorchShapeIsTheSameOnEveryBackEnd) {
  ExpectTheSameEverywhere(TwoRankTorchScene(), "torch");
}

TEST(OpStream, OfTheRecordPipelineIsTheSameOnEveryBackEnd) {
  ExpectTheSameEverywhere(TwoRankRecordScene(), "record");
}

TEST(OpStream, DiffersByRankAndBySeed) {
  Scene scene = TwoRankRecordScene();
  std::set<std::uint64_t> hashes{Hash(scene, "null:")};
  scene.options.seed = 124;
  hashes.insert(Hash(scene, "null:"));
  scene.rank = 1;
  hashes.insert(Hash(scene, "null:"));
  EXPECT_EQ(hashes.size(), 3U);
}

TEST(OpStream, DoesNotDependOnHowFarThePipelineRunsAhead) {
  Scene scene = TwoRankTorchScene();
  const std::uint64_t hash = Hash(scene, "null:");
  for (const std::uint32_t threads : {0U, 1U, 8U}) {
    scene.options.read_threads = threads;
    scene.options.prefetch_size = threads + 3;
    EXPECT_EQ(Hash(scene, "null:"), hash) << threads << " threads";
  }
}

TEST(OpStream, IsTheListOfWhatWasHandedOver) {
  Scene scene{.files = 4, .batch = 2};
  core::SystemClock clock;
  Stage stage(scene, "null:", clock);
  const auto loader = stage.Make();
  static_cast<void>(testing::RunEpoch(*loader, clock, {}));
  EXPECT_EQ(loader->op_stream_hash(),
            HashOf(stage, scene, {{0, 0}, {1, 0}, {2, 0}, {3, 0}}));
}

}  // namespace
}  // namespace stoker::emulator
