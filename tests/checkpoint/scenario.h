#pragma once

// Small checkpoints on any back end, on ranks that are threads.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/restore.h"
#include "checkpoint/save.h"
#include "comm/communicator.h"
#include "core/cancel.h"
#include "core/clock.h"
#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::checkpoint::testing {

inline std::unique_ptr<storage::Backend> OpenOrDie(std::string_view uri) {
  auto backend = storage::OpenBackend(uri);
  EXPECT_TRUE(backend.ok()) << backend.status().ToString();
  return std::move(backend).value();
}

// Two layers on two stages of two, ZeRO 1: ranks 0 to 3 hold the model, as many
// more only optimizer state.
inline ModelSpec SmallModel() {
  return {.type = "transformer",
          .layers = 2,
          .hidden = 64,
          .ffn_hidden = 96,
          .attention_heads = 4,
          .kv_heads = 2,
          .vocabulary = 1000};
}
inline Layout SmallLayout() {
  return {.ranks = 4, .tensor = 2, .pipeline = 2, .data = 1, .zero_stage = 1};
}

inline SaveIdentity IdentityOf(const ModelSpec& spec, const Layout& layout,
                               std::uint64_t save_id) {
  return {.tool = "stoker test",
          .model = "small",
          .spec = spec,
          .layout = layout,
          .save_id = save_id};
}

// Saves and restores on as many ranks as the layout has; each returns what rank
// 0 saw, or the status all ranks agreed on.
class Scenario {
 public:
  explicit Scenario(std::unique_ptr<storage::Backend> on,
                    ModelSpec model = SmallModel(),
                    Layout ranks = SmallLayout())
      : backend(std::move(on)), spec(std::move(model)), layout(ranks) {
    context.backend = backend.get();
    context.clock = &clock;
    context.cancel = &cancel;
    context.pool_bytes = 16U << 20;
  }

  core::Result<metrics::CheckpointOp> Save(std::uint64_t step,
                                           std::uint64_t save_id = 1) {
    core::Result<metrics::CheckpointOp> result = core::Status();
    Run([&](comm::Communicator& comm) {
      Saver saver(comm, context, save, IdentityOf(spec, layout, save_id));
      core::Result<metrics::CheckpointOp> op = saver.Save(1, step);
      if (comm.rank() == 0) {
        result = std::move(op);
      }
    });
    return result;
  }

  core::Result<std::vector<FoundCheckpoint>> Find(std::uint64_t count,
                                                  bool foreign = false) {
    core::Result<std::vector<FoundCheckpoint>> result = core::Status();
    Run([&](comm::Communicator& comm) {
      auto found = FindCheckpoints(comm, context, spec, layout,
                                   {.count = count, .foreign = foreign});
      if (comm.rank() == 0) {
        result = std::move(found);
      }
    });
    return result;
  }

  core::Result<metrics::CheckpointOp> Restore(const FoundCheckpoint& found) {
    core::Result<metrics::CheckpointOp> result = core::Status();
    Run([&](comm::Communicator& comm) {
      Restorer restorer(comm, context, restore, spec, layout);
      core::Result<metrics::CheckpointOp> op = restorer.Restore(found);
      if (comm.rank() == 0) {
        result = std::move(op);
      }
    });
    return result;
  }

  void Run(const std::function<void(comm::Communicator&)>& body) {
    comm::RunThreads(static_cast<int>(layout.ranks), clock, &cancel, body);
  }

  core::SystemClock clock;
  core::CancelFlag cancel;
  std::unique_ptr<storage::Backend> backend;
  ModelSpec spec;
  Layout layout;
  ShardContext context;
  SaveOptions save;
  RestoreOptions restore{.verify = Verify::kFull};
};

// The bytes of an object, and an object of these bytes.
inline std::string Content(storage::Backend& backend, std::string_view name) {
  core::SystemClock clock;
  auto text = storage::ReadObject(backend, name, clock);
  EXPECT_TRUE(text.ok()) << text.status().ToString();
  return text.ok() ? std::move(text).value() : std::string();
}
inline void Replace(storage::Backend& backend, std::string_view name,
                    std::string_view content) {
  core::SystemClock clock;
  const core::Status status =
      storage::WriteObject(backend, name, content, clock);
  EXPECT_TRUE(status.ok()) << status.ToString();
}

}  // namespace stoker::checkpoint::testing
