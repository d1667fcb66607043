// What caches of other sizes would have done with the reads of a run.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "cache/cache_backend.h"
#include "cache/visits.h"
#include "comm/communicator.h"
#include "run/internal/cache_outlook.h"

namespace stoker::run::internal {

using core::Status;
using metrics::CacheOutlook;

namespace {

// Visits of blocks that all ranks together send, at most.
constexpr std::size_t kMostVisits = 1U << 18U;
constexpr std::size_t kFewestVisits = 512;
constexpr std::array<double, 5> kOtherSizes{0.125, 0.25, 0.5, 1, 2};
// Of a share of visits, less than this tells nothing.
constexpr double kLeastReadAgain = 0.01;

}  // namespace

Status LookAround(const RankContext& context, core::TimePoint since,
                  storage::Backend& backend,
                  std::optional<CacheOutlook>& outlook) {
  if (!outlook.has_value()) {
    return {};
  }
  cache::VisitSample mine = cache::VisitsOf(backend, since);
  mine.Limit(std::max(kFewestVisits, kMostVisits / static_cast<std::size_t>(
                                                       context.comm->size())));
  // Each host has a cache of its own.
  comm::Bytes sent = cache::BytesOf(mine);
  sent.push_back(static_cast<std::byte>(context.comm->node() & 0xFF));
  sent.push_back(static_cast<std::byte>(context.comm->node() >> 8U & 0xFF));
  STOKER_ASSIGN(const std::vector<comm::Bytes> ranks,
                context.comm->Gather(sent, 0));
  if (!Leads(context)) {
    return {};
  }
  std::map<std::uint32_t, std::vector<cache::VisitSample>> hosts;
  for (const comm::Bytes& bytes : ranks) {
    if (bytes.size() < 2) {
      continue;
    }
    const std::size_t end = bytes.size() - 2;
    const auto node = std::to_integer<std::uint32_t>(bytes[end]) |
                      std::to_integer<std::uint32_t>(bytes[end + 1]) << 8U;
    hosts[node].push_back(cache::ParseSample(std::span(bytes).first(end)));
  }
  std::uint64_t slots_bytes = 0;
  for (const cache::TierUnit& unit : cache::TierOf(backend)->units()) {
    slots_bytes += unit.index->geometry().data_bytes();
  }
  std::vector<std::uint64_t> sizes;
  for (const double times : kOtherSizes) {
    sizes.push_back(
        static_cast<std::uint64_t>(times * static_cast<double>(slots_bytes)));
  }
  cache::HitsOfSizes hits;
  for (auto& [node, samples] : hosts) {
    hits.Add(cache::HitsOf(std::move(samples), sizes));
  }
  if (hits.all <= 0) {
    return {};
  }
  outlook->read_again = hits.repeated / hits.all;
  if (outlook->read_again < kLeastReadAgain) {
    return {};
  }
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    outlook->other_sizes.push_back(
        {.times = kOtherSizes.at(i),
         .lru = hits.lru[i] / hits.repeated,
         .never = hits.never_evict[i] / hits.repeated});
  }
  return {};
}

}  // namespace stoker::run::internal
