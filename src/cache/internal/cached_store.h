#pragma once

// The back end of a cache.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "cache/block_key.h"
#include "cache/cache_backend.h"
#include "cache/internal/cache_queue.h"
#include "cache/internal/catalogue.h"
#include "cache/internal/fetcher.h"
#include "cache/internal/foresight.h"
#include "cache/internal/health.h"
#include "cache/internal/prefetcher.h"
#include "cache/internal/staged_object.h"
#include "cache/internal/uploader.h"
#include "cache/internal/write_streams.h"
#include "core/fnv.h"
#include "storage/object_table.h"
#include "storage/uri_options.h"
#include "storage/wrapper_backend.h"

namespace stoker::cache {

// How long a writer waits for the store to take what waits for it.
inline constexpr core::Nanos kRoomPatience = std::chrono::seconds(60);

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
        keeps_(options.fill != Fill::kOff),
        health_(tier_->units().size()),
        meter_(options.guard, options.balance),
        store_name_(StoreName(this->inner().uri())) {}

  std::string_view scheme() const override { return "cache"; }
  storage::Capabilities capabilities() const override {
    storage::Capabilities capabilities = inner().capabilities();
    capabilities.foresees = capabilities.foresees || foresees();
    return capabilities;
  }
  std::string uri() const override;
  storage::ObjectId Resolve(std::string_view name) override {
    const storage::ObjectId behind = inner().Resolve(name);
    return objects_.Take([&](internal::CacheObject& object) {
      object.name.assign(name);
      object.hash = core::Fnv1a64(name);
      object.inner = behind;
      object.number = foresight_.NumberOf(name);
      object.opening = openings_.fetch_add(1, std::memory_order_relaxed);
    });
  }
  void Release(storage::ObjectId id) override {
    inner().Release(objects_.Get(id).inner);
    objects_.Give(id, [](internal::CacheObject&) {});
  }
  core::Result<std::unique_ptr<storage::ReadQueue>> NewReadQueue(
      const storage::QueueOptions& options, core::Clock& clock) override {
    STOKER_TRY(storage::CheckDepth(options));
    STOKER_TRY(StartFetcher(clock));
    STOKER_TRY(StartCatalogue(clock));
    return internal::CacheQueue::Make(
        {.tier = tier_.get(),
         .fetcher = fetcher_.get(),
         .health = &health_,
         .meter = &meter_,
         .counters = &counters_,
         .catalogue = catalogue_.get(),
         .foresight = &foresight_,
         .visits = &visits_,
         .store = store_name_,
         .verify = options_.verify,
         .stores_data = inner().capabilities().stores_data},
        objects_, options, clock);
  }
  core::Result<std::unique_ptr<storage::WriteStream>> Create(
      std::string_view name, const storage::WriteOptions& options,
      core::Clock& clock) override;
  core::Status List(
      std::string_view prefix,
      const std::function<bool(const storage::ObjectInfo&)>& visit) override;
  core::Status Link(std::string_view existing, std::string_view name) override;
  core::Status Remove(std::string_view name) override;
  core::Result<std::uint64_t> RemoveAll(
      std::span<const std::string> names) override;
  core::Result<std::optional<std::uint64_t>> CachedBytes(
      std::string_view name) override {
    STOKER_ASSIGN(const bool dirty, IsDirty(name));
    if (dirty) {
      return std::optional<std::uint64_t>();
    }
    return inner().CachedBytes(name);
  }
  core::Status Forget(std::string_view name) override {
    STOKER_ASSIGN(const bool dirty, IsDirty(name));
    return dirty ? core::Status() : inner().Forget(name);
  }
  core::Result<std::optional<std::uint64_t>> UnwrittenBytes(
      std::string_view name) override {
    STOKER_ASSIGN(const bool dirty, IsDirty(name));
    if (dirty) {
      return std::optional<std::uint64_t>();
    }
    return inner().UnwrittenBytes(name);
  }
  core::Result<std::optional<storage::ObjectIdentity>> Identity(
      std::string_view name) override {
    STOKER_ASSIGN(const bool dirty, IsDirty(name));
    if (dirty) {
      return std::optional<storage::ObjectIdentity>();
    }
    return inner().Identity(name);
  }
  core::Result<storage::Drained> Drain(const storage::DrainOptions& options,
                                       core::Clock& clock) override;

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
  const VisitLogs& visits() const { return visits_; }
  Tier& tier() { return *tier_; }
  storage::Backend& store() { return inner(); }
  const CacheOptions& options() const { return options_; }

 private:
  Index& FirstIndex() { return *tier_->units().front().index; }
  bool foresees() const { return options_.policy == Policy::kBelady; }

  // Whether the store does not have it yet.
  core::Result<bool> IsDirty(std::string_view name) {
    internal::Catalogue* const catalogue = KnownCatalogue();
    if (catalogue == nullptr) {
      return false;
    }
    STOKER_ASSIGN(const std::optional<internal::Commit> commit,
                  catalogue->Find(name));
    return commit.has_value() && commit->dirty;
  }
  // The store has it, if it was written.
  core::Status SettleFor(std::string_view name, core::Clock& clock);
  core::Result<std::unique_ptr<internal::StagedObject>> Stage(
      internal::Commit& commit, std::uint64_t bytes, bool wait,
      core::Clock& clock);
  void KeepClean(internal::Commit& commit, internal::StagedObject& object,
                 std::uint64_t size, core::Clock& clock);
  core::Status StartUploader(core::Clock& clock);

  internal::Catalogue* KnownCatalogue() {
    const std::scoped_lock lock(starting_);
    return catalogue_.get();
  }

 public:
  // What dead processes left is decided on.
  core::Status StartCatalogue(core::Clock& clock) {
    const std::scoped_lock lock(starting_);
    if (catalogue_ != nullptr) {
      return {};
    }
    STOKER_ASSIGN(std::unique_ptr<internal::Catalogue> made,
                  internal::Catalogue::Make(*tier_, store_name_, clock));
    STOKER_TRY(made->Adopt());
    catalogue_ = std::move(made);
    return {};
  }

 private:
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
                                           .meter = &meter_,
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
  internal::UnitHealth health_;
  internal::DeviceMeter meter_;
  CacheCounters counters_;
  const std::string store_name_;
  storage::ObjectTable<internal::CacheObject> objects_;
  internal::Foresight foresight_;
  VisitLogs visits_;
  std::atomic<std::uint64_t> openings_ = 0;
  std::mutex starting_;  // guards the making of what follows
  std::unique_ptr<internal::Prefetcher> prefetcher_;
  std::unique_ptr<internal::Fetcher> fetcher_;
  std::unique_ptr<internal::Catalogue> catalogue_;
  std::unique_ptr<internal::Uploader> uploader_;
};

}  // namespace stoker::cache
