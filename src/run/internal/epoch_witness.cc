#include "run/internal/epoch_witness.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "comm/communicator.h"
#include "run/internal/between.h"

namespace stoker::run::internal {

namespace {

using core::Status;

constexpr std::uint64_t kSampledFiles = 16;

DropCachesOptions DropOptionsOf(const EpochWitnessOptions& options) {
  return {.limit = options.drop_limit,
          .remedy =
              "run as root on every host, or leave --drop-caches out and "
              "clear the caches in another way"};
}

// How far one count has come; nothing unless both readings tell.
std::optional<std::uint64_t> ReadSince(
    const std::optional<metrics::Traffic>& before,
    const std::optional<metrics::Traffic>& after) {
  if (!before.has_value() || !after.has_value()) {
    return std::nullopt;
  }
  return after->read - std::min(before->read, after->read);
}

template <class Counters, class Fields>
std::optional<Counters> CountersSince(const std::optional<Counters>& before,
                                      const std::optional<Counters>& after,
                                      const Fields& fields) {
  if (!before.has_value() || !after.has_value()) {
    return std::nullopt;
  }
  Counters since;
  for (const auto& field : fields) {
    since.*field.second = (*after).*field.second - (*before).*field.second;
  }
  return since;
}

void AddLoader(metrics::LoaderCounters& loader, metrics::RankLedger& ledger) {
  metrics::HostLedger& host = ledger.host;
  host.asked += loader.payload_bytes_delivered;
  host.delivered += loader.reads.bytes;
  host.discarded += loader.bytes_discarded;
  host.cache_tier += loader.reads.bytes_from_cache;
  host.memory_tier += loader.reads.bytes_from_memory;
  ledger.latencies.Merge(std::exchange(loader.read_latencies, {}));
}

}  // namespace

std::string LocalPathOf(std::string_view uri) {
  constexpr std::string_view kMark = "://";
  const std::size_t mark = uri.rfind(kMark);
  if (mark == std::string_view::npos) {
    return {};
  }
  const std::string_view scheme = uri.substr(0, mark);
  if (!scheme.ends_with("file") && !scheme.ends_with("direct") &&
      !scheme.ends_with("mmap")) {
    return {};
  }
  const std::string_view path = uri.substr(mark + kMark.size());
  std::error_code error;
  const std::filesystem::path whole =
      std::filesystem::absolute(path.substr(0, path.find('?')), error);
  return std::filesystem::weakly_canonical(whole, error).string();
}

EpochWitness::EpochWitness(const RankContext& context,
                           storage::Backend& backend,
                           EpochWitnessOptions options)
    : context_(context), backend_(backend), options_(std::move(options)) {
  const std::string place = LocalPathOf(backend_.uri());
  if (!place.empty()) {
    mount_ = metrics::FindMount(place);
  }
  medium_ = MediumOf();
}

metrics::Medium EpochWitness::MediumOf() const {
  if (backend_.Requests().has_value()) {
    return metrics::Medium::kServer;
  }
  if (mount_.has_value()) {
    return metrics::MediumOfFileSystem(mount_->type);
  }
  if (!backend_.capabilities().stores_data) {
    return metrics::Medium::kNothing;
  }
  // Objects no other process sees are in this one's memory.
  return backend_.capabilities().shared ? metrics::Medium::kUnknown
                                        : metrics::Medium::kMemory;
}

Status EpochWitness::Check() const {
  return options_.drop_caches && leads_host()
             ? CheckDropCaches(DropOptionsOf(options_))
             : Status();
}

Status EpochWitness::DropAll() {
  const auto start = std::chrono::steady_clock::now();
  STOKER_TRY(DropCaches(DropOptionsOf(options_), *context_.cancel));
  drop_time_ = std::chrono::steady_clock::now() - start;
  return {};
}

Status EpochWitness::Begin() {
  const Status dropped =
      options_.drop_caches && leads_host() ? DropAll() : Status();
  if (dropped.ok()) {
    before_ = Look();
  }
  return comm::Agree(*context_.comm, dropped);
}

EpochWitness::Reading EpochWitness::Look() {
  Reading reading;
  if (leads_host()) {
    if (mount_.has_value()) {
      reading.sample = Sample();
      reading.disk = metrics::ReadDiskTraffic(*mount_);
      reading.nfs = metrics::ReadNfsTraffic(*mount_);
    }
    reading.nics = metrics::ReadNicTraffic();
    reading.cgroup = metrics::ReadCgroupTraffic();
  }
  reading.requests = backend_.Requests();
  reading.cache = backend_.CacheActivity();
  reading.process = metrics::ReadProcessTraffic();
  return reading;
}

bool EpochWitness::FindSampledFiles() {
  const std::uint64_t count = std::min(options_.files, kSampledFiles);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t file = i * options_.files / count;
    std::string name = dataset::ObjectName(options_.names, file);
    const auto cached = backend_.CachedBytes(name);
    if (!cached.ok() || !cached.value().has_value()) {
      return false;
    }
    const auto bytes = storage::ObjectSize(backend_, name, *context_.clock);
    if (!bytes.ok()) {
      return false;
    }
    sampled_.push_back({.name = std::move(name), .bytes = bytes.value()});
  }
  return count > 0;
}

std::optional<metrics::CacheSample> EpochWitness::Sample() {
  if (!samples_.has_value()) {
    samples_ = FindSampledFiles();
  }
  if (!*samples_) {
    return std::nullopt;
  }
  metrics::CacheSample sample;
  for (const SampledFile& file : sampled_) {
    const auto cached = backend_.CachedBytes(file.name);
    if (!cached.ok() || !cached.value().has_value()) {
      return std::nullopt;
    }
    ++sample.files;
    sample.bytes += file.bytes;
    sample.cached += std::min(*cached.value(), file.bytes);
  }
  return sample;
}

Status EpochWitness::End(metrics::EpochRecord& epoch) {
  const Reading after = Look();
  metrics::RankLedger mine;
  mine.epoch = epoch.epoch;
  AddLoader(epoch.train_loader, mine);
  AddLoader(epoch.eval_loader, mine);
  metrics::HostLedger& host = mine.host;
  host.node = static_cast<std::uint32_t>(context_.comm->node());
  host.medium = medium_;
  host.process_read = ReadSince(before_.process, after.process);
  host.requests =
      CountersSince(before_.requests, after.requests, metrics::kRequestFields);
  host.cache = CountersSince(before_.cache, after.cache, metrics::kCacheFields);
  if (host.cache.has_value() && host.process_read.has_value()) {
    // What the cache's own device gave is no witness of the store.
    *host.process_read -=
        std::min(*host.process_read, host.cache->device_read_bytes);
  }
  host.disk_read = ReadSince(before_.disk, after.disk);
  host.nfs_read = ReadSince(before_.nfs, after.nfs);
  if (before_.nics.has_value() && after.nics.has_value()) {
    host.nic_received = ReadSince(before_.nics->network, after.nics->network);
    host.loopback_received =
        ReadSince(before_.nics->loopback, after.nics->loopback);
  }
  host.cgroup_read = ReadSince(before_.cgroup, after.cgroup);
  if (leads_host()) {
    host.cgroup_cache = metrics::ReadCgroupCache();
  }
  host.before = before_.sample;
  host.after = after.sample;
  host.drop_caches = std::exchange(drop_time_, std::nullopt);
  return metrics::GatherLedger(*context_.comm, mine, ledger_);
}

}  // namespace stoker::run::internal
