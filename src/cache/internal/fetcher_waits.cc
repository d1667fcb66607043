// The fetcher's care for what other processes fetch, and for its own leases.

#include <algorithm>
#include <chrono>
#include <utility>

#include "cache/internal/fetcher.h"

namespace stoker::cache::internal {

namespace {

constexpr core::Nanos kShortestHedge = std::chrono::milliseconds(50);

}  // namespace

void Fetcher::PollWaits() {
  List waiting = std::exchange(waits_, {});
  while (!waiting.empty()) {
    const std::uint32_t node = Pop(waiting);
    const FetchRequest& request = nodes_[node].request;
    Index& index = *tier_.UnitOf(request.key).index;
    if (index.Peek(request.key) != Look::kFilling) {
      Reply(node, {.look_again = true});
      continue;
    }
    const bool late = clock_.Now() - nodes_[node].since > HedgeLimit();
    if (late && StoreHasRoom() &&
        (CanPassThrough(request) || FreeFill() != kNone)) {
      counters_.hedges.fetch_add(1, std::memory_order_relaxed);
      if (CanPassThrough(request)) {
        StartThrough(node);
      } else {
        StartFill(node, nullptr);
      }
      continue;
    }
    Push(waits_, node);
  }
}

// A fetch that takes longer than nearly all did is unlikely to come soon.
core::Nanos Fetcher::HedgeLimit() {
  if (fetch_times_.count() >= hedge_basis_ + 64 || hedge_limit_.count() == 0) {
    hedge_basis_ = fetch_times_.count();
    hedge_limit_ =
        std::max({kShortestHedge, core::Nanos(fetch_times_.Quantile(0.99)),
                  core::Nanos(5 * fetch_times_.Quantile(0.5))});
  }
  return hedge_limit_;
}

void Fetcher::RenewLeases() {
  if (reading_ + writing_ == 0) {
    return;
  }
  for (const Fill& fill : fills_) {
    if (fill.claimed &&
        (fill.state == State::kReading || fill.state == State::kWriting)) {
      tier_.UnitOf(fill.key).index->Renew(fill.claim);
    }
  }
}

}  // namespace stoker::cache::internal
