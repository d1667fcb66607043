// The order of reads that is told ahead, against what loaders read.

#include "emulator/read_order.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/emulator/scenario.h"

namespace stoker::emulator {
namespace {

using storage::ReadOrder;
using storage::ReadPoint;
using testing::EpochLog;
using testing::Scene;
using testing::Stage;

constexpr std::uint32_t kEpochs = 4;

struct Named {
  std::string name;
  Scene scene;
};

// 23 files: no share is even, and the tail belongs to nobody.
std::vector<Named> Scenes() {
  Scene torch{.files = 23,
              .batch = 2,
              .ranks = 3,
              .sizes = testing::DistinctSizes(1000)};
  torch.options.epochs = kEpochs;
  torch.options.read_threads = 1;
  std::vector<Named> scenes{{"torch", torch}};
  const auto add = [&scenes](std::string name, Scene scene) {
    scenes.push_back({std::move(name), std::move(scene)});
  };
  Scene scene = torch;
  scene.options.model = LoaderModel::kDlioV3;
  add("torch of dlio-v3", scene);
  scene.shape = PipelineShape::kTfGenerator;
  add("generators", scene);
  scene.options.shuffle_samples = true;
  add("generators, samples shuffled", scene);
  scene.options.shuffle_files = true;
  add("generators, both shuffled", scene);
  scene.options.shuffle_samples = false;
  add("generators, files shuffled", scene);
  scene = torch;
  scene.shape = PipelineShape::kTfRecord;
  scene.samples_per_file = 3;
  add("records", scene);
  scene.options.steps = 5;  // of 12: three of the eight files are not needed
  add("records, a part", scene);
  scene = torch;
  scene.shape = PipelineShape::kShuffled;
  scene.options.model = LoaderModel::kLean;
  scene.options.byte_budget = 1;  // one lane
  add("lean", scene);
  scene.options.seed_change_epoch = false;
  add("lean, the same each epoch", scene);
  return scenes;
}

std::unique_ptr<ReadOrder> OrderOf(const Scene& scene, Stage& stage,
                                   std::vector<bool> here) {
  auto order = MakeReadOrder(scene.shape, stage.Data(), stage.Options(),
                             std::move(here));
  EXPECT_TRUE(order.ok()) << order.status().ToString();
  order.value()->BeginEpoch(0);
  return std::move(order).value();
}

std::vector<bool> All(const Scene& scene) {
  return std::vector<bool>(scene.ranks, true);
}

class ReadOrderTest : public testing::VirtualTimeTest {};

TEST_F(ReadOrderTest, IsTheOrderInWhichLoadersOpenFiles) {
  for (auto& [name, scene] : Scenes()) {
    for (scene.rank = 0; scene.rank < scene.ranks; ++scene.rank) {
      Stage stage(scene, "null:", clock_);
      const auto loader = stage.Make();
      const auto order = OrderOf(scene, stage, All(scene));
      for (std::uint32_t epoch = 1; epoch <= kEpochs; ++epoch) {
        const std::size_t before = stage.backend().opened().size();
        const EpochLog log = testing::RunEpoch(*loader, clock_, {}, epoch);
        ASSERT_TRUE(log.status.ok()) << log.status.ToString();
        order->BeginEpoch(epoch);
        const auto opened = stage.backend().opened();
        std::vector<std::string> names;
        for (std::size_t i = before; i < opened.size(); ++i) {
          names.push_back(opened[i].name);
        }
        std::vector<std::string> told;
        for (std::uint64_t at = 0; at < order->positions(); ++at) {
          const std::uint64_t file = order->At({epoch, at});
          if (file != ReadOrder::kNone) {
            order->NameOf(file, told.emplace_back());
            EXPECT_EQ(order->NumberOf(told.back()), file);
          }
        }
        if (scene.shape == PipelineShape::kTfRecord) {
          // A rank with fewer files begins another pass.
          ASSERT_GE(names.size(), told.size());
          for (std::size_t i = told.size(); i < names.size(); ++i) {
            EXPECT_EQ(names[i], told[i - told.size()]);
          }
          names.resize(told.size());
        }
        EXPECT_EQ(told, names)
            << name << ", rank " << scene.rank << ", epoch " << epoch;
      }
    }
  }
}

TEST_F(ReadOrderTest, HasTheSamplesOfTheOpStreamWhateverTheLanes) {
  for (auto& [name, scene] : Scenes()) {
    if (scene.shape == PipelineShape::kTfRecord) {
      continue;  // its records are shuffled on their way
    }
    scene.options.read_threads = 3;
    scene.options.byte_budget = 1U << 20;
    scene.rank = 1;
    Stage stage(scene, "null:", clock_);
    const auto loader = stage.Make();
    const auto order = OrderOf(scene, stage, All(scene));
    dataset::OpStreamHash hash;
    for (std::uint32_t epoch = 1; epoch <= 2; ++epoch) {
      ASSERT_TRUE(testing::RunEpoch(*loader, clock_, {}, epoch).status.ok());
      order->BeginEpoch(epoch);
      for (std::uint64_t at = 0; at < order->positions(); ++at) {
        const std::uint64_t file = order->At({epoch, at});
        hash.Add({.epoch = epoch,
                  .rank = 1,
                  .step = at / scene.batch,
                  .file = file,
                  .sample = 0,
                  .bytes = stage.BytesOf(file)});
      }
    }
    EXPECT_EQ(loader->op_stream_hash(), hash.value()) << name;
  }
}

// What every rank reads in an epoch, the epoch before being the one begun.
std::vector<std::vector<std::uint64_t>> Epoch(Scene scene, core::Clock& clock,
                                              std::uint32_t epoch) {
  std::vector<std::vector<std::uint64_t>> ranks;
  for (scene.rank = 0; scene.rank < scene.ranks; ++scene.rank) {
    Stage stage(scene, "null:", clock);
    const auto order = OrderOf(scene, stage, All(scene));
    order->BeginEpoch(epoch - 1);
    ranks.emplace_back();
    for (std::uint64_t at = 0; at < order->positions(); ++at) {
      ranks.back().push_back(order->At({epoch, at}));
    }
  }
  return ranks;
}

TEST_F(ReadOrderTest, PlacesAndNextUsesAreThoseOfTheOrdersOfTheHostsRanks) {
  const std::vector<bool> here{true, true, false};
  for (auto& [name, scene] : Scenes()) {
    SCOPED_TRACE(name);
    Stage stage(scene, "null:", clock_);
    const auto order = OrderOf(scene, stage, here);
    const auto now = Epoch(scene, clock_, 2);
    const auto next = Epoch(scene, clock_, 3);
    order->BeginEpoch(2);
    for (std::uint64_t at = 0; at < order->positions(); ++at) {
      const std::uint64_t file = now[0][at];
      if (file == ReadOrder::kNone) {
        continue;
      }
      EXPECT_EQ(order->PositionOf(file, 2, 0), at);
      EXPECT_EQ(order->PositionOf(file, 2, at + 1), std::nullopt);
      std::optional<std::uint64_t> expected;
      for (std::size_t rank = 0; rank < here.size(); ++rank) {
        for (std::uint64_t p = 0; here[rank] && p < next[rank].size(); ++p) {
          if (next[rank][p] == file) {
            expected = p;
          }
        }
      }
      const std::optional<ReadPoint> use = order->NextUse(file, {2, at});
      // The lean order is known beyond the next epoch.
      if (expected.has_value() || (use.has_value() && use->epoch == 3)) {
        ASSERT_TRUE(use.has_value());
        EXPECT_EQ(use->epoch, 3U);
        EXPECT_EQ(use->position, expected);
      }
    }
    // Nothing is read after the last epoch.
    order->BeginEpoch(3);
    order->BeginEpoch(kEpochs);
    const std::uint64_t file = order->At({kEpochs, 0});
    EXPECT_FALSE(order->NextUse(file, {kEpochs, 0}).has_value());
  }
}

TEST_F(ReadOrderTest, AFileOfSeveralSamplesIsReadAgainForTheNext) {
  Scene scene{.files = 6, .samples_per_file = 4, .batch = 2, .ranks = 1};
  scene.options.epochs = 2;
  scene.options.read_threads = 1;
  Stage stage(scene, "null:", clock_);
  const auto order = OrderOf(scene, stage, {true});
  order->BeginEpoch(1);
  const auto again = order->NextUse(1, {1, 4});
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->epoch, 1U);
  EXPECT_EQ(again->position, 5U);
  const auto later = order->NextUse(1, {1, 7});
  ASSERT_TRUE(later.has_value());
  EXPECT_EQ(later->epoch, 2U);
  EXPECT_EQ(later->position, 4U);
}

TEST_F(ReadOrderTest, KnowsNothingOfOtherObjects) {
  const Scene scene{.files = 6};
  Stage stage(scene, "null:", clock_);
  const auto order = OrderOf(scene, stage, {true});
  EXPECT_EQ(order->NumberOf("train/img_2_of_6.npz"), 2U);
  for (const std::string_view other :
       {"valid/img_2_of_6.npz", "train/img_2_of_7.npz", "train/img_2_of_6.jpg",
        "train/manifest.json", ""}) {
    EXPECT_EQ(order->NumberOf(other), ReadOrder::kNone) << other;
  }
}

TEST_F(ReadOrderTest, OfPartsOfFilesIsNotTold) {
  Scene scene{.shape = PipelineShape::kShuffled,
              .files = 6,
              .samples_per_file = 2,
              .format = formats::FindFormat("hdf5").value()};
  scene.options.model = LoaderModel::kLean;
  Stage stage(scene, "null:", clock_);
  EXPECT_EQ(MakeReadOrder(scene.shape, stage.Data(), stage.Options(), {true})
                .status()
                .code(),
            core::Code::kUnsupported);
}

}  // namespace
}  // namespace stoker::emulator
