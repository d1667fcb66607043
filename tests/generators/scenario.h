#pragma once

// A small dataset on a back end whose limits a test can set.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "formats/registry.h"
#include "generators/generate.h"
#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::generators::testing {

// Forwards to another back end, but for what is set here.
class TunedBackend final : public storage::Backend {
 public:
  explicit TunedBackend(std::unique_ptr<storage::Backend> inner)
      : inner_(std::move(inner)) {}

  std::optional<storage::Capabilities> tuned_capabilities;
  std::optional<std::uint64_t> tuned_free_bytes;
  bool knows_identity = true;
  std::atomic<int> creates = 0;
  std::atomic<int> links = 0;

  std::string_view scheme() const override { return inner_->scheme(); }
  std::string uri() const override { return inner_->uri(); }
  storage::Capabilities capabilities() const override {
    return tuned_capabilities.value_or(inner_->capabilities());
  }
  core::Status List(
      std::string_view prefix,
      const std::function<bool(const storage::ObjectInfo&)>& visit) override {
    return inner_->List(prefix, visit);
  }
  storage::ObjectId Resolve(std::string_view name) override {
    return inner_->Resolve(name);
  }
  void Release(storage::ObjectId object) override { inner_->Release(object); }
  core::Result<std::unique_ptr<storage::ReadQueue>> NewReadQueue(
      const storage::QueueOptions& options, core::Clock& clock) override {
    return inner_->NewReadQueue(options, clock);
  }
  core::Result<std::unique_ptr<storage::WriteStream>> Create(
      std::string_view name, const storage::WriteOptions& options,
      core::Clock& clock) override {
    ++creates;
    return inner_->Create(name, options, clock);
  }
  core::Status EnsureFolder(std::string_view prefix) override {
    return inner_->EnsureFolder(prefix);
  }
  core::Status Link(std::string_view existing, std::string_view name) override {
    ++links;
    return inner_->Link(existing, name);
  }
  core::Status Remove(std::string_view name) override {
    return inner_->Remove(name);
  }
  core::Status RemoveFolder(std::string_view prefix) override {
    return inner_->RemoveFolder(prefix);
  }
  core::Result<std::optional<storage::ObjectIdentity>> Identity(
      std::string_view name) override {
    if (knows_identity) {
      return inner_->Identity(name);
    }
    return std::optional<storage::ObjectIdentity>();
  }
  core::Result<storage::Unfinished> SweepUnfinished(
      std::string_view prefix, storage::Sweep sweep) override {
    return inner_->SweepUnfinished(prefix, sweep);
  }
  core::Result<std::uint64_t> FreeBytes() override {
    if (tuned_free_bytes) {
      return *tuned_free_bytes;
    }
    return inner_->FreeBytes();
  }

 private:
  std::unique_ptr<storage::Backend> inner_;
};

inline const formats::Format* FormatNamed(std::string_view name) {
  auto format = formats::FindFormat(name);
  return format.ok() ? format.value() : nullptr;
}

// 5 train files and 2 eval files with one sample of about 100 × 100 bytes.
inline GeneratePlan NpzPlan() {
  GeneratePlan plan;
  plan.format = FormatNamed("npz");
  plan.train = {.total = 5};
  plan.valid = {.set = "valid", .total = 2};
  plan.sizes = {.record_length = 10000, .stdev = 3000};
  plan.content.seed = 7;
  plan.tool = "stoker 0.1.0";
  return plan;
}

// npz under another layout: each file has two more objects, of 5 bytes and of 8
// bytes a sample.
class SidecarFormat final : public formats::Format {
 public:
  std::string_view name() const override { return "npz"; }
  std::string_view suffix() const override { return ".npz"; }
  std::uint64_t FileBytes(const formats::FileSpec& file) const override {
    return npz().FileBytes(file);
  }
  bool streams_samples() const override { return false; }
  std::span<const std::string_view> sidecars() const override {
    static constexpr std::array<std::string_view, 2> kSidecars = {".five",
                                                                  ".sz"};
    return kSidecars;
  }
  std::uint64_t SidecarBytes(const formats::FileSpec& file,
                             std::size_t which) const override {
    return which == 0 ? 5 : std::uint64_t{8} * file.samples;
  }
  core::Status EncodeSidecar(const formats::FileSpec& file, std::size_t which,
                             storage::WriteStream& out) const override {
    return out.Write(std::vector<std::byte>(SidecarBytes(file, which)));
  }
  core::Status Encode(const formats::FileSpec& file,
                      formats::PayloadSource& payload,
                      storage::WriteStream& out) const override {
    return npz().Encode(file, payload, out);
  }
  std::unique_ptr<formats::ReaderProgram> NewReader(
      const formats::ReaderOptions& options) const override {
    return npz().NewReader(options);
  }

 private:
  static const formats::Format& npz() { return *FormatNamed("npz"); }
};

// 7 train files of 3 samples of 50 × 50 bytes, with indexes.
inline GeneratePlan TfrecordPlan() {
  GeneratePlan plan;
  plan.format = FormatNamed("tfrecord");
  plan.train = {.suffix = "tfrecord", .total = 7};
  plan.valid = {.set = "valid", .suffix = "tfrecord"};
  plan.samples_per_file = 3;
  plan.sizes = {.record_length = 2500};
  plan.content.seed = 7;
  plan.write_index = true;
  return plan;
}

class GenerateTest : public ::testing::Test {
 protected:
  using Outcome = core::Result<GenerateResult>;
  using Objects = std::map<std::string, std::string>;

  void SetUp() override { Open("mem:"); }
  void Open(std::string_view uri) {
    auto opened = storage::OpenBackend(uri);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    backend_ = std::make_unique<TunedBackend>(std::move(opened).value());
  }

  // On one rank.
  Outcome Run(const GeneratePlan& plan, const OnProgress& progress = {}) {
    const auto self = comm::MakeSelf(&cancel_);
    return Generate(*self, *backend_, plan, clock_, cancel_, progress);
  }
  // On `ranks` threads; element r is what rank r got.
  std::vector<Outcome> RunOn(int ranks, const GeneratePlan& plan) {
    std::vector<Outcome> outcomes(static_cast<std::size_t>(ranks),
                                  GenerateResult{});
    comm::RunThreads(ranks, clock_, &cancel_, [&](comm::Communicator& comm) {
      outcomes[static_cast<std::size_t>(comm.rank())] =
          Generate(comm, *backend_, plan, clock_, cancel_, {});
    });
    return outcomes;
  }
  // On `ranks` threads, which must all succeed; what rank 0 got.
  GenerateResult RunWell(int ranks, const GeneratePlan& plan) {
    const std::vector<Outcome> outcomes = RunOn(ranks, plan);
    for (const Outcome& outcome : outcomes) {
      EXPECT_TRUE(outcome.ok()) << outcome.status().ToString();
    }
    return outcomes[0].ok() ? outcomes[0].value() : GenerateResult{};
  }
  // The message of a run that must fail with `code`.
  std::string Refusal(const GeneratePlan& plan, core::Code code) {
    const core::Status status = Run(plan).status();
    EXPECT_EQ(status.code(), code) << status.ToString();
    return std::string(status.message());
  }

  void Put(std::string_view name, std::string_view content) {
    ASSERT_TRUE(storage::WriteObject(*backend_, name, content, clock_).ok());
  }
  std::string Get(std::string_view name) {
    auto content = storage::ReadObject(*backend_, name, clock_);
    EXPECT_TRUE(content.ok()) << content.status().ToString();
    return content.ok() ? content.value() : std::string();
  }
  Objects All(std::string_view prefix = "") {
    std::vector<std::string> names;
    const core::Status listed =
        backend_->List(prefix, [&](const storage::ObjectInfo& info) {
          names.emplace_back(info.name);
          return true;
        });
    EXPECT_TRUE(listed.ok()) << listed.ToString();
    Objects objects;
    for (const std::string& name : names) {
      objects[name] = Get(name);
    }
    return objects;
  }
  bool HasManifest() {
    auto read = dataset::ReadManifest(*backend_, clock_);
    EXPECT_TRUE(read.ok()) << read.status().ToString();
    return read.ok() && read.value().has_value();
  }

  core::SystemClock clock_;
  core::CancelFlag cancel_;
  std::unique_ptr<TunedBackend> backend_;
};

}  // namespace stoker::generators::testing
