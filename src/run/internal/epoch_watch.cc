#include "run/internal/epoch_watch.h"

#include <algorithm>
#include <chrono>

#include "run/internal/between.h"

namespace stoker::run::internal {

namespace {

// Each is opened and asked about, which takes some 20 us.
constexpr std::uint64_t kMostSampled = 64;
constexpr core::Nanos kDropLimit = std::chrono::seconds(60);

}  // namespace

EpochWatch::EpochWatch(const RankContext& context, storage::Backend& backend,
                       const dataset::Naming& naming, std::uint64_t files,
                       bool drop_caches)
    : context_(context), backend_(backend), drop_caches_(drop_caches) {
  if (leads_host()) {
    ChooseSample(naming, files);
  }
}

// Files evenly spread, if this storage can tell what is cached of them.
void EpochWatch::ChooseSample(const dataset::Naming& naming,
                              std::uint64_t files) {
  const std::uint64_t count = std::min(files, kMostSampled);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string name = dataset::ObjectName(naming, i * files / count);
    const auto cached = backend_.CachedBytes(name);
    if (!cached.ok() || !cached.value().has_value()) {
      sample_.clear();
      return;
    }
    const auto size = storage::ObjectSize(backend_, name, *context_.clock);
    if (size.ok()) {
      sample_bytes_ += size.value();
      sample_.push_back(std::move(name));
    }
  }
}

metrics::CacheSample EpochWatch::LookAtSample() {
  metrics::CacheSample sample{.files = sample_.size(), .bytes = sample_bytes_};
  for (const std::string& name : sample_) {
    const auto cached = backend_.CachedBytes(name);
    if (cached.ok()) {
      sample.cached_bytes += cached.value().value_or(0);
    }
  }
  return sample;
}

void EpochWatch::Drop() {
  const core::TimePoint start = context_.clock->Now();
  if (leads_host() && status_.ok()) {
    status_ = DropCachesWithin(kDropLimit);
    seen_.dropped_caches = context_.clock->Now() - start;
  }
  const core::Status agreed = comm::Agree(*context_.comm, status_);
  if (status_.ok()) {
    status_ = agreed;
  }
}

void EpochWatch::Begin() {
  seen_ = {};
  if (drop_caches_) {
    Drop();
  }
  seen_.sample = LookAtSample();
  before_ = metrics::ReadWitnesses(leads_host());
}

metrics::EpochWitnesses EpochWatch::End() {
  seen_.counted =
      metrics::Between(before_, metrics::ReadWitnesses(leads_host()));
  return seen_;
}

}  // namespace stoker::run::internal
