#include "metrics/internal/ledger_codec.h"

#include <array>

namespace stoker::metrics {
namespace {

constexpr std::size_t kBucketBytes = 24;
constexpr std::size_t kHistogramBytes = 40;

using Told = std::optional<std::uint64_t>;

// The optional counts of a host, in the order they are packed.
constexpr std::array<Told HostLedger::*, 7> kTold{
    &HostLedger::process_read,      &HostLedger::disk_read,
    &HostLedger::nfs_read,          &HostLedger::nic_received,
    &HostLedger::loopback_received, &HostLedger::cgroup_read,
    &HostLedger::cgroup_cache};
constexpr std::array<std::uint64_t HostLedger::*, 5> kSums{
    &HostLedger::asked, &HostLedger::delivered, &HostLedger::discarded,
    &HostLedger::cache_tier, &HostLedger::memory_tier};
constexpr std::array<std::optional<CacheSample> HostLedger::*, 2> kSamples{
    &HostLedger::before, &HostLedger::after};

void PackHostLedger(const HostLedger& host, PackedWriter& out) {
  out.U64(host.node);
  out.U64(static_cast<std::uint64_t>(host.medium));
  for (const auto sum : kSums) out.U64(host.*sum);
  for (const auto told : kTold) {
    out.U64((host.*told).has_value() ? 1 : 0);
    out.U64((host.*told).value_or(0));
  }
  for (const auto sample : kSamples) {
    const CacheSample values = (host.*sample).value_or(CacheSample{});
    out.U64((host.*sample).has_value() ? 1 : 0);
    out.U64(values.files);
    out.U64(values.bytes);
    out.U64(values.cached);
  }
  out.U64(host.drop_caches.has_value() ? 1 : 0);
  out.Span(host.drop_caches.value_or(core::Nanos{}));
  out.U64(host.requests.has_value() ? 1 : 0);
  for (const RequestField& field : kRequestFields) {
    out.U64(host.requests.value_or(storage::RequestCounters{}).*field.second);
  }
  out.U64(host.cache.has_value() ? 1 : 0);
  for (const CacheField& field : kCacheFields) {
    out.U64(host.cache.value_or(storage::CacheCounts{}).*field.second);
  }
}

HostLedger UnpackHostLedger(PackedReader& in) {
  HostLedger host;
  host.node = in.U32();
  host.medium = static_cast<Medium>(in.U64());
  for (const auto sum : kSums) host.*sum = in.U64();
  for (const auto told : kTold) {
    const bool is_told = in.Bool();
    const std::uint64_t value = in.U64();
    if (is_told) host.*told = value;
  }
  for (const auto sample : kSamples) {
    const bool is_told = in.Bool();
    CacheSample values;
    values.files = in.U64();
    values.bytes = in.U64();
    values.cached = in.U64();
    if (is_told) host.*sample = values;
  }
  const bool dropped = in.Bool();
  const core::Nanos drop = in.Span();
  if (dropped) host.drop_caches = drop;
  const bool asks = in.Bool();
  storage::RequestCounters requests;
  for (const RequestField& field : kRequestFields) {
    requests.*field.second = in.U64();
  }
  if (asks) host.requests = requests;
  const bool caches = in.Bool();
  storage::CacheCounts cache;
  for (const CacheField& field : kCacheFields) {
    cache.*field.second = in.U64();
  }
  if (caches) host.cache = cache;
  return host;
}

void PackLatencies(const storage::Latencies& latencies, PackedWriter& out) {
  std::uint64_t count = 0;
  latencies.ForEach([&count](storage::LatencyKind, storage::SizeClass,
                             const core::Histogram&) { ++count; });
  out.U64(count);
  latencies.ForEach([&out](storage::LatencyKind kind, storage::SizeClass size,
                           const core::Histogram& histogram) {
    out.U64(static_cast<std::uint64_t>(kind));
    out.U64(static_cast<std::uint64_t>(size));
    out.I64(histogram.smallest());
    out.I64(histogram.largest());
    const std::vector<core::Histogram::Bucket> buckets = histogram.Buckets();
    out.U64(buckets.size());
    for (const core::Histogram::Bucket& bucket : buckets) {
      out.I64(bucket.lowest);
      out.I64(bucket.highest);
      out.U64(bucket.count);
    }
  });
}

bool UnpackLatencies(PackedReader& in, storage::Latencies& latencies) {
  const std::size_t count = in.Count(kHistogramBytes);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t kind = in.U64();
    const std::uint64_t size = in.U64();
    const std::int64_t smallest = in.I64();
    const std::int64_t largest = in.I64();
    std::vector<core::Histogram::Bucket> buckets(in.Count(kBucketBytes));
    for (core::Histogram::Bucket& bucket : buckets) {
      bucket.lowest = in.I64();
      bucket.highest = in.I64();
      bucket.count = in.U64();
    }
    if (kind >= storage::kLatencyKinds || size >= storage::kSizeClasses ||
        !latencies
             .HistogramOf(static_cast<storage::LatencyKind>(kind),
                          static_cast<storage::SizeClass>(size))
             .MergeBuckets(buckets, smallest, largest)) {
      return false;
    }
  }
  return true;
}

}  // namespace

void PackLedger(const RankLedger& ledger, PackedWriter& out) {
  out.U64(ledger.epoch);
  PackHostLedger(ledger.host, out);
  PackLatencies(ledger.latencies, out);
}

bool UnpackLedger(PackedReader& in, RankLedger& ledger) {
  ledger.epoch = in.U32();
  ledger.host = UnpackHostLedger(in);
  return UnpackLatencies(in, ledger.latencies) && in.complete();
}

}  // namespace stoker::metrics
