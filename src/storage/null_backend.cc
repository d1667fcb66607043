#include "storage/null_backend.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "storage/internal/part_memory.h"
#include "storage/object_table.h"
#include "storage/uri_options.h"

namespace stoker::storage {

namespace {

// Its cost per op is a floor under every figure of a run on this back end, so
// it keeps no more of an op than the answer.
class NullQueue final : public ReadQueue {
 public:
  NullQueue(const ReadLimits& limits, core::Clock& clock)
      : ReadQueue(limits, clock, Finishes::kAtOnce),
        answers_(limits.capacity) {}
  void Wake() override {}  // a Reap never waits

 private:
  struct Answer {
    std::uint64_t tag = 0;
    std::uint64_t bytes = 0;
  };

  core::Result<std::size_t> DoSubmit(std::span<const ReadOp> ops) override {
    for (const ReadOp& op : ops) {
      answers_[end_] = {
          .tag = op.tag,
          .bytes = op.kind == ReadOp::Kind::kRead ? op.buffer.size() : 0};
      end_ = Next(end_);
    }
    count_ += ops.size();
    return ops.size();
  }
  core::Result<std::size_t> DoReap(std::span<ReadDone> done,
                                   std::size_t /*at_least*/,
                                   core::TimePoint /*deadline*/) override {
    const std::size_t count = std::min(done.size(), count_);
    for (ReadDone& one : done.first(count)) {
      one.tag = answers_[first_].tag;
      one.bytes = answers_[first_].bytes;
      one.from_cache = 0;
      one.from_memory = 0;
      one.version = 0;
      one.first_byte = {};
      if (!one.status.ok()) {
        one.status = {};
      }
      first_ = Next(first_);
    }
    count_ -= count;
    return count;
  }
  std::size_t Next(std::size_t at) const {
    return at + 1 == answers_.size() ? 0 : at + 1;
  }

  std::vector<Answer> answers_;  // ring
  std::size_t first_ = 0;
  std::size_t end_ = 0;  // behind the last
  std::size_t count_ = 0;
};

class NullWriteStream final : public WriteStream {
 public:
  NullWriteStream(std::shared_ptr<internal::PartPool> parts,
                  const WriteOptions& options, core::Clock& clock)
      : WriteStream(options, clock), memory_(std::move(parts)) {}

 private:
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) override {
    return memory_.For(options(), IsKeptBack(offset));
  }
  core::Status DoSend(std::uint64_t /*offset*/,
                      std::span<const std::byte> /*part*/) override {
    return {};
  }
  core::Status DoCommit(std::uint64_t /*size*/, WriteTimes& times) override {
    if (options().durable) {
      times.synced = clock().Now();
    }
    return {};
  }

  internal::PartMemory memory_;
};

class NullBackend final : public Backend {
 public:
  std::string_view scheme() const override { return "null"; }
  std::string uri() const override { return "null:"; }
  Capabilities capabilities() const override { return {.stores_data = false}; }
  core::Status List(
      std::string_view /*prefix*/,
      const std::function<bool(const ObjectInfo&)>& /*visit*/) override {
    return {};
  }
  // Ids tell objects apart, for whoever watches the reads.
  ObjectId Resolve(std::string_view /*object_name*/) override {
    return ids_.Take([](Nothing&) {});
  }
  void Release(ObjectId object) override {
    ids_.Give(object, [](Nothing&) {});
  }
  core::Result<std::unique_ptr<ReadQueue>> NewReadQueue(
      const QueueOptions& options, core::Clock& clock) override {
    STOKER_TRY(CheckDepth(options));
    const ReadLimits limits{.capacity = options.depth, .real_data = false};
    return std::unique_ptr<ReadQueue>(
        std::make_unique<NullQueue>(limits, clock));
  }
  core::Result<std::unique_ptr<WriteStream>> Create(
      std::string_view object_name, const WriteOptions& options,
      core::Clock& clock) override {
    STOKER_TRY(CheckObjectName(object_name));
    return std::unique_ptr<WriteStream>(
        std::make_unique<NullWriteStream>(parts_, options, clock));
  }
  core::Status EnsureFolder(std::string_view /*prefix*/) override { return {}; }
  core::Status Link(std::string_view existing, std::string_view name) override {
    STOKER_TRY(CheckObjectName(existing));
    return CheckObjectName(name);
  }
  core::Status Remove(std::string_view object_name) override {
    return CheckObjectName(object_name);
  }
  core::Result<std::uint64_t> FreeBytes() override { return UINT64_MAX; }

 private:
  struct Nothing {};
  ObjectTable<Nothing> ids_;
  std::shared_ptr<internal::PartPool> parts_ =
      std::make_shared<internal::PartPool>();
};

}  // namespace

core::Result<std::unique_ptr<Backend>> OpenNullBackend(
    const Uri& uri, const OpenSettings& /*settings*/,
    std::unique_ptr<Backend> /*inner*/) {
  STOKER_TRY(CheckNoPlace(uri));
  return std::unique_ptr<Backend>(std::make_unique<NullBackend>());
}

}  // namespace stoker::storage
