#include "cache/cache_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "cache/block_key.h"
#include "cache/internal/cache_queue.h"
#include "cache/internal/fetcher.h"
#include "cache/internal/foresight.h"
#include "cache/internal/health.h"
#include "cache/internal/prefetcher.h"
#include "core/fnv.h"
#include "storage/forwarding_stream.h"
#include "storage/object_table.h"
#include "storage/uri_options.h"
#include "storage/wrapper_backend.h"

namespace stoker::cache {

namespace {

using internal::CacheObject;

constexpr std::array<storage::BackendInfo, 1> kCacheBackends{
    {{.name = "cache",
      .summary = "our NVMe cache in front of another storage",
      .example = "cache:/nvme/stoker?size=100GiB,s3://bucket/prefix",
      .wrapper = true,
      .default_inner = "",
      .options = kCacheOptions,
      .open = OpenCacheBackend}}};

// Tells all who use the cache that an object has changed, once it has.
class NotingStream final : public storage::ForwardingStream {
 public:
  NotingStream(std::unique_ptr<storage::WriteStream> inner,
               const storage::WriteOptions& options, core::Clock& clock,
               Index& index)
      : ForwardingStream(std::move(inner), options, clock), index_(index) {}

 private:
  core::Status DoSend(std::uint64_t offset,
                      std::span<const std::byte> part) override {
    return SendInner(offset, part.size());
  }
  core::Status DoCommit(std::uint64_t size,
                        storage::WriteTimes& times) override {
    const core::Status status = CommitInner(size, times);
    index_.NoteMutation();
    return status;
  }

  Index& index_;
};

class CacheBackend final : public storage::WrapperBackend {
 public:
  // `clock`: the one of `tier`, if that is for nobody else.
  CacheBackend(std::unique_ptr<core::Clock> clock, std::unique_ptr<Tier> tier,
               const CacheOptions& options,
               std::unique_ptr<storage::Backend> inner)
      : WrapperBackend(std::move(inner)),
        clock_(std::move(clock)),
        tier_(std::move(tier)),
        options_(options),
        keeps_(options.fill != Fill::kOff) {}

  std::string_view scheme() const override { return "cache"; }
  storage::Capabilities capabilities() const override {
    storage::Capabilities capabilities = inner().capabilities();
    capabilities.foresees = capabilities.foresees || foresees();
    return capabilities;
  }
  std::string uri() const override {
    std::string directories;
    for (const std::string& directory : options_.directories) {
      directories += (directories.empty() ? "" : ":") + directory;
    }
    return fmt::format("cache:{}?policy={},{}", directories,
                       PolicyName(options_.policy), inner().uri());
  }
  storage::ObjectId Resolve(std::string_view name) override {
    const storage::ObjectId behind = inner().Resolve(name);
    return objects_.Take([&](CacheObject& object) {
      object.name.assign(name);
      object.hash = core::Fnv1a64(name);
      object.inner = behind;
      object.number = foresight_.NumberOf(name);
    });
  }
  void Release(storage::ObjectId id) override {
    inner().Release(objects_.Get(id).inner);
    objects_.Give(id, [](CacheObject&) {});
  }
  core::Result<std::unique_ptr<storage::ReadQueue>> NewReadQueue(
      const storage::QueueOptions& options, core::Clock& clock) override {
    STOKER_TRY(storage::CheckDepth(options));
    STOKER_TRY(StartFetcher(clock));
    return internal::CacheQueue::Make(
        {.tier = tier_.get(),
         .fetcher = fetcher_.get(),
         .health = &health_,
         .counters = &counters_,
         .foresight = &foresight_,
         .store = StoreName(inner().uri()),
         .verify = options_.verify,
         .stores_data = inner().capabilities().stores_data},
        objects_, options, clock);
  }
  core::Result<std::unique_ptr<storage::WriteStream>> Create(
      std::string_view name, const storage::WriteOptions& options,
      core::Clock& clock) override {
    STOKER_ASSIGN(std::unique_ptr<storage::WriteStream> stream,
                  inner().Create(name, options, clock));
    return std::unique_ptr<storage::WriteStream>(std::make_unique<NotingStream>(
        std::move(stream), options, clock, FirstIndex()));
  }
  core::Status Link(std::string_view existing, std::string_view name) override {
    const core::Status status = inner().Link(existing, name);
    FirstIndex().NoteMutation();
    return status;
  }
  core::Status Remove(std::string_view name) override {
    const core::Status status = inner().Remove(name);
    FirstIndex().NoteMutation();
    return status;
  }
  core::Result<std::uint64_t> RemoveAll(
      std::span<const std::string> names) override {
    core::Result<std::uint64_t> removed = inner().RemoveAll(names);
    FirstIndex().NoteMutation();
    return removed;
  }

  std::optional<storage::CacheCounts> CacheActivity() const override {
    storage::CacheCounts counts = Snapshot(counters_);
    for (const TierUnit& unit : std::as_const(*tier_).units()) {
      const IndexCounters index = unit.index->counters();
      counts.evictions += index.evictions;
      counts.takeovers += index.takeovers;
    }
    return counts;
  }

  void NoteEpoch(std::uint32_t epoch, std::uint32_t epochs) override {
    if (options_.fill == Fill::kOn) {
      keeps_ = epochs < 2 || epoch < epochs;
    }
    foresight_.BeginEpoch(epoch);
    {
      const std::scoped_lock lock(starting_);
      if (fetcher_ != nullptr) {
        fetcher_->Wake();
      }
    }
    inner().NoteEpoch(epoch, epochs);
  }
  void HintOrder(storage::ReadOrder& order) override {
    if (foresees()) {
      order.BeginEpoch(0);
      foresight_.SetOrder(order);
    } else {
      inner().HintOrder(order);
    }
  }

  const CacheCounters& counters() const { return counters_; }
  Tier& tier() { return *tier_; }
  storage::Backend& store() { return inner(); }
  const CacheOptions& options() const { return options_; }

 private:
  Index& FirstIndex() { return *tier_->units().front().index; }
  bool foresees() const { return options_.policy == Policy::kBelady; }

  core::Status StartFetcher(core::Clock& clock) {
    const std::scoped_lock lock(starting_);
    if (fetcher_ != nullptr) {
      return {};
    }
    const std::size_t buffers = std::max<std::uint64_t>(
        2, options_.buffer_bytes / tier_->block_bytes());
    const std::size_t depth = std::max<std::size_t>(32, buffers);
    STOKER_ASSIGN(fetcher_,
                  internal::Fetcher::Make(*tier_, inner(), health_, counters_,
                                          {.buffers = buffers,
                                           .depth = depth,
                                           .keeps = &keeps_,
                                           .ahead = MakePrefetcher(depth)},
                                          clock));
    return {};
  }

  // Null where nothing is to be prefetched.
  internal::Prefetcher* MakePrefetcher(std::size_t depth) {
    if (options_.prefetch_bytes > 0 && options_.fill != Fill::kOff &&
        foresees() && inner().capabilities().stores_data) {
      prefetcher_ = std::make_unique<internal::Prefetcher>(
          *tier_, inner(), foresight_, options_.prefetch_bytes, depth / 4);
    }
    return prefetcher_.get();
  }

  std::unique_ptr<core::Clock> clock_;
  std::unique_ptr<Tier> tier_;
  CacheOptions options_;
  std::atomic<bool> keeps_;
  internal::Health health_;
  CacheCounters counters_;
  storage::ObjectTable<CacheObject> objects_;
  internal::Foresight foresight_;
  std::mutex starting_;  // guards the making of the two below
  std::unique_ptr<internal::Prefetcher> prefetcher_;
  std::unique_ptr<internal::Fetcher> fetcher_;
};

}  // namespace

std::unique_ptr<storage::Backend> MakeCacheBackend(
    std::unique_ptr<Tier> tier, const CacheOptions& options,
    std::unique_ptr<storage::Backend> inner) {
  return std::make_unique<CacheBackend>(nullptr, std::move(tier), options,
                                        std::move(inner));
}

core::Result<std::unique_ptr<storage::Backend>> OpenCacheBackend(
    const storage::Uri& uri, const storage::OpenSettings& settings,
    std::unique_ptr<storage::Backend> inner) {
  STOKER_ASSIGN(const CacheOptions options, ParseCacheOptions(uri));
  // Leases are compared between processes, so on the system's clock.
  auto clock = std::make_unique<core::SystemClock>();
  STOKER_ASSIGN(std::unique_ptr<Tier> tier,
                OpenTier(options, settings.shared_name, *clock));
  return std::unique_ptr<storage::Backend>(std::make_unique<CacheBackend>(
      std::move(clock), std::move(tier), options, std::move(inner)));
}

std::span<const storage::BackendInfo> CacheBackends() { return kCacheBackends; }

const CacheCounters* CountersOf(const storage::Backend& backend) {
  const auto* const cache = dynamic_cast<const CacheBackend*>(&backend);
  return cache == nullptr ? nullptr : &cache->counters();
}

Tier* TierOf(storage::Backend& backend) {
  auto* const cache = dynamic_cast<CacheBackend*>(&backend);
  return cache == nullptr ? nullptr : &cache->tier();
}

storage::Backend* StoreOf(storage::Backend& backend) {
  auto* const cache = dynamic_cast<CacheBackend*>(&backend);
  return cache == nullptr ? nullptr : &cache->store();
}

const CacheOptions* OptionsOf(const storage::Backend& backend) {
  const auto* const cache = dynamic_cast<const CacheBackend*>(&backend);
  return cache == nullptr ? nullptr : &cache->options();
}

}  // namespace stoker::cache
