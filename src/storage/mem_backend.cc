#include "storage/mem_backend.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "storage/internal/instant_queue.h"
#include "storage/internal/part_memory.h"
#include "storage/object_table.h"
#include "storage/uri_options.h"

namespace stoker::storage {

namespace {

using Content = std::vector<std::byte>;

core::Status NoSuchObject(std::string_view operation, std::string_view name) {
  std::string what(operation);
  return core::Status::FromErrno(ENOENT,
                                 what.append(" mem object ").append(name));
}

// Contents are shared: a read goes on with what it found while the name is
// replaced or removed.
struct Held {
  std::shared_ptr<const Content> content;  // null: no such object
  std::uint64_t version = 0;               // of the place's objects, from 1
};

// One place. Safe for concurrent use.
class Store {
 public:
  Held Look(std::string_view name) const {
    const std::shared_lock lock(mutex_);
    const auto found = objects_.find(name);
    return found == objects_.end() ? Held{} : found->second;
  }
  // Null if there is none.
  std::shared_ptr<const Content> Find(std::string_view name) const {
    return Look(name).content;
  }
  void Put(std::string_view name, std::shared_ptr<const Content> content) {
    const std::scoped_lock lock(mutex_);
    objects_.insert_or_assign(std::string(name),
                              Held{std::move(content), ++puts_});
  }
  bool Remove(std::string_view name) {
    const std::scoped_lock lock(mutex_);
    const auto found = objects_.find(name);
    if (found == objects_.end()) {
      return false;
    }
    objects_.erase(found);
    return true;
  }
  std::vector<std::pair<std::string, std::uint64_t>> Names(
      std::string_view prefix) const {
    const std::shared_lock lock(mutex_);
    std::vector<std::pair<std::string, std::uint64_t>> names;
    for (auto at = objects_.lower_bound(prefix);
         at != objects_.end() && at->first.starts_with(prefix); ++at) {
      names.emplace_back(at->first, at->second.content->size());
    }
    return names;
  }

 private:
  mutable std::shared_mutex mutex_;  // guards the rest
  std::map<std::string, Held, std::less<>> objects_;
  std::uint64_t puts_ = 0;
};

struct MemObject {
  std::string name;
};
using Objects = ObjectTable<MemObject>;

class MemQueue final : public internal::InstantQueue {
 public:
  MemQueue(const Store& store, Objects& objects, const ReadLimits& limits,
           core::Clock& clock)
      : InstantQueue(limits, clock), store_(store), objects_(objects) {}

 private:
  void Answer(const ReadOp& op, ReadDone& done) override {
    const std::string& name = objects_.Get(op.object).name;
    const auto [content, version] = store_.Look(name);
    if (content == nullptr) {
      done.status = NoSuchObject("open", name);
      return;
    }
    if (op.kind == ReadOp::Kind::kSize) {
      done.bytes = content->size();
      done.version = version;
      return;
    }
    const std::uint64_t start =
        std::min<std::uint64_t>(op.offset, content->size());
    done.bytes =
        std::min<std::uint64_t>(op.buffer.size(), content->size() - start);
    if (done.bytes > 0) {
      std::memcpy(op.buffer.data(), content->data() + start, done.bytes);
    }
    done.from_memory = done.bytes;
  }

  const Store& store_;
  Objects& objects_;
};

class MemWriteStream final : public WriteStream {
 public:
  MemWriteStream(Store& store, std::string_view name,
                 std::shared_ptr<internal::PartPool> parts,
                 const WriteOptions& options, core::Clock& clock)
      : WriteStream(options, clock),
        store_(store),
        name_(name),
        content_(std::make_shared<Content>()),
        memory_(std::move(parts)) {}

 private:
  core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) override {
    return memory_.For(options(), IsKeptBack(offset));
  }
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override {
    if (content_->size() < offset + part.size()) {
      content_->resize(offset + part.size());
    }
    std::ranges::copy(part,
                      content_->begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  core::Status DoCommit(std::uint64_t /*size*/, WriteTimes& times) override {
    if (options().durable) {
      times.synced = clock().Now();
    }
    store_.Put(name_, std::move(content_));
    return {};
  }

  Store& store_;
  std::string name_;
  std::shared_ptr<Content> content_;
  internal::PartMemory memory_;
};

class MemBackend final : public Backend {
 public:
  MemBackend(std::string place, std::shared_ptr<Store> store)
      : place_(std::move(place)), store_(std::move(store)) {}

  std::string_view scheme() const override { return "mem"; }
  std::string uri() const override { return "mem:" + place_; }
  Capabilities capabilities() const override { return {.shared = false}; }
  core::Status List(
      std::string_view prefix,
      const std::function<bool(const ObjectInfo&)>& visit) override {
    for (const auto& [name, size] : store_->Names(prefix)) {
      if (!visit({name, size})) {
        break;
      }
    }
    return {};
  }
  ObjectId Resolve(std::string_view object_name) override {
    return objects_.Take(
        [object_name](MemObject& object) { object.name = object_name; });
  }
  void Release(ObjectId object) override {
    objects_.Give(object, [](MemObject&) {});
  }
  core::Result<std::unique_ptr<ReadQueue>> NewReadQueue(
      const QueueOptions& options, core::Clock& clock) override {
    STOKER_TRY(CheckDepth(options));
    const ReadLimits limits{.capacity = options.depth};
    return std::unique_ptr<ReadQueue>(
        std::make_unique<MemQueue>(*store_, objects_, limits, clock));
  }
  core::Result<std::unique_ptr<WriteStream>> Create(
      std::string_view object_name, const WriteOptions& options,
      core::Clock& clock) override {
    STOKER_TRY(CheckObjectName(object_name));
    return std::unique_ptr<WriteStream>(std::make_unique<MemWriteStream>(
        *store_, object_name, parts_, options, clock));
  }
  core::Status EnsureFolder(std::string_view /*prefix*/) override { return {}; }
  core::Status Link(std::string_view existing, std::string_view name) override {
    STOKER_TRY(CheckObjectName(existing));
    STOKER_TRY(CheckObjectName(name));
    std::shared_ptr<const Content> content = store_->Find(existing);
    if (content == nullptr) {
      return NoSuchObject("link to", existing);
    }
    store_->Put(name, std::move(content));
    return {};
  }
  core::Status Remove(std::string_view object_name) override {
    STOKER_TRY(CheckObjectName(object_name));
    return store_->Remove(object_name) ? core::Status{}
                                       : NoSuchObject("remove", object_name);
  }
  core::Result<std::optional<ObjectIdentity>> Identity(
      std::string_view object_name) override {
    const std::shared_ptr<const Content> content = store_->Find(object_name);
    if (content == nullptr) {
      return NoSuchObject("identify", object_name);
    }
    return std::optional(ObjectIdentity{
        .number = reinterpret_cast<std::uintptr_t>(content.get())});
  }
  core::Result<std::uint64_t> FreeBytes() override { return UINT64_MAX; }

 private:
  std::string place_;
  std::shared_ptr<Store> store_;  // shared by the back ends of one place
  Objects objects_;
  std::shared_ptr<internal::PartPool> parts_ =
      std::make_shared<internal::PartPool>();
};

// The named places of this process.
std::shared_ptr<Store> NamedStore(const std::string& name) {
  static std::mutex mutex;  // guards stores
  static std::map<std::string, std::shared_ptr<Store>> stores;
  const std::scoped_lock lock(mutex);
  std::shared_ptr<Store>& store = stores[name];
  if (store == nullptr) {
    store = std::make_shared<Store>();
  }
  return store;
}

}  // namespace

core::Result<std::unique_ptr<Backend>> OpenMemBackend(
    const Uri& uri, const OpenSettings& /*settings*/,
    std::unique_ptr<Backend> /*inner*/) {
  std::shared_ptr<Store> store =
      uri.place.empty() ? std::make_shared<Store>() : NamedStore(uri.place);
  return std::unique_ptr<Backend>(
      std::make_unique<MemBackend>(uri.place, std::move(store)));
}

}  // namespace stoker::storage
