#include "cache/cache_backend.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <utility>

#include "cache/block_key.h"
#include "cache/internal/cache_queue.h"
#include "cache/internal/catalogue.h"
#include "cache/internal/fetcher.h"
#include "cache/internal/foresight.h"
#include "cache/internal/health.h"
#include "cache/internal/kill_point.h"
#include "cache/internal/prefetcher.h"
#include "cache/internal/staged_object.h"
#include "cache/internal/uploader.h"
#include "cache/internal/write_streams.h"
#include "core/fnv.h"
#include "core/random.h"
#include "storage/object_table.h"
#include "storage/uri_options.h"
#include "storage/wrapper_backend.h"

namespace stoker::cache {

namespace {

using internal::CacheObject;
using internal::KillPoint;

// How long a writer waits for the store to take what waits for it.
constexpr core::Nanos kRoomPatience = std::chrono::seconds(60);

constexpr std::array<storage::BackendInfo, 1> kCacheBackends{
    {{.name = "cache",
      .summary = "our NVMe cache in front of another storage",
      .example = "cache:/nvme/stoker?size=100GiB,s3://bucket/prefix",
      .wrapper = true,
      .default_inner = "",
      .options = kCacheOptions,
      .open = OpenCacheBackend}}};

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
        meter_(options.guard, options.balance),
        store_name_(StoreName(this->inner().uri())) {}

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
      object.opening = openings_.fetch_add(1, std::memory_order_relaxed);
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
  core::Status Link(std::string_view existing, std::string_view name) override {
    for (const std::string_view one : {existing, name}) {
      STOKER_ASSIGN(const bool dirty, IsDirty(one));
      if (dirty) {
        return {core::Code::kUnavailable,
                fmt::format("link {} to {}: the store does not have {} yet; "
                            "remedy: stoker cache drain",
                            name, existing, one)};
      }
    }
    const core::Status status = inner().Link(existing, name);
    FirstIndex().NoteMutation();
    return status;
  }
  core::Status Remove(std::string_view name) override {
    bool had = false;
    if (internal::Catalogue* const catalogue = KnownCatalogue()) {
      STOKER_ASSIGN(const std::optional<bool> was_dirty,
                    catalogue->Remove(name));
      had = was_dirty.value_or(false);
    }
    const core::Status status = inner().Remove(name);
    FirstIndex().NoteMutation();
    return had && status.code() == core::Code::kNotFound ? core::Status()
                                                         : status;
  }
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
    STOKER_ASSIGN(fetcher_, internal::Fetcher::Make(
                                *tier_, inner(), health_, meter_, counters_,
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
  internal::DeviceMeter meter_;
  CacheCounters counters_;
  const std::string store_name_;
  storage::ObjectTable<CacheObject> objects_;
  internal::Foresight foresight_;
  VisitLogs visits_;
  std::atomic<std::uint64_t> openings_ = 0;
  std::mutex starting_;  // guards the making of what follows
  std::unique_ptr<internal::Prefetcher> prefetcher_;
  std::unique_ptr<internal::Fetcher> fetcher_;
  std::unique_ptr<internal::Catalogue> catalogue_;
  std::unique_ptr<internal::Uploader> uploader_;
};

// --- writing -----------------------------------------------------------------

core::Status CacheBackend::StartUploader(core::Clock& clock) {
  STOKER_TRY(StartCatalogue(clock));
  const std::scoped_lock lock(starting_);
  if (uploader_ == nullptr) {
    STOKER_ASSIGN(uploader_,
                  internal::Uploader::Make(*tier_, inner(), *catalogue_,
                                           counters_, clock));
  }
  return {};
}

// Room on the device for an object of `bytes`; null where there is none, or,
// with `wait`, will not be.
core::Result<std::unique_ptr<internal::StagedObject>> CacheBackend::Stage(
    internal::Commit& commit, std::uint64_t bytes, bool wait,
    core::Clock& clock) {
  static std::atomic<std::uint64_t> writings{0};
  std::unique_ptr<internal::StagedObject> none;
  if (bytes == 0 || !health_.IsGood(clock.Now())) {
    return none;
  }
  STOKER_TRY(StartCatalogue(clock));
  commit.store = store_name_;
  // Of no other writing, here or anywhere, before or after a reboot.
  std::random_device device;
  commit.version = core::StreamKey(std::uint64_t{device()} << 32U | device(),
                                   writings.fetch_add(1),
                                   static_cast<std::uint64_t>(::getpid()));
  if (!catalogue_->Fits(commit)) {
    return none;
  }
  const std::uint64_t block = tier_->block_bytes();
  const std::uint64_t blocks = (bytes + block - 1) / block;
  std::uint64_t slots = 0;  // large ones, which all blocks but the last take
  for (const TierUnit& unit : tier_->units()) {
    slots += unit.index->geometry().classes[0].slots;
  }
  const auto most = static_cast<std::uint64_t>(options_.dirty_share *
                                               static_cast<double>(slots));
  if (blocks > most) {
    return none;
  }
  const core::TimePoint deadline = clock.Now() + kRoomPatience;
  while (true) {
    STOKER_ASSIGN(const bool promised, catalogue_->Reserve(blocks, most));
    if (promised) {
      break;
    }
    if (!wait) {
      return none;
    }
    if (clock.Now() >= deadline) {
      return core::Status(
          core::Code::kTimedOut,
          fmt::format("write {} to the cache: its {:.0f} % for what waits for "
                      "the store were full for {:.0f} s; remedy: a faster "
                      "store, a larger cache, or dirty=",
                      commit.name, 100 * options_.dirty_share,
                      core::Seconds(kRoomPatience)));
    }
    uploader_->Wake();
    clock.SleepUntil(clock.Now() + std::chrono::milliseconds(5));
  }
  return internal::StagedObject::Make(
      *tier_, internal::ObjectOf(commit), static_cast<std::uint32_t>(blocks),
      static_cast<std::uint32_t>(blocks), counters_, clock);
}

core::Result<std::unique_ptr<storage::WriteStream>> CacheBackend::Create(
    std::string_view name, const storage::WriteOptions& options,
    core::Clock& clock) {
  internal::Commit commit;
  commit.name = name;
  commit.after = options.after;
  if (options_.write == Write::kBack && !options.in_place) {
    STOKER_TRY(StartUploader(clock));
    STOKER_ASSIGN(std::unique_ptr<internal::StagedObject> staged,
                  Stage(commit, options.expected_size, true, clock));
    if (staged != nullptr) {
      return internal::MakeBackStream(
          std::move(staged), tier_->block_bytes(), options, clock,
          [this, commit, &clock, durable = options.durable](
              internal::StagedObject* object, std::uint64_t size,
              storage::WriteTimes& times) mutable {
            commit.size = size;
            STOKER_TRY(catalogue_->Add(commit, object->blocks(), durable));
            object->Keep();
            times.synced = clock.Now();
            KillPoint("D5");
            counters_.staged_bytes.fetch_add(size, std::memory_order_relaxed);
            uploader_->Wake();
            return options_.ack == Ack::kBacking
                       ? uploader_->WaitFor(commit, kRoomPatience)
                       : core::Status();
          });
    }
    // It does not fit: the store gets it at once, after all before it.
    STOKER_TRY(uploader_->Drain({.patience = kRoomPatience}));
    STOKER_TRY(uploader_->WaitUntilSeen(options.after, kRoomPatience));
  }
  STOKER_TRY(SettleFor(name, clock));
  std::unique_ptr<internal::StagedObject> staged;
  if (options_.write == Write::kThrough && !options.in_place) {
    core::Result<std::unique_ptr<internal::StagedObject>> room =
        Stage(commit, options.expected_size, false, clock);
    staged = room.ok() ? std::move(room).value() : nullptr;
  }
  STOKER_ASSIGN(std::unique_ptr<storage::WriteStream> stream,
                inner().Create(name, options, clock));
  return internal::MakeThroughStream(
      std::move(stream), std::move(staged), options, clock,
      [this, commit, &clock](internal::StagedObject* object, std::uint64_t size,
                             storage::WriteTimes& /*times*/) mutable {
        if (object != nullptr) {
          KeepClean(commit, *object, size, clock);
        } else if (internal::Catalogue* const known = KnownCatalogue()) {
          STOKER_TRY(known->Remove(commit.name).status());
        }
        FirstIndex().NoteMutation();
        return core::Status();
      });
}

// What the store has now is also here. Without it nothing is lost.
void CacheBackend::KeepClean(internal::Commit& commit,
                             internal::StagedObject& object, std::uint64_t size,
                             core::Clock& clock) {
  const core::Result<storage::ReadDone> there =
      internal::AskObject(inner(), commit.name, clock);
  if (!there.ok() || !there.value().status.ok() ||
      there.value().bytes != size) {
    return;
  }
  commit.size = size;
  commit.dirty = false;
  commit.store_version = there.value().version;
  if (catalogue_->Add(commit, object.blocks(), false).ok()) {
    object.Keep();
    counters_.staged_bytes.fetch_add(size, std::memory_order_relaxed);
  }
}

core::Status CacheBackend::SettleFor(std::string_view name,
                                     core::Clock& clock) {
  internal::Catalogue* const catalogue = KnownCatalogue();
  if (catalogue == nullptr) {
    return {};
  }
  STOKER_ASSIGN(const std::optional<internal::Commit> commit,
                catalogue->Find(name));
  if (!commit.has_value() || !commit->dirty) {
    return {};
  }
  STOKER_TRY(StartUploader(clock));
  return uploader_->WaitFor(*commit, kRoomPatience);
}

core::Result<std::uint64_t> CacheBackend::RemoveAll(
    std::span<const std::string> names) {
  internal::Catalogue* const catalogue = KnownCatalogue();
  std::uint64_t only_here = 0;
  if (catalogue != nullptr && catalogue->any()) {
    for (const std::string& name : names) {
      STOKER_ASSIGN(const std::optional<bool> was_dirty,
                    catalogue->Remove(name));
      only_here += was_dirty.value_or(false) ? 1 : 0;
    }
  }
  core::Result<std::uint64_t> removed = inner().RemoveAll(names);
  FirstIndex().NoteMutation();
  STOKER_TRY(removed.status());
  // Some may be there as well, of an earlier writing.
  return std::min<std::uint64_t>(names.size(), removed.value() + only_here);
}

core::Status CacheBackend::List(
    std::string_view prefix,
    const std::function<bool(const storage::ObjectInfo&)>& visit) {
  std::map<std::string, std::uint64_t> dirty;
  if (internal::Catalogue* const catalogue = KnownCatalogue()) {
    STOKER_ASSIGN(const std::vector<internal::Commit> commits,
                  catalogue->Dirty());
    for (const internal::Commit& commit : commits) {
      if (commit.name.starts_with(prefix)) {
        dirty[commit.name] = commit.size;
      }
    }
  }
  bool more = true;
  core::Status status =
      inner().List(prefix, [&](const storage::ObjectInfo& info) {
        more = dirty.contains(std::string(info.name)) || visit(info);
        return more;
      });
  if (!status.ok() &&
      (status.code() != core::Code::kNotFound || dirty.empty())) {
    return status;
  }
  for (auto at = dirty.begin(); more && at != dirty.end(); ++at) {
    more = visit({.name = at->first, .size = at->second});
  }
  return {};
}

core::Result<storage::Drained> CacheBackend::Drain(
    const storage::DrainOptions& options, core::Clock& clock) {
  STOKER_TRY(StartCatalogue(clock));
  STOKER_ASSIGN(const std::vector<internal::Commit> dirty, catalogue_->Dirty());
  if (uploader_ == nullptr && dirty.empty()) {
    return inner().Drain(options, clock);
  }
  STOKER_TRY(StartUploader(clock));
  STOKER_TRY(uploader_->Drain(options));
  const storage::Drained mine = uploader_->drained();
  STOKER_ASSIGN(const storage::Drained behind, inner().Drain(options, clock));
  return storage::Drained{.objects = mine.objects + behind.objects,
                          .bytes = mine.bytes + behind.bytes};
}

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
  core::Clock& own_clock = *clock;
  auto cache = std::make_unique<CacheBackend>(std::move(clock), std::move(tier),
                                              options, std::move(inner));
  STOKER_TRY(cache->StartCatalogue(own_clock));
  return std::unique_ptr<storage::Backend>(std::move(cache));
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

VisitSample VisitsOf(const storage::Backend& backend, core::TimePoint since) {
  const auto* const cache = dynamic_cast<const CacheBackend*>(&backend);
  return cache == nullptr ? VisitSample() : cache->visits().Collect(since);
}

const CacheOptions* OptionsOf(const storage::Backend& backend) {
  const auto* const cache = dynamic_cast<const CacheBackend*>(&backend);
  return cache == nullptr ? nullptr : &cache->options();
}

}  // namespace stoker::cache
