#include <algorithm>
#include <new>
#include <type_traits>
#include <utility>

#include "cache/index.h"
#include "cache/internal/boot_id.h"
#include "cache/internal/index_header.h"
#include "cache/internal/index_region.h"
#include "cache/internal/kill_point.h"
#include "cache/internal/shared_region.h"
#include "cache/internal/slot_words.h"
#include "core/check.h"
#include "core/random.h"

namespace stoker::cache {

using internal::kNobody;
using internal::kOrphan;
using internal::Swap;
using internal::WordOf;

namespace {

// "Stokrch" and the version of the layout below.
constexpr std::uint64_t kIndexFormat = 0x53746F6B72636805;

}  // namespace

Index::Index(const IndexOptions& options, core::Clock& clock,
             std::unique_ptr<Region> region)
    : options_(options), clock_(clock), region_(std::move(region)) {
  static_assert(std::is_trivially_destructible_v<Header>);
  const std::size_t slots = options_.geometry.slots();
  header_ = reinterpret_cast<Header*>(region_->at(0));
  std::size_t at = Region::Pages(sizeof(Header));
  buckets_ = reinterpret_cast<std::atomic<std::uint32_t>*>(region_->at(at));
  at += Region::Pages(slots * sizeof(std::uint32_t));
  const std::size_t ghost_count = Region::GhostsOf(options_);
  auto* const ghosts = reinterpret_cast<std::uint32_t*>(region_->at(at));
  at += Region::Pages(ghost_count * sizeof(std::uint32_t));
  entries_ = reinterpret_cast<SlotEntry*>(region_->at(at));
  std::uint32_t first = 0;
  for (std::size_t c = 0; c < evictions_.size(); ++c) {
    const std::uint32_t count = options_.geometry.classes[c].slots;
    evictions_[c] = Eviction::Make(options_.policy,
                                   {.state = header_->classes[c].eviction,
                                    .slots = std::span(entries_ + first, count),
                                    .ghosts = std::span(ghosts + first, count)},
                                   core::StreamKey(options_.seed, c));
    first += count;
  }
}

Index::~Index() {
  if (row_ != kNobody) {
    internal::ProcessTable(header_->processes).Leave(row_);
  }
}

std::unique_ptr<Index> Index::MakePrivate(const IndexOptions& options,
                                          core::Clock& clock) {
  auto region = std::make_unique<Region>(
      internal::SharedRegion::MakePrivate(Region::BytesFor(options)));
  std::unique_ptr<Index> index(new Index(options, clock, std::move(region)));
  index->Initialise();
  index->made_ = true;
  core::Result<std::uint16_t> row =
      internal::ProcessTable(index->header_->processes).Join(options.run);
  STOKER_CHECK(row.ok());
  index->row_ = row.value();
  return index;
}

void Index::Forget(const CacheId& id) {
  internal::SharedRegion::Remove(internal::SharedName(id.ToString()));
}

core::Result<std::unique_ptr<Index>> Index::Attach(
    const IndexOptions& options,
    const std::function<core::Result<std::uint32_t>(const Restore&)>& restore,
    core::Clock& clock, core::Nanos patience) {
  STOKER_ASSIGN(
      std::unique_ptr<internal::SharedRegion> memory,
      internal::SharedRegion::Open(internal::SharedName(options.id.ToString()),
                                   Region::BytesFor(options), clock, patience));
  internal::SharedRegion* const lock = memory.get();
  const auto* const found = reinterpret_cast<const Header*>(memory->memory());
  const std::string boot = internal::BootId();
  // Whoever left it otherwise has died while making it, or has another program.
  const bool whole =
      found->format.load(std::memory_order_acquire) == kIndexFormat &&
      found->id == options.id && found->geometry == options.geometry &&
      boot == found->boot.data();
  const auto policy_there =
      whole ? static_cast<Policy>(found->policy) : options.policy;
  IndexOptions own = options;
  if (options.run.empty()) {
    own.policy = policy_there;
  }
  std::unique_ptr<Index> index(
      new Index(own, clock, std::make_unique<Region>(std::move(memory))));
  index->row_ = kNobody;
  if (!whole) {
    STOKER_TRY(index->Remake(restore));
  } else {
    index->Sweep();
  }
  internal::ProcessTable table(index->header_->processes);
  STOKER_ASSIGN(index->row_, table.Join(options.run));
  if (own.policy != policy_there) {
    if (index->others() > 0) {
      return core::Status(
          core::Code::kUnavailable,
          "in use with another policy; remedy: the same policy on every rank");
    }
    index->header_->policy = static_cast<std::uint64_t>(own.policy);
    for (std::size_t c = 0; c < index->evictions_.size(); ++c) {
      index->RepairClass(c);
    }
  }
  if (own.policy == Policy::kBelady && !options.run.empty() &&
      index->others() == 0) {
    index->ForgetUses();
  }
  if (options.start_empty && index->others() == 0) {
    index->Clear();
  }
  lock->Unlock();
  return index;
}

// Positions in the order of an earlier run mean nothing in this one: as long as
// a block has not been read it counts as wanted at once.
void Index::ForgetUses() {
  for (std::uint32_t slot = 0; slot < options_.geometry.slots(); ++slot) {
    entry(slot).use.store(0, std::memory_order_relaxed);
  }
  for (std::size_t c = 0; c < evictions_.size(); ++c) {
    RepairClass(c);
  }
}

core::Status Index::Remake(
    const std::function<core::Result<std::uint32_t>(const Restore&)>& restore) {
  Initialise();
  core::Result<std::uint32_t> first =
      restore([&](std::uint32_t slot, const SlotRecord& record) {
        internal::KillPoint("S1");
        RestoreSlot(slot, record);
      });
  if (!first.ok()) {
    header_->format.store(0);
    return first.status();
  }
  for (std::uint32_t slot = 0; slot < options_.geometry.slots(); ++slot) {
    const SlotWord word = WordOf(entry(slot));
    if (word.state == SlotState::kFree) {
      Swap(entry(slot), word, {.generation = first.value()});
    }
  }
  internal::KillPoint("S2");
  header_->format.store(kIndexFormat, std::memory_order_release);
  made_ = true;
  return {};
}

core::Status Index::Rejoin() {
  STOKER_ASSIGN(row_,
                internal::ProcessTable(header_->processes).Join(options_.run));
  pins_reserved_ = 0;
  return {};
}

void Index::Initialise() {
  Header& header = *header_;
  header.format.store(0);
  header.id = options_.id;
  header.geometry = options_.geometry;
  header.policy = static_cast<std::uint64_t>(options_.policy);
  const std::string boot = internal::BootId();
  header.boot.fill('\0');
  std::copy_n(boot.data(), std::min(boot.size(), header.boot.size() - 1),
              header.boot.data());
  header.mutations.store(0);
  header.budget_whole_at.store(0);
  internal::MakeRobust(header.commits.lock);
  header.commits.pages.store(0);
  header.commits.sequence.store(0);
  header.commits.changes.store(0);
  header.commits.moved.store(0);
  header.commits.unproved.store(1);
  header.commits.looked_ms.store(NowMs());
  for (internal::CommitBoard::Seat& seat : header.commits.seats) {
    seat.name.store(0);
    seat.row.store(0);
    seat.pid.store(0);
  }
  header.swept_ms.store(NowMs());
  internal::ProcessTable(header.processes).Reset();
  for (pthread_mutex_t& stripe : header.stripes) {
    internal::MakeRobust(stripe);
  }
  std::uint32_t first = 0;
  for (std::size_t c = 0; c < header.classes.size(); ++c) {
    const std::uint32_t count = options_.geometry.classes[c].slots;
    internal::MakeRobust(header.classes[c].lock);
    header.classes[c].hint.store(first);
    header.classes[c].free.store(count);
    evictions_[c]->Reset();
    first += count;
  }
  for (std::uint32_t slot = 0; slot < options_.geometry.slots(); ++slot) {
    buckets_[slot].store(kNoSlot, std::memory_order_relaxed);
    SlotEntry& fresh = entry(slot);
    fresh.key_high.store(0, std::memory_order_relaxed);
    fresh.key_low.store(0, std::memory_order_relaxed);
    fresh.chain.store(kNoSlot, std::memory_order_relaxed);
    fresh.newer.store(kNoSlot, std::memory_order_relaxed);
    fresh.older.store(kNoSlot, std::memory_order_relaxed);
    fresh.length.store(0, std::memory_order_relaxed);
    fresh.use.store(0, std::memory_order_relaxed);
    fresh.word.store(SlotWord{.generation = 1}.Pack());
  }
}

void Index::RestoreSlot(std::uint32_t slot, const SlotRecord& record) {
  if (slot >= options_.geometry.slots() ||
      record.length > options_.geometry.BytesOf(slot) ||
      record.state == SlotState::kFree) {
    return;
  }
  // Of two that say they hold a block, the one used later is right; the other
  // was given up and not yet overwritten.
  const bool dirty = record.state == SlotState::kDirty;
  const auto number = static_cast<std::uint32_t>(record.key.low);
  if (IsCommitKey(record.key) && number != kLayoutMark) {
    std::atomic<std::uint32_t>& pages = header_->commits.pages;
    pages.store(std::max(pages.load(), number / 2 + 1));
  }
  const std::uint32_t other = Find(record.key);
  if (other != kNoSlot) {
    const SlotWord word = WordOf(entry(other));
    if (word.generation >= record.generation) {
      return;
    }
    Unlink(other);
    const Place left = PlaceOf(other);
    if (HasOrder() && word.state == SlotState::kValid) {
      evictions_[left.number]->OnRemove(left.local);
    }
    header_->classes[left.number].free.fetch_add(1);
    Swap(entry(other), word, {.generation = word.generation});
  }
  SlotEntry& restored = entry(slot);
  restored.key_high.store(record.key.high, std::memory_order_relaxed);
  restored.key_low.store(record.key.low, std::memory_order_relaxed);
  restored.length.store(record.length, std::memory_order_relaxed);
  for (std::size_t g = 0; g < kGranulesPerSlot; ++g) {
    restored.crc[g].store(record.crc[g], std::memory_order_relaxed);
  }
  const Place place = PlaceOf(slot);
  if (HasOrder() && !dirty) {
    evictions_[place.number]->OnInsert(place.local, 0);
  }
  header_->classes[place.number].free.fetch_sub(1);
  // Whether it is to stay is told by the commit it belongs to.
  restored.word.store(SlotWord{.state = record.state,
                               .owner = dirty ? kOrphan : std::uint16_t{0},
                               .generation = record.generation}
                          .Pack());
  Link(slot, record.key);
}

std::uint64_t Index::memory_bytes() const { return Region::BytesFor(options_); }

}  // namespace stoker::cache
