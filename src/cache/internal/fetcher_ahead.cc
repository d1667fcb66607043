// What the fetcher reads before anybody asks for it.

#include <algorithm>
#include <optional>

#include "cache/internal/fetcher.h"

namespace stoker::cache::internal {

// Demand goes first: while a request waits to be begun nothing is prefetched,
// and half of the buffers are left to it. What is in the store's own queue
// delays what comes behind, so little of it is used, and less while somebody
// waits for the store.
bool Fetcher::CanPrefetch() const {
  const std::size_t all = store_->in_flight() + ops_.size();
  const std::size_t most = options_.depth / (all > prefetching_ ? 16 : 4);
  return backlog_.empty() && StoreHasRoom() &&
         prefetching_ < std::max<std::size_t>(1, most) &&
         reading_ + writing_ < std::max<std::size_t>(1, fills_.size() / 2);
}

bool Fetcher::AnyTakesBlocks() const {
  const core::TimePoint now = clock_.Now();
  for (std::size_t unit = 0; unit < writes_of_.size(); ++unit) {
    if (TakesBlocks(unit, now)) {
      return true;
    }
  }
  return false;
}

void Fetcher::Prefetch() {
  if (options_.ahead == nullptr || stopping_ || !AnyTakesBlocks()) {
    return;
  }
  options_.ahead->Advance();
  while (CanPrefetch()) {
    if (const std::optional<Ahead> object = options_.ahead->NextQuestion()) {
      ops_.push_back({.kind = storage::ReadOp::Kind::kSize,
                      .object = object->object,
                      .tag = TagOf(kFactsTag, object->number)});
      ++prefetching_;
    } else if (!PrefetchBlock()) {
      return;
    }
  }
}

// False: there is no block, or it has to wait.
bool Fetcher::PrefetchBlock() {
  holds_ahead_back_ = meter_.HoldsFillsBack(clock_.Now());
  if (holds_ahead_back_) {
    return false;
  }
  const std::optional<Ahead> block = options_.ahead->NextBlock();
  if (!block.has_value() || FreeFill() == kNone) {
    return false;
  }
  // A directory that takes none for now must not hold up the others.
  const std::size_t unit = tier_.NumberOf(block->key);
  const auto allows = [&](const TierUnit& one) {
    return one.index->AllowsWrite(block->block_bytes);
  };
  const bool takes =
      TakesBlocks(unit, clock_.Now()) && allows(tier_.units()[unit]);
  if (!takes && (tier_.units().size() == 1 ||
                 std::ranges::none_of(tier_.units(), allows))) {
    return false;
  }
  if (!takes || FindFill(block->key) != nullptr) {
    options_.ahead->PassOver(block->number);
    return true;
  }
  const Claim claim = ClaimFor(block->key, block->block_bytes, block->next_use);
  if (claim.outcome == ClaimOutcome::kTaken) {
    options_.ahead->PassOver(block->number);
    return true;
  }
  // All that is there is read sooner: room comes with the reader.
  if (claim.outcome == ClaimOutcome::kNoRoom) {
    return false;
  }
  Fill& fill = BeginFill({.object = block->object,
                          .key = block->key,
                          .block_start = block->block_start,
                          .block_bytes = block->block_bytes},
                         &claim);
  fill.ahead = block->number;
  options_.ahead->Take(block->number);
  ++prefetching_;
  return true;
}

void Fetcher::OnFacts(std::uint32_t number, const storage::ReadDone& done) {
  --prefetching_;
  options_.ahead->OnFacts(number, done.status,
                          {.size = done.bytes, .version = done.version});
}

// The block has been read, or not.
void Fetcher::LeaveAhead(Fill& fill, bool arrived) {
  if (fill.ahead == kNone) {
    return;
  }
  --prefetching_;
  options_.ahead->OnEnd(fill.ahead);
  fill.ahead = kNone;
  if (arrived) {
    counters_.prefetched.fetch_add(1, std::memory_order_relaxed);
    counters_.prefetched_bytes.fetch_add(fill.bytes, std::memory_order_relaxed);
  }
}

// A reader that is served from a buffer tells when it comes again; the slot, if
// the block has one by then, is not asked.
void Fetcher::NoteNextUse(Fill& fill, std::uint32_t next_use) {
  if (fill.claimed && fill.claim.next_use != next_use) {
    fill.claim.next_use = next_use;
    tier_.UnitOf(fill.key).index->Touch(fill.key, next_use);
  }
}

}  // namespace stoker::cache::internal
