#include "cache/cache_backend.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "cache/internal/cached_store.h"

namespace stoker::cache {

namespace {

constexpr std::array<storage::BackendInfo, 1> kCacheBackends{
    {{.name = "cache",
      .summary = "our NVMe cache in front of another storage",
      .example = "cache:/nvme/stoker?size=100GiB,s3://bucket/prefix",
      .wrapper = true,
      .default_inner = "",
      .options = kCacheOptions,
      .open = OpenCacheBackend}}};

}  // namespace

std::string CacheBackend::uri() const {
  std::string directories;
  for (const std::string& directory : options_.directories) {
    directories += (directories.empty() ? "" : ":") + directory;
  }
  return fmt::format("cache:{}?policy={},{}", directories,
                     PolicyName(options_.policy), inner().uri());
}

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
