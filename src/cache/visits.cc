#include "cache/visits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "cache/miss_ratio.h"
#include "core/random.h"

namespace stoker::cache {

namespace {

// Shares below this are not told apart by a key.
constexpr std::uint32_t kMostHalvings = 48;
constexpr std::uint64_t kAnySize = std::uint64_t{1} << 62U;

std::uint64_t MaskOf(std::uint32_t halvings) {
  return (std::uint64_t{1} << halvings) - 1;
}

constexpr std::size_t kWordsOfVisit = 3;
constexpr std::size_t kWordsOfHead = 2;

}  // namespace

void VisitSample::Thin(std::uint32_t share) {
  halvings = share;
  const std::uint64_t mask = MaskOf(share);
  std::erase_if(
      visits, [mask](const Visit& visit) { return (visit.block & mask) != 0; });
}

void VisitSample::Limit(std::size_t most) {
  while (visits.size() > most && halvings < kMostHalvings) {
    Thin(halvings + 1);
  }
  if (visits.size() > most) {
    visits.clear();
  }
}

VisitLog::VisitLog(std::uint32_t capacity) : capacity_(capacity) {
  sample_.visits.reserve(capacity);
  scratch_.reserve(capacity);
}

void VisitLog::Keep(std::uint64_t block, std::uint32_t bytes,
                    core::TimePoint now) {
  while (sample_.visits.size() == capacity_ && sample_.until == core::kNever) {
    MakeRoom(now);
  }
  if (sample_.until == core::kNever && (block & mask_) == 0) {
    sample_.visits.push_back({.block = block, .at = now, .bytes = bytes});
  }
}

void VisitLog::MakeRoom(core::TimePoint now) {
  scratch_.clear();
  const std::uint64_t half = MaskOf(sample_.halvings + 1);
  for (const Visit& visit : sample_.visits) {
    if ((visit.block & half) == 0) {
      scratch_.push_back(visit.block);
    }
  }
  std::ranges::sort(scratch_);
  const auto rest = std::ranges::unique(scratch_);
  if (scratch_.size() - rest.size() < kFewestBlocks) {
    sample_.until = now;
    return;
  }
  sample_.Thin(sample_.halvings + 1);
  mask_ = half;
}

VisitLog& VisitLogs::Take() {
  const std::scoped_lock lock(mutex_);
  if (free_.empty()) {
    logs_.push_back(std::make_unique<VisitLog>(kCapacity));
    free_.push_back(logs_.back().get());
  }
  VisitLog* const log = free_.back();
  free_.pop_back();
  return *log;
}

void VisitLogs::Give(VisitLog& log) {
  const std::scoped_lock lock(mutex_);
  free_.push_back(&log);
}

VisitSample VisitLogs::Collect(core::TimePoint since) const {
  const std::scoped_lock lock(mutex_);
  VisitSample all;
  for (const std::unique_ptr<VisitLog>& log : logs_) {
    const VisitSample& sample = log->sample();
    all.halvings = std::max(all.halvings, sample.halvings);
    all.until = std::min(all.until, sample.until);
    for (const Visit& visit : sample.visits) {
      if (visit.at >= since) {
        all.visits.push_back(visit);
      }
    }
  }
  all.Thin(all.halvings);
  return all;
}

void HitsOfSizes::Add(const HitsOfSizes& other) {
  const auto add = [](std::vector<double>& sums,
                      const std::vector<double>& more) {
    sums.resize(std::max(sums.size(), more.size()));
    for (std::size_t i = 0; i < more.size(); ++i) {
      sums[i] += more[i];
    }
  };
  all += other.all;
  repeated += other.repeated;
  add(lru, other.lru);
  add(never_evict, other.never_evict);
}

HitsOfSizes HitsOf(std::vector<VisitSample> samples,
                   std::span<const std::uint64_t> cache_bytes) {
  std::uint32_t halvings = 0;
  core::TimePoint until = core::kNever;
  for (const VisitSample& sample : samples) {
    halvings = std::max(halvings, sample.halvings);
    until = std::min(until, sample.until);
  }
  std::vector<Visit> visits;
  std::uint64_t unit = 0;
  for (VisitSample& sample : samples) {
    sample.Thin(halvings);
    for (const Visit& visit : sample.visits) {
      if (visit.at < until && visit.bytes > 0) {
        visits.push_back(visit);
        unit = unit == 0 ? visit.bytes
                         : std::min<std::uint64_t>(unit, visit.bytes);
      }
    }
  }
  HitsOfSizes hits;
  hits.lru.resize(cache_bytes.size());
  hits.never_evict.resize(cache_bytes.size());
  if (visits.empty()) {
    return hits;
  }
  std::ranges::stable_sort(visits, {}, &Visit::at);
  MissRatioCurve curve({.max_keys = static_cast<std::uint32_t>(visits.size()),
                        .unit_bytes = unit});
  for (const Visit& visit : visits) {
    curve.Add({.high = core::Mix64(visit.block), .low = visit.block},
              visit.bytes);
  }
  // A share of the blocks in a cache of that share of the size hits that share.
  std::vector<std::uint64_t> sizes{kAnySize};
  for (const std::uint64_t bytes : cache_bytes) {
    sizes.push_back(bytes >> halvings);
  }
  const std::vector<MissRatioPoint> points = curve.Points(sizes);
  hits.all = std::ldexp(static_cast<double>(curve.counts().bytes),
                        static_cast<int>(halvings));
  hits.repeated = hits.all * (1 - points[0].never_evict_bytes);
  for (std::size_t i = 0; i < cache_bytes.size(); ++i) {
    hits.lru[i] = hits.all * (1 - points[i + 1].lru_bytes);
    hits.never_evict[i] = hits.all * (1 - points[i + 1].never_evict_bytes);
  }
  return hits;
}

std::vector<std::byte> BytesOf(const VisitSample& sample) {
  std::vector<std::uint64_t> words{
      sample.halvings,
      static_cast<std::uint64_t>(sample.until.time_since_epoch().count())};
  words.reserve(kWordsOfHead + kWordsOfVisit * sample.visits.size());
  for (const Visit& visit : sample.visits) {
    words.push_back(visit.block);
    words.push_back(
        static_cast<std::uint64_t>(visit.at.time_since_epoch().count()));
    words.push_back(visit.bytes);
  }
  std::vector<std::byte> bytes(words.size() * sizeof(std::uint64_t));
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return bytes;
}

VisitSample ParseSample(std::span<const std::byte> bytes) {
  VisitSample sample;
  const std::size_t count = bytes.size() / sizeof(std::uint64_t);
  if (bytes.size() % sizeof(std::uint64_t) != 0 || count < kWordsOfHead ||
      (count - kWordsOfHead) % kWordsOfVisit != 0) {
    return sample;
  }
  std::vector<std::uint64_t> words(count);
  std::memcpy(words.data(), bytes.data(), bytes.size());
  if (words[0] > kMostHalvings) {
    return sample;
  }
  const auto time_of = [](std::uint64_t word) {
    return core::TimePoint(core::Nanos(static_cast<std::int64_t>(word)));
  };
  sample.halvings = static_cast<std::uint32_t>(words[0]);
  sample.until = time_of(words[1]);
  for (std::size_t at = kWordsOfHead; at < count; at += kWordsOfVisit) {
    sample.visits.push_back(
        {.block = words[at],
         .at = time_of(words[at + 1]),
         .bytes = static_cast<std::uint32_t>(words[at + 2])});
  }
  return sample;
}

}  // namespace stoker::cache
