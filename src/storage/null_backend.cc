#include "storage/null_backend.h"

#include <memory>
#include <utility>

#include "storage/internal/instant_queue.h"
#include "storage/internal/object_table.h"
#include "storage/internal/options.h"
#include "storage/internal/part_memory.h"

namespace stoker::storage {

namespace {

class NullQueue final : public internal::InstantQueue {
 public:
  NullQueue(const ReadLimits& limits, core::Clock& clock)
      : InstantQueue(limits, clock) {}

 private:
  void Answer(const ReadOp& op, ReadDone& done) override {
    done.bytes = op.kind == ReadOp::Kind::kRead ? op.buffer.size() : 0;
  }
};

class NullWriteStream final : public WriteStream {
 public:
  NullWriteStream(std::shared_ptr<internal::PartPool> parts,
                  const WriteOptions& options, core::Clock& clock)
      : WriteStream(options, clock), memory_(std::move(parts)) {}

 private:
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) override {
    return memory_.For(offset, options().part_size);
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
    STOKER_TRY(internal::CheckDepth(options));
    const ReadLimits limits{.capacity = options.depth, .real_data = false};
    return std::unique_ptr<ReadQueue>(
        std::make_unique<NullQueue>(limits, clock));
  }
  core::Result<std::unique_ptr<WriteStream>> Create(
      std::string_view object_name, const WriteOptions& options,
      core::Clock& clock) override {
    STOKER_TRY(internal::CheckObjectName(object_name));
    return std::unique_ptr<WriteStream>(
        std::make_unique<NullWriteStream>(parts_, options, clock));
  }
  core::Status EnsureFolder(std::string_view /*prefix*/) override { return {}; }
  core::Status Link(std::string_view existing, std::string_view name) override {
    STOKER_TRY(internal::CheckObjectName(existing));
    return internal::CheckObjectName(name);
  }
  core::Status Remove(std::string_view object_name) override {
    return internal::CheckObjectName(object_name);
  }
  core::Result<std::uint64_t> FreeBytes() override { return UINT64_MAX; }

 private:
  struct Nothing {};
  internal::ObjectTable<Nothing> ids_;
  std::shared_ptr<internal::PartPool> parts_ =
      std::make_shared<internal::PartPool>();
};

}  // namespace

core::Result<std::unique_ptr<Backend>> OpenNullBackend(
    const Uri& uri, std::unique_ptr<Backend> /*inner*/) {
  STOKER_TRY(internal::CheckNoPlace(uri));
  return std::unique_ptr<Backend>(std::make_unique<NullBackend>());
}

}  // namespace stoker::storage
