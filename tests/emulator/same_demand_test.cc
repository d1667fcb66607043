// What a loader asks for is its own: the same on every back end, in what it
// hands over and in how much of it is under way at a time.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/emulator/scenario.h"
#include "tests/storage/support.h"
#include "tests/support/temp_dir.h"

namespace stoker::emulator {
namespace {

using testing::EpochLog;
using testing::Scene;
using testing::Stage;

// What was asked for so far, and the most that was under way at a time.
struct Demand {
  std::uint64_t reads = 0;
  std::uint64_t size_queries = 0;
  std::size_t most_ops = 0;
  std::uint64_t most_bytes = 0;  // wanted
};

// Passes ops on and writes the demand down; for one queue.
class DemandQueue final : public storage::ReadQueue {
 public:
  DemandQueue(std::unique_ptr<storage::ReadQueue> inner, core::Clock& clock,
              Demand& demand)
      : ReadQueue(inner->limits(), clock),
        inner_(std::move(inner)),
        demand_(demand),
        wanted_(limits().capacity) {}
  void Wake() override { inner_->Wake(); }

 private:
  core::Result<std::size_t> DoSubmit(
      std::span<const storage::ReadOp> ops) override {
    for (const storage::ReadOp& op : ops) {
      (op.kind == storage::ReadOp::Kind::kRead ? demand_.reads
                                               : demand_.size_queries) += 1;
      wanted_[op.tag] = op.buffer.size();
      bytes_ += op.buffer.size();
      demand_.most_ops = std::max(demand_.most_ops, ++ops_);
      demand_.most_bytes = std::max(demand_.most_bytes, bytes_);
    }
    return inner_->Submit(ops);
  }
  core::Result<std::size_t> DoReap(std::span<storage::ReadDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) override {
    auto reaped = inner_->Reap(done, at_least, deadline);
    if (reaped.ok()) {
      for (const storage::ReadDone& one : done.first(reaped.value())) {
        bytes_ -= wanted_[one.tag];
        --ops_;
      }
    }
    return reaped;
  }

  std::unique_ptr<storage::ReadQueue> inner_;
  Demand& demand_;
  std::vector<std::uint64_t> wanted_;  // by tag
  std::size_t ops_ = 0;
  std::uint64_t bytes_ = 0;
};

class DemandBackend final : public testing::WatchedBackend {
 public:
  using WatchedBackend::WatchedBackend;
  core::Result<std::unique_ptr<storage::ReadQueue>> NewReadQueue(
      const storage::QueueOptions& options, core::Clock& clock) override {
    STOKER_ASSIGN(auto queue, WatchedBackend::NewReadQueue(options, clock));
    align_ = queue->limits().offset_align;
    return std::unique_ptr<storage::ReadQueue>(
        std::make_unique<DemandQueue>(std::move(queue), clock, demand_));
  }
  // While no loader is at work.
  const Demand& demand() const { return demand_; }
  std::uint64_t align() const { return align_; }

 private:
  Demand demand_;
  std::uint64_t align_ = 1;
};

// A loader model, and the most it may have under way by docs/loader_models.md.
struct LoaderRow {
  std::string_view name;
  PipelineShape shape{};
  LoaderModel model{};
  std::size_t ops = 0;      // at a time: its lanes
  std::uint64_t bytes = 0;  // of a request
  // Requests of an epoch that may be made or not: they were on their way, or
  // about to be, as the last batch was handed over.
  std::uint64_t late = 0;
};

constexpr std::uint32_t kThreads = 3;
constexpr std::uint64_t kFiles = 12;

constexpr std::array<LoaderRow, 4> kLoaders{
    {{.name = "dlio_v2_pytorch",
      .shape = PipelineShape::kTorch,
      .model = LoaderModel::kDlioV2,
      .ops = kThreads,
      .bytes = 256U << 10},
     // So many active files, and twice as many staged.
     {.name = "dlio_v2_tensorflow",
      .shape = PipelineShape::kTfRecord,
      .model = LoaderModel::kDlioV2,
      .ops = 3 * kThreads,
      .bytes = 256U << 10,
      .late = 3 * kThreads},
     {.name = "dlio_v3",
      .shape = PipelineShape::kTorch,
      .model = LoaderModel::kDlioV3,
      .ops = kThreads,
      .bytes = 256U << 10},
     // A lane for each of the samples.
     {.name = "lean",
      .shape = PipelineShape::kShuffled,
      .model = LoaderModel::kLean,
      .ops = kFiles,
      .bytes = 1U << 20}}};

// A back end that keeps data, over a folder of the test's own. A further one is
// a further row.
struct StoreRow {
  std::string_view name;
  std::string (*uri)(const std::string& folder);
};

std::string FileUri(const std::string& folder) {
  return fmt::format("file://{}?engine=threads", folder);
}
std::string DirectUri(const std::string& folder) {
  return fmt::format("direct://{}?engine=threads", folder);
}
std::string MemUri(const std::string& folder) { return "mem:" + folder; }
std::string ModelUri(const std::string& folder) {
  return "model:?latency=200us&bandwidth=2GB&concurrency=2," + FileUri(folder);
}

std::vector<StoreRow> Stores() {
  std::vector<StoreRow> stores{
      {"file", FileUri}, {"mem", MemUri}, {"model", ModelUri}};
  if (stoker::testing::DirectIsAllowed()) {
    stores.push_back({"direct", DirectUri});
  }
  return stores;
}

class SameDemand : public ::testing::TestWithParam<LoaderRow> {
 protected:
  static Scene SceneOf(const LoaderRow& row) {
    Scene scene{.shape = row.shape,
                .files = kFiles,
                .batch = 2,
                .sizes = testing::DistinctSizes(700e3)};
    scene.options.model = row.model;
    scene.options.read_threads = kThreads;
    return scene;
  }

  struct Outcome {
    std::uint64_t hash = 0;
    Demand demand;
    std::uint64_t align = 1;
  };
  // Two epochs on the system's clock.
  static Outcome Run(const Scene& scene, const std::string& uri) {
    core::SystemClock clock;
    Stage stage(scene, uri, clock);
    DemandBackend backend(stoker::testing::Open(uri), clock);
    LoaderData data = stage.Data();
    data.backend = &backend;
    auto made =
        MakeLoader(scene.shape, data, stage.Options(), clock, stage.cancel());
    EXPECT_TRUE(made.ok()) << made.status().ToString();
    Outcome outcome;
    if (!made.ok()) {
      return outcome;
    }
    const std::unique_ptr<Loader> loader = std::move(made).value();
    for (std::uint32_t epoch = 1; epoch <= 2; ++epoch) {
      const EpochLog log = testing::RunEpoch(*loader, clock, {}, epoch);
      EXPECT_TRUE(log.status.ok()) << uri << ": " << log.status.ToString();
    }
    outcome.hash = loader->op_stream_hash();
    outcome.demand = backend.demand();
    outcome.align = backend.align();
    return outcome;
  }
};

TEST_P(SameDemand, OnEveryBackEnd) {
  const LoaderRow& row = GetParam();
  const Scene scene = SceneOf(row);
  const stoker::testing::TempDir folder;
  Stage::Generate(scene, FileUri(folder.str()));
  Stage::Generate(scene, MemUri(folder.str()));
  const Outcome file = Run(scene, FileUri(folder.str()));

  for (const StoreRow& store : Stores()) {
    const Outcome outcome = Run(scene, store.uri(folder.str()));
    EXPECT_EQ(outcome.hash, file.hash) << store.name;
    EXPECT_NEAR(static_cast<double>(outcome.demand.reads),
                static_cast<double>(file.demand.reads),
                2 * static_cast<double>(row.late))
        << store.name;
    EXPECT_EQ(outcome.demand.size_queries, file.demand.size_queries)
        << store.name;
    EXPECT_LE(outcome.demand.most_ops, row.ops) << store.name;
    // Rounded out to whole blocks at both ends, where the back end wants that.
    const std::uint64_t wider = outcome.align > 1 ? 2 * outcome.align : 0;
    EXPECT_LE(outcome.demand.most_bytes, row.ops * (row.bytes + wider))
        << store.name;
  }
}

// The bound is no matter of a store that is quick enough: a slow one sees as
// much at a time, and no more.
TEST_P(SameDemand, ReachesItsBoundOnSlowStorageAndNoMore) {
  const LoaderRow& row = GetParam();
  core::VirtualClock clock;
  clock.Attach();
  const Scene scene = SceneOf(row);
  {
    DemandBackend backend(stoker::testing::Open("model:?latency=50ms,null:"),
                          clock);
    Stage stage(scene, "null:", clock);
    LoaderData data = stage.Data();
    data.backend = &backend;
    auto loader =
        MakeLoader(scene.shape, data, stage.Options(), clock, stage.cancel());
    ASSERT_TRUE(loader.ok()) << loader.status().ToString();
    ASSERT_TRUE(testing::RunEpoch(*loader.value(), clock, {}).status.ok());
    EXPECT_EQ(backend.demand().most_ops, row.ops);
    EXPECT_LE(backend.demand().most_bytes, row.ops * row.bytes);
  }
  clock.Detach();
}

INSTANTIATE_TEST_SUITE_P(All, SameDemand, ::testing::ValuesIn(kLoaders),
                         [](const auto& row) {
                           return std::string(row.param.name);
                         });

}  // namespace
}  // namespace stoker::emulator
