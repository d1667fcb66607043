// What the fetcher writes to the cache's device, which may fail, and may not
// answer.

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "cache/block_key.h"
#include "cache/internal/fetcher.h"
#include "cache/internal/kill_point.h"
#include "cache/internal/leave_to_device.h"
#include "core/check.h"
#include "core/pages.h"

namespace stoker::cache::internal {

namespace {

constexpr core::Nanos kShortestWritePatience = std::chrono::seconds(5);
constexpr core::Nanos kLongestWritePatience = std::chrono::seconds(20);

}  // namespace

// Whether the device of a unit is to be written to.
bool Fetcher::TakesBlocks(std::size_t unit, core::TimePoint now) const {
  // As many writes as the devices take at once, those that hang among them.
  const std::size_t most = device_->capacity();
  if (!health_.of(unit).IsGood(now) || !writes_of_[unit].health.IsGood(now) ||
      hung_writes_.size() + reading_ + writing_ >= most) {
    return false;
  }
  const auto of_unit = [&](const auto& write) {
    return tier_.NumberOf(write.key) == unit;
  };
  // Of several devices none can have them all, for it may never answer.
  if (tier_.units().size() > 1 && !hung_writes_.empty() &&
      std::cmp_greater_equal(std::ranges::count_if(hung_writes_, of_unit),
                             fills_.size())) {
    return false;
  }
  // One at a time shows whether it answers again.
  return !writes_of_[unit].on_trial ||
         std::ranges::none_of(fills_, [&](const Fill& fill) {
           return fill.claimed &&
                  (fill.state == State::kReading ||
                   fill.state == State::kWriting) &&
                  of_unit(fill);
         });
}

// A slot for the block, if it is to be kept.
Claim Fetcher::ClaimToKeep(const Fingerprint& key, std::uint32_t bytes,
                           std::uint32_t next_use) {
  return options_.keeps->load(std::memory_order_relaxed)
             ? ClaimFor(key, bytes, next_use)
             : Claim{};
}

Claim Fetcher::ClaimFor(const Fingerprint& key, std::uint32_t bytes,
                        std::uint32_t next_use) {
  const core::TimePoint now = clock_.Now();
  const std::size_t unit = tier_.NumberOf(key);
  if (!TakesBlocks(unit, now)) {
    return {};
  }
  if (meter_.HoldsFillsBack(now)) {
    counters_.guarded.fetch_add(1, std::memory_order_relaxed);
    return {};
  }
  Index& index = *tier_.units()[unit].index;
  if (!index.AllowsWrite(bytes)) {
    counters_.over_budget.fetch_add(1, std::memory_order_relaxed);
    return {};
  }
  const Claim claim = index.ClaimSlot(key, bytes, next_use);
  if (claim.outcome == ClaimOutcome::kMine) {
    index.SpendWrite(bytes);
  }
  return claim;
}

// The cache has lost a block that is still in a buffer.
void Fetcher::KeepAgain(Fill& fill) {
  if (fill.state != State::kHeld || !fill.claimed ||
      tier_.UnitOf(fill.key).index->Peek(fill.key) != Look::kMiss) {
    return;
  }
  // Refusals are counted of reads that pass by, not of each part of a block.
  if (meter_.HoldsFillsBack(clock_.Now()) ||
      !tier_.UnitOf(fill.key).index->AllowsWrite(fill.bytes)) {
    return;
  }
  const Claim claim = ClaimToKeep(fill.key, fill.bytes, fill.claim.next_use);
  if (claim.outcome == ClaimOutcome::kMine) {
    fill.claim = claim;
    WriteToDevice(fill);
  }
}

void Fetcher::WriteToDevice(Fill& fill) {
  TierUnit& unit = tier_.UnitOf(fill.key);
  const std::uint32_t slot = fill.claim.slot;
  const std::uint64_t granule = Tier::GranuleBytes(unit, slot);
  fill.record = {.state = SlotState::kValid,
                 .key = fill.key,
                 .generation = fill.claim.generation,
                 .length = fill.bytes};
  for (std::uint32_t g = 0; g < kGranulesPerSlot && g * granule < fill.bytes;
       ++g) {
    const std::uint64_t bytes =
        std::min<std::uint64_t>(granule, fill.bytes - g * granule);
    fill.record.crc[g] = GranuleCrc(fill.key, slot, fill.claim.generation, g,
                                    fill.buffer.subspan(g * granule, bytes));
  }
  const std::uint64_t bytes = core::PagesUp(fill.bytes);
  std::ranges::fill(fill.buffer.subspan(fill.bytes, bytes - fill.bytes),
                    std::byte{0});
  const storage::BlockOp op{
      .kind = storage::BlockOp::Kind::kWrite,
      .offset = unit.device_offset + unit.index->geometry().OffsetOf(slot),
      .buffer = fill.buffer.first(bytes),
      .tag =
          ++writes_ << 32U | static_cast<std::uint64_t>(&fill - fills_.data())};
  const core::Result<std::size_t> taken = device_->Submit(std::span(&op, 1));
  fill.state = State::kWriting;
  fill.write_tag = op.tag;
  fill.write_began = clock_.Now();
  fill.write_due =
      fill.write_began +
      PatienceFor(write_times_, kShortestWritePatience, kLongestWritePatience);
  next_late_write_ = std::min(next_late_write_, fill.write_due);
  ++writing_;
  KillPoint("F2");
  if (!taken.ok() || taken.value() == 0) {
    OnWritten({.tag = op.tag,
               .status = {core::Code::kIoError, "the queue is unusable"}});
  }
}

void Fetcher::TakeWritten(std::size_t at_least, core::TimePoint deadline) {
  const core::Result<std::size_t> count =
      device_->Reap(written_, at_least, deadline);
  if (!count.ok()) {
    for (std::size_t unit = 0; unit < tier_.units().size(); ++unit) {
      health_.of(unit).NoteError(clock_.Now());
    }
    return;
  }
  for (const storage::BlockDone& done :
       std::span(written_).first(count.value())) {
    OnWritten(done);
  }
}

void Fetcher::OnWritten(const storage::BlockDone& done) {
  Fill& fill = fills_[done.tag & UINT32_MAX];
  if (fill.state != State::kWriting || fill.write_tag != done.tag) {
    OnLateWrite(done);
    return;
  }
  --writing_;
  fill.state = State::kHeld;
  write_times_.Add(clock_.Now() - fill.write_began);
  const std::size_t number = tier_.NumberOf(fill.key);
  TierUnit& unit = tier_.units()[number];
  if (fill.write_began >= writes_of_[number].hung_since) {
    writes_of_[number].on_trial = false;
  }
  if (!done.status.ok()) {
    counters_.device_errors.fetch_add(1, std::memory_order_relaxed);
    health_.of(number).NoteError(clock_.Now());
    unit.index->Abandon(fill.claim);
    return;
  }
  counters_.device_written_bytes.fetch_add(core::PagesUp(fill.bytes),
                                           std::memory_order_relaxed);
  KillPoint("F3");
  // While the slot is ours: published, it may be evicted, and its record would
  // come over that of the next block. Without a record the block is found by
  // nobody after a reboot, and no worse.
  if (unit.directory != nullptr && unit.index->Renew(fill.claim) &&
      !unit.directory->WriteRecord(fill.claim.slot, fill.record).ok()) {
    counters_.device_errors.fetch_add(1, std::memory_order_relaxed);
  }
  KillPoint("F4");
  if (!unit.index->Publish(fill.claim, fill.record)) {
    return;
  }
  counters_.fills.fetch_add(1, std::memory_order_relaxed);
  counters_.filled_bytes.fetch_add(fill.bytes, std::memory_order_relaxed);
}

// Writes that do not answer: their slots rest, the blocks are in the cache for
// nobody, and the buffers, which the device may still read from, stay as they
// are. The fetcher goes on with others.
void Fetcher::GiveUpLateWrites() {
  if (next_late_write_ == core::kNever) {
    return;
  }
  const core::TimePoint now = clock_.Now();
  if (now < next_late_write_) {
    return;
  }
  next_late_write_ = core::kNever;
  for (Fill& fill : fills_) {
    if (fill.state == State::kWriting && fill.write_due <= now) {
      GiveUpWrite(fill, now);
    } else if (fill.state == State::kWriting) {
      next_late_write_ = std::min(next_late_write_, fill.write_due);
    }
  }
}

void Fetcher::GiveUpWrite(Fill& fill, core::TimePoint now) {
  counters_.device_hangs.fetch_add(1, std::memory_order_relaxed);
  UnitWrites& writes = writes_of_[tier_.NumberOf(fill.key)];
  writes.health.NoteHang(now);
  writes.on_trial = true;
  writes.hung_since = now;
  tier_.UnitOf(fill.key).index->Rest(fill.claim);
  --writing_;
  held_[static_cast<std::size_t>(&fill - fills_.data())].store(
      0, std::memory_order_relaxed);
  hung_writes_.push_back({.tag = fill.write_tag,
                          .key = fill.key,
                          .claim = fill.claim,
                          .bytes = fill.bytes,
                          .began = fill.write_began,
                          .buffer = fill.buffer});
  fill.state = State::kIdle;
  if (spare_buffers_.empty()) {
    core::Result<core::AlignedBuffer> more =
        core::AlignedBuffer::Make(tier_.block_bytes(), false);
    if (!more.ok()) {
      fill.state = State::kLost;
      return;
    }
    more_memory_.push_back(std::move(more).value());
    spare_buffers_.push_back(more_memory_.back().bytes());
  }
  fill.buffer = spare_buffers_.back();
  spare_buffers_.pop_back();
}

// The answer to a write that was given up.
void Fetcher::OnLateWrite(const storage::BlockDone& done) {
  const auto late = std::ranges::find(hung_writes_, done.tag, &HungWrite::tag);
  STOKER_CHECK(late != hung_writes_.end());
  tier_.UnitOf(late->key).index->Abandon(late->claim);
  // The next is waited for longer.
  write_times_.Add(clock_.Now() - late->began);
  if (done.status.ok()) {
    counters_.device_written_bytes.fetch_add(core::PagesUp(late->bytes),
                                             std::memory_order_relaxed);
  } else {
    counters_.device_errors.fetch_add(1, std::memory_order_relaxed);
  }
  const auto lost = std::ranges::find(fills_, State::kLost, &Fill::state);
  if (lost != fills_.end()) {
    lost->buffer = late->buffer;
    lost->state = State::kIdle;
  } else {
    spare_buffers_.push_back(late->buffer);
  }
  hung_writes_.erase(late);
}

// At the end: what may still read the buffers stays, with them, until the
// process ends.
void Fetcher::LeaveHungWrites() {
  if (hung_writes_.empty()) {
    return;
  }
  for (const HungWrite& hung : hung_writes_) {
    tier_.UnitOf(hung.key).index->Forsake(hung.claim);
  }
  LeaveToDevice(tier_, std::move(device_), std::move(memory_),
                std::move(more_memory_));
}

}  // namespace stoker::cache::internal
