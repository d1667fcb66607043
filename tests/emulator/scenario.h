#pragma once

// A loader over a small dataset, with what it asks of storage written down.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "dataset/op_stream.h"
#include "dataset/order.h"
#include "dataset/shape.h"
#include "emulator/loader.h"
#include "formats/registry.h"
#include "generators/generate.h"
#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::emulator::testing {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// An object's name taken up for reading.
struct Opened {
  std::string name;
  core::Nanos at{};  // since the clock's zero
};

// Forwards to another back end and writes down which objects are opened. May
// refuse to make queues.
class WatchedBackend : public storage::Backend {
 public:
  WatchedBackend(std::unique_ptr<storage::Backend> inner,
                 const core::Clock& clock)
      : inner_(std::move(inner)), clock_(clock) {}

  bool refuse_queues = false;

  std::vector<Opened> opened() const {
    const std::scoped_lock lock(mutex_);
    return opened_;
  }
  std::int64_t open_now() const {
    const std::scoped_lock lock(mutex_);
    return open_now_;
  }

  std::string_view scheme() const override { return inner_->scheme(); }
  std::string uri() const override { return inner_->uri(); }
  storage::Capabilities capabilities() const override {
    return inner_->capabilities();
  }
  core::Status List(
      std::string_view prefix,
      const std::function<bool(const storage::ObjectInfo&)>& visit) override {
    return inner_->List(prefix, visit);
  }
  storage::ObjectId Resolve(std::string_view name) override {
    const std::scoped_lock lock(mutex_);
    opened_.push_back(
        {.name = std::string(name), .at = clock_.Now().time_since_epoch()});
    ++open_now_;
    return inner_->Resolve(name);
  }
  void Release(storage::ObjectId object) override {
    const std::scoped_lock lock(mutex_);
    --open_now_;
    inner_->Release(object);
  }
  core::Result<std::unique_ptr<storage::ReadQueue>> NewReadQueue(
      const storage::QueueOptions& options, core::Clock& clock) override {
    if (refuse_queues) {
      return core::Status(core::Code::kUnsupported, "no queues today");
    }
    return inner_->NewReadQueue(options, clock);
  }
  core::Result<std::unique_ptr<storage::WriteStream>> Create(
      std::string_view name, const storage::WriteOptions& options,
      core::Clock& clock) override {
    return inner_->Create(name, options, clock);
  }
  core::Status EnsureFolder(std::string_view prefix) override {
    return inner_->EnsureFolder(prefix);
  }
  core::Status Link(std::string_view existing, std::string_view name) override {
    return inner_->Link(existing, name);
  }
  core::Status Remove(std::string_view name) override {
    return inner_->Remove(name);
  }
  core::Result<std::uint64_t> FreeBytes() override {
    return inner_->FreeBytes();
  }

 private:
  std::unique_ptr<storage::Backend> inner_;
  const core::Clock& clock_;
  mutable std::mutex mutex_;  // guards the two below
  std::vector<Opened> opened_;
  std::int64_t open_now_ = 0;
};

// One physical read, or {0, 0, size} marked as a question for the size.
struct Seen {
  std::uint64_t offset = 0;
  std::uint64_t wanted = 0;
  std::uint64_t got = 0;
  bool size_query = false;
  friend bool operator==(const Seen&, const Seen&) = default;
};
inline Seen Read(std::uint64_t offset, std::uint64_t wanted,
                 std::uint64_t got) {
  return {.offset = offset, .wanted = wanted, .got = got};
}
inline Seen Size(std::uint64_t size) {
  return {.got = size, .size_query = true};
}
inline void PrintTo(const Seen& seen, std::ostream* out) {
  *out << (seen.size_query ? "size" : "read") << "(" << seen.offset << ", "
       << seen.wanted << ") = " << seen.got;
}

// Look at it while the loader is idle.
class ReadLog final : public storage::ReadObserver {
 public:
  void OnRead(storage::ObjectId /*object*/, std::uint64_t op_offset,
              std::uint64_t wanted, const storage::ReadDone& done) override {
    seen.push_back({.offset = op_offset,
                    .wanted = wanted,
                    .got = done.bytes,
                    .size_query = done.kind == storage::ReadOp::Kind::kSize});
  }
  std::vector<Seen> seen;
};

// What to build.
struct Scene {
  PipelineShape shape = PipelineShape::kTorch;
  std::uint64_t files = 8;
  std::uint32_t samples_per_file = 1;
  std::uint64_t batch = 1;
  std::uint64_t ranks = 1;
  std::uint64_t rank = 0;
  // 100 bytes a sample; with a deviation sizes tell the files apart.
  dataset::SizeModel sizes{.record_length = 100};
  const formats::Format* format = nullptr;  // null: that of the shape
  LoaderOptions options{};  // order, rank and (unless set) steps are filled in
};

// Sizes that tell files apart, around `bytes`.
inline dataset::SizeModel DistinctSizes(double bytes) {
  return {.record_length = bytes, .stdev = 0.4 * bytes};
}

// The clock, the storage and the dataset that loaders of a scene work with.
// The thread that makes it is attached to the clock.
class Stage {
 public:
  // Storage that keeps data must hold the scene's dataset: see Generate.
  Stage(const Scene& scene, std::string_view uri, core::Clock& clock)
      : scene_(scene),
        clock_(clock),
        shapes_(dataset::Shapes::Make(scene.sizes, scene.files)) {
    auto opened = storage::OpenBackend(uri);
    EXPECT_TRUE(opened.ok()) << opened.status().ToString();
    backend_ =
        std::make_unique<WatchedBackend>(std::move(opened).value(), clock);
  }

  // Writes the dataset of `scene`; another number of samples in each file than
  // the scene says, if given.
  static void Generate(const Scene& scene, std::string_view uri,
                       std::uint32_t samples = 0) {
    core::SystemClock clock;
    const core::CancelFlag cancel;
    auto backend = storage::OpenBackend(uri);
    ASSERT_TRUE(backend.ok()) << backend.status().ToString();
    generators::GeneratePlan plan;
    plan.format = FormatOf(scene);
    plan.train = NamingOf(scene);
    plan.valid = {.set = "valid"};
    plan.samples_per_file = samples > 0 ? samples : scene.samples_per_file;
    plan.sizes = scene.sizes;
    plan.content.seed = 7;
    const auto self = comm::MakeSelf(&cancel);
    const auto made =
        generators::Generate(*self, *backend.value(), plan, clock, cancel, {});
    ASSERT_TRUE(made.ok()) << made.status().ToString();
  }

  WatchedBackend& backend() { return *backend_; }
  core::Clock& clock() { return clock_; }
  core::CancelFlag& cancel() { return cancel_; }
  std::uint64_t steps() const { return Options().steps; }

  LoaderData Data() {
    return {.backend = backend_.get(),
            .format = FormatOf(scene_),
            .specs = {.shapes = &shapes_,
                      .train_files = scene_.files,
                      .samples_per_file = scene_.samples_per_file,
                      .nominal_edge = dataset::NominalEdge(scene_.sizes)},
            .naming = NamingOf(scene_),
            .returned_bytes = 100};
  }
  LoaderOptions Options() const {
    LoaderOptions options = scene_.options;
    options.order = {.files = scene_.files,
                     .samples_per_file = scene_.samples_per_file,
                     .batch_size = scene_.batch,
                     .ranks = scene_.ranks};
    options.rank = scene_.rank;
    if (options.steps == 0) {
      options.steps = dataset::StepsPerEpoch(options.order, 0);
    }
    return options;
  }
  core::Result<std::unique_ptr<Loader>> TryMake() {
    return MakeLoader(scene_.shape, Data(), Options(), clock_, cancel_);
  }
  std::unique_ptr<Loader> Make() {
    auto made = TryMake();
    EXPECT_TRUE(made.ok()) << made.status().ToString();
    return made.ok() ? std::move(made).value() : nullptr;
  }

  // The file a sample of this size comes from; sizes must be distinct.
  std::uint64_t FileOfSize(std::uint64_t bytes) const {
    std::uint64_t found = scene_.files;
    for (std::uint64_t file = 0; file < scene_.files; ++file) {
      if (shapes_.at(file).bytes() == bytes) {
        EXPECT_EQ(found, scene_.files) << "two files of the same size";
        found = file;
      }
    }
    EXPECT_LT(found, scene_.files) << "no sample has " << bytes << " bytes";
    return found;
  }
  std::uint64_t BytesOf(std::uint64_t file) const {
    return shapes_.at(file).bytes();
  }

 private:
  static const formats::Format* FormatOf(const Scene& scene) {
    if (scene.format != nullptr) {
      return scene.format;
    }
    const bool record = scene.shape == PipelineShape::kTfRecord;
    return formats::FindFormat(record ? "tfrecord" : "npz").value();
  }
  static dataset::Naming NamingOf(const Scene& scene) {
    return {.suffix = std::string(FormatOf(scene)->suffix().substr(1)),
            .total = scene.files};
  }

  Scene scene_;
  core::Clock& clock_;
  core::CancelFlag cancel_;
  dataset::Shapes shapes_;
  std::unique_ptr<WatchedBackend> backend_;
};

// What the accelerator of one rank saw in an epoch.
struct EpochLog {
  std::vector<Batch> batches;
  std::vector<core::Nanos> waits;  // for each batch
  core::Nanos total{};             // the last computation included
  metrics::LoaderCounters counters;
  core::Status status;  // the first error
};

inline EpochLog RunEpoch(Loader& loader, core::Clock& clock,
                         core::Nanos compute, std::uint32_t epoch = 1) {
  EpochLog log;
  const core::TimePoint start = clock.Now();
  log.status = loader.StartEpoch(epoch);
  while (log.status.ok()) {
    const core::TimePoint asked = clock.Now();
    const core::Result<std::optional<Batch>> next = loader.Next();
    if (!next.ok()) {
      log.status = next.status();
      break;
    }
    const std::optional<Batch>& batch = next.value();
    if (!batch.has_value()) {
      break;
    }
    log.waits.push_back(clock.Now() - asked);
    log.batches.push_back(*batch);
    clock.SleepUntil(clock.Now() + compute);
  }
  log.total = clock.Now() - start;
  if (log.status.ok()) {
    auto counters = loader.FinishEpoch();
    log.status = counters.status();
    if (counters.ok()) {
      log.counters = counters.value();
    }
  }
  return log;
}

// File and sample of each sample handed over, in order.
using SampleList = std::vector<std::pair<std::uint64_t, std::uint32_t>>;

// The hash of one epoch in which those samples were handed over.
inline std::uint64_t HashOf(const Stage& stage, const Scene& scene,
                            const SampleList& samples,
                            std::uint32_t epoch = 1) {
  dataset::OpStreamHash hash;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    hash.Add({.epoch = epoch,
              .rank = static_cast<std::uint32_t>(scene.rank),
              .step = i / scene.batch,
              .file = samples[i].first,
              .sample = samples[i].second,
              .bytes = stage.BytesOf(samples[i].first)});
  }
  return hash.value();
}

// Runs on one thread in virtual time that starts at 0.
class VirtualTimeTest : public ::testing::Test {
 protected:
  void SetUp() override { clock_.Attach(); }
  void TearDown() override { clock_.Detach(); }

  // Steps of one epoch in order; batch size and samples per file must be 1 and
  // the sizes distinct.
  static std::vector<std::uint64_t> FilesOf(const Stage& stage,
                                            const EpochLog& log) {
    std::vector<std::uint64_t> files;
    files.reserve(log.batches.size());
    for (const Batch& batch : log.batches) {
      files.push_back(stage.FileOfSize(batch.bytes));
    }
    return files;
  }
  static std::vector<core::Nanos> Micros(
      const std::vector<std::int64_t>& values) {
    std::vector<core::Nanos> spans;
    spans.reserve(values.size());
    for (const std::int64_t value : values) {
      spans.emplace_back(microseconds(value));
    }
    return spans;
  }

  core::VirtualClock clock_;
};

}  // namespace stoker::emulator::testing
