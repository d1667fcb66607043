// Reading the cache's device, which may fail, and may not answer.

#include <algorithm>
#include <memory>
#include <utility>

#include "cache/block_key.h"
#include "cache/internal/cache_queue.h"
#include "cache/internal/leave_to_device.h"
#include "core/check.h"
#include "core/pages.h"

namespace stoker::cache::internal {

namespace {

// With Verify::kSample one read of the device in so many is checked.
constexpr std::uint64_t kSampleEvery = 16;

}  // namespace

// Cells are as many as reads the devices take at once: those that hang have
// theirs. Of several devices none can have them all, for it may never answer.
bool CacheQueue::HasCell(const UnitReads& reads) const {
  constexpr std::uint32_t kMostOfOne = kPieces - kPieces / 4;
  return !free_cells_.empty() &&
         (unit_reads_.size() == 1 || reads.count + reads.hung < kMostOfOne);
}

CacheQueue::Way CacheQueue::WayOf(const Range& range,
                                  core::TimePoint now) const {
  const Op& op = ops_[range.op];
  const std::size_t unit = shared_.tier->NumberOf(range.key);
  const UnitReads& reads = unit_reads_[unit];
  if (op.dirty) {
    // It may wait for good, for a device that never answers.
    return HasCell(reads)        ? Way::kDevice
           : free_cells_.empty() ? Way::kNoneYet
                                 : Way::kWaits;
  }
  if (range.past_cache) {
    return Way::kPastCache;
  }
  if (!shared_.health->of(unit).IsGood(now)) {
    return Way::kFetcher;
  }
  // One at a time shows whether a device answers again.
  if (reads.on_trial && reads.count > 0) {
    return Way::kPastCache;
  }
  if (!HasCell(reads)) {
    return reads.hung == 0 && reads.count > 0 ? Way::kNoneYet : Way::kPastCache;
  }
  const bool all_of_it =
      op.asked.offset <= range.block_start &&
      op.asked.offset + op.end >= range.block_start + range.block_bytes;
  return all_of_it || !shared_.fetcher->Holds(range.key) ? Way::kDevice
                                                         : Way::kFetcher;
}

// Whether the store reads what the device has.
bool CacheQueue::MovesToStore(const Range& range, core::TimePoint now) const {
  return shared_.meter->balances() && !ops_[range.op].dirty &&
         (range.out.size() == range.block_bytes ||
          shared_.fetcher->CanPassThrough(RequestFor(range))) &&
         shared_.meter->MovesToStore(range.out.size(), now);
}

// What the store was to read instead of the device has come, or has not: then
// the device reads it, and this is true.
bool CacheQueue::StayWithDevice(Piece& piece, const FetchReply& reply) {
  piece.balanced = false;
  const bool served =
      reply.status.ok() && reply.bytes == piece.range.out.size();
  const core::TimePoint now = clock().Now();
  const bool by_store = served && reply.from_memory == 0;
  shared_.meter->EndStore(piece.range.out.size(), by_store, now);
  if (served) {
    // The fetcher may have had it.
    shared_.counters->balanced.fetch_add(by_store ? 1 : 0,
                                         std::memory_order_relaxed);
    return false;
  }
  shared_.meter->NoteStoreFailure(now);
  if (closing_) {
    return false;
  }
  piece.range.past_cache = false;
  redo_.push_back(piece.range);
  return true;
}

std::uint64_t CacheQueue::ReadDevice(const Range& range,
                                     std::size_t unit_number,
                                     const PinnedSlot& pinned,
                                     core::TimePoint now) {
  TierUnit& unit = shared_.tier->units()[unit_number];
  const std::uint32_t number = free_pieces_.back();
  const std::uint32_t cell = free_cells_.back();
  const std::uint64_t granule = Tier::GranuleBytes(unit, pinned.slot);
  Piece piece{.range = range,
              .on_device = true,
              .unit = unit_number,
              .pinned = pinned,
              .cell = cell,
              .tag = ++device_reads_ << 32U | number,
              .asked = now,
              .due = now + shared_.meter->patience()};
  std::uint64_t bytes = gives_up_buffers_ ? DirectBytes(range, granule) : 0;
  if (bytes > 0) {
    piece.read_from = range.from;
    // A last part of a page has room behind it: DirectBytes saw to that.
    piece.read_into = std::span(range.out.data(), core::PagesUp(bytes));
  } else {
    piece.buffer = buffers_.Take();
    if (piece.buffer == GranuleBuffers::kNone) {
      unit.index->Unpin(Cell(unit_number, cell));
      return 0;
    }
    piece.read_from =
        static_cast<std::uint32_t>(range.from / granule * granule);
    const std::uint64_t held =
        std::min<std::uint64_t>(granule, range.block_bytes - piece.read_from);
    piece.read_into = buffers_.memory(piece.buffer).first(core::PagesUp(held));
    bytes = std::min<std::uint64_t>(range.out.size(),
                                    piece.read_from + held - range.from);
  }
  piece.range.out = range.out.first(bytes);
  free_pieces_.pop_back();
  free_cells_.pop_back();
  next_late_ = std::min(next_late_, piece.due);
  ++unit_reads_[unit_number].count;
  shared_.meter->BeginRead(piece.read_into.size(), now);
  pieces_[number] = piece;
  ++ops_[range.op].pieces;
  to_device_.push_back({.kind = storage::BlockOp::Kind::kRead,
                        .offset = unit.device_offset +
                                  unit.index->geometry().OffsetOf(pinned.slot) +
                                  piece.read_from,
                        .buffer = piece.read_into,
                        .tag = piece.tag});
  return bytes;
}

bool CacheQueue::IsRight(const Piece& piece) {
  if (shared_.verify == Verify::kNone ||
      (shared_.verify == Verify::kSample && sampled_++ % kSampleEvery != 0)) {
    return true;
  }
  const Range& range = piece.range;
  const std::uint64_t granule =
      Tier::GranuleBytes(shared_.tier->units()[piece.unit], piece.pinned.slot);
  const std::uint64_t end = std::min<std::uint64_t>(
      range.block_bytes, piece.read_from + piece.read_into.size());
  for (std::uint64_t at = piece.read_from; at < end; at += granule) {
    const auto g = static_cast<std::uint32_t>(at / granule);
    const std::span<const std::byte> bytes = piece.read_into.subspan(
        at - piece.read_from, std::min(granule, end - at));
    if (GranuleCrc(range.key, piece.pinned.slot, piece.pinned.generation, g,
                   bytes) != piece.pinned.crc[g]) {
      return false;
    }
  }
  return true;
}

// Its answer is here, or is no longer waited for.
void CacheQueue::LeaveDevice(Piece& piece, bool answered, core::TimePoint now) {
  piece.on_device = false;
  UnitReads& reads = unit_reads_[piece.unit];
  --reads.count;
  shared_.meter->EndRead(piece.read_into.size(), now - piece.asked, answered,
                         now);
  if (answered && piece.asked >= reads.hung_since) {
    reads.on_trial = false;
  }
}

void CacheQueue::OnRead(const storage::BlockDone& done, core::TimePoint now) {
  const auto number = static_cast<std::uint32_t>(done.tag);
  Piece& piece = pieces_[number];
  if (!piece.on_device || piece.tag != done.tag) {
    OnLateRead(done, now);
    return;
  }
  LeaveDevice(piece, done.status.ok(), now);
  free_cells_.push_back(piece.cell);
  const PinCell cell = Cell(piece.unit, piece.cell);
  Index& index = *shared_.tier->units()[piece.unit].index;
  CacheCounters& counters = *shared_.counters;
  counters.device_read_bytes.fetch_add(piece.read_into.size(),
                                       std::memory_order_relaxed);
  const bool arrived = done.status.ok();
  if (!arrived) {
    counters.device_errors.fetch_add(1, std::memory_order_relaxed);
    shared_.health->of(piece.unit).NoteError(now);
  }
  const bool right = arrived && IsRight(piece);
  if (arrived && !right) {
    counters.checksum_misses.fetch_add(1, std::memory_order_relaxed);
  }
  if (!right) {
    index.Drop(piece.pinned, cell);
    if (piece.buffer != GranuleBuffers::kNone) {
      buffers_.at(piece.buffer) = {};
    }
    piece.buffer = GranuleBuffers::kNone;
    if (IsLost(ops_[piece.range.op])) {
      EndPiece(number);
    } else {
      SendToFetcher(number);
    }
    return;
  }
  index.Unpin(cell);
  Op& op = ops_[piece.range.op];
  const std::uint64_t bytes = piece.range.out.size();
  if (piece.buffer == GranuleBuffers::kNone) {
    op.from_cache += bytes;
  } else {
    GranuleBuffers::Buffer& buffer = buffers_.at(piece.buffer);
    buffer = {
        .key = piece.range.key,
        .from = piece.read_from,
        .bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(
            piece.read_into.size(), piece.range.block_bytes - piece.read_from)),
        .delivered = piece.range.from};
    CopyFrom(piece.buffer, piece.range);
  }
  EndPiece(number);
}

// The pieces whose answer has not come in time are read from the store. What
// the device may still write to stays as it is until it has answered.
void CacheQueue::GiveUpLate(core::TimePoint now) {
  if (now < next_late_) {
    return;
  }
  next_late_ = core::kNever;
  for (std::uint32_t number = 0; number < pieces_.size(); ++number) {
    Piece& piece = pieces_[number];
    if (piece.on_device && piece.due <= now) {
      GiveUp(number, now);
    }
    if (piece.on_device) {
      next_late_ = std::min(next_late_, piece.due);
    }
  }
}

void CacheQueue::GiveUp(std::uint32_t number, core::TimePoint now) {
  Piece& piece = pieces_[number];
  Op& op = ops_[piece.range.op];
  if (!std::exchange(piece.hangs, true)) {
    shared_.counters->device_hangs.fetch_add(1, std::memory_order_relaxed);
    shared_.health->of(piece.unit).NoteHang(now);
    unit_reads_[piece.unit].on_trial = true;
    unit_reads_[piece.unit].hung_since = now;
  }
  if (!closing_ && IsOnlyHere(op)) {
    piece.due = now + shared_.meter->patience();
    return;
  }
  LeaveDevice(piece, false, now);
  ++unit_reads_[piece.unit].hung;
  hung_.push_back({.tag = piece.tag,
                   .unit = piece.unit,
                   .cell = piece.cell,
                   .buffer = piece.buffer,
                   .memory = {},
                   .bytes = piece.read_into.size(),
                   .asked = piece.asked});
  if (piece.buffer == kNone) {
    op.buffer_held = true;
  } else if (hung_.back().memory = buffers_.PartFrom(piece.buffer);
             !hung_.back().memory.empty()) {
    hung_.back().buffer = kNone;
  }
  piece.buffer = kNone;
  if (closing_) {
    EndPiece(number);
    return;
  }
  piece.range.past_cache = true;
  SendToFetcher(number);
}

// The answer to a read that was given up: nobody wants it, but what it was read
// into is ours again.
void CacheQueue::OnLateRead(const storage::BlockDone& done,
                            core::TimePoint now) {
  const auto late = std::ranges::find(hung_, done.tag, &HungRead::tag);
  STOKER_CHECK(late != hung_.end());
  shared_.counters->device_read_bytes.fetch_add(late->bytes,
                                                std::memory_order_relaxed);
  shared_.meter->NoteLate(now - late->asked);
  --unit_reads_[late->unit].hung;
  shared_.tier->units()[late->unit].index->Unpin(Cell(late->unit, late->cell));
  free_cells_.push_back(late->cell);
  if (!late->memory.empty()) {
    buffers_.GiveBack(late->memory);
  } else if (late->buffer != kNone) {
    buffers_.at(late->buffer) = {};
  }
  hung_.erase(late);
}

// At the end: the device, its queue and what it may write to stay until the
// process ends.
void CacheQueue::LeaveHung() {
  if (hung_.empty()) {
    return;
  }
  for (const HungRead& hung : hung_) {
    shared_.tier->units()[hung.unit].index->Unpin(Cell(hung.unit, hung.cell));
  }
  LeaveToDevice(*shared_.tier, std::move(device_), std::move(buffers_));
}

}  // namespace stoker::cache::internal
