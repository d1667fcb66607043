#include "cache/internal/staged_object.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

#include "cache/block_key.h"
#include "cache/internal/kill_point.h"
#include "cache/internal/leave_to_device.h"
#include "cache/internal/slot_write.h"
#include "core/pages.h"

namespace stoker::cache::internal {

namespace {

// How long a write may take, and how long a slot may be looked for: readers let
// go of theirs meanwhile.
constexpr core::Nanos kStagePatience = std::chrono::seconds(60);
constexpr core::Nanos kStagePause = std::chrono::milliseconds(5);

}  // namespace

core::Result<std::unique_ptr<StagedObject>> StagedObject::Make(
    Tier& tier, const Fingerprint& key, std::uint32_t blocks,
    std::uint32_t promised, CacheCounters& counters, core::Clock& clock) {
  std::unique_ptr<StagedObject> made(
      new StagedObject(tier, key, promised, counters, clock));
  const std::size_t count =
      std::min<std::size_t>(kBuffers, std::max<std::uint32_t>(blocks, 3));
  STOKER_ASSIGN(made->memory_,
                core::AlignedBuffer::Make(count * tier.block_bytes(), false));
  STOKER_ASSIGN(made->queue_, tier.device().NewQueue(count, clock));
  made->queue_->RegisterMemory(made->memory_.bytes());
  made->buffers_.resize(count);
  made->placed_.reserve(blocks);
  return made;
}

StagedObject::StagedObject(Tier& tier, const Fingerprint& key,
                           std::uint32_t promised, CacheCounters& counters,
                           core::Clock& clock)
    : tier_(tier),
      key_(key),
      promised_(promised),
      counters_(counters),
      clock_(clock) {}

StagedObject::~StagedObject() {
  TakeTheRest();
  if (!kept_) {
    for (const Placed& block : placed_) {
      block.unit->index->Discard(block.slot);
    }
  }
  GiveBackPromised(promised_);
}

// What is on its way at the end: nobody wants it. Slots whose writes have no
// answer by then rest.
void StagedObject::TakeTheRest() {
  if (queue_ == nullptr) {
    return;
  }
  const core::TimePoint deadline = clock_.Now() + kEndPatience;
  std::array<storage::BlockDone, kBuffers> done;
  while (queue_->in_flight() > 0) {
    const core::Result<std::size_t> count = queue_->Reap(done, 1, deadline);
    if (!count.ok() || count.value() == 0) {
      break;
    }
    for (const storage::BlockDone& one : std::span(done).first(count.value())) {
      Buffer& buffer = buffers_[one.tag];
      buffer.used = buffer.writing = false;
      buffer.unit->index->Abandon(buffer.claim);
    }
  }
  for (const Buffer& buffer : buffers_) {
    if (buffer.writing) {
      buffer.unit->index->Rest(buffer.claim);
      buffer.unit->index->Forsake(buffer.claim);
    }
  }
  if (queue_->in_flight() > 0) {
    LeaveToDevice(tier_, std::move(queue_), std::move(memory_));
  }
}

void StagedObject::GiveBackPromised(std::uint32_t slots) {
  promised_ -= slots;
  tier_.units().front().index->ReserveDirty(-std::int64_t{slots});
}

core::Status StagedObject::Put(std::uint64_t offset,
                               std::span<const std::byte> bytes) {
  if (failed_.ok()) {
    failed_ = TryPut(offset, bytes);
  }
  return failed_;
}

core::Status StagedObject::Finish(std::uint64_t size) {
  if (failed_.ok()) {
    failed_ = TryFinish(size);
  }
  return failed_;
}

core::Status StagedObject::TryPut(std::uint64_t offset,
                                  std::span<const std::byte> bytes) {
  const std::uint64_t block = tier_.block_bytes();
  while (!bytes.empty()) {
    const std::uint64_t from = offset % block;
    const std::uint64_t some =
        std::min<std::uint64_t>(bytes.size(), block - from);
    STOKER_ASSIGN(const std::uint32_t number, BufferOf(offset / block));
    std::memcpy(MemoryOf(number).data() + from, bytes.data(), some);
    Buffer& buffer = buffers_[number];
    buffer.filled += some;
    buffer.end = std::max(buffer.end, from + some);
    if (buffer.filled == block) {
      STOKER_TRY(Send(number, block));
    }
    bytes = bytes.subspan(some);
    offset += some;
  }
  return {};
}

core::Result<std::uint32_t> StagedObject::BufferOf(std::uint64_t block) {
  while (true) {
    std::uint32_t unused = kNone;
    bool writing = false;
    for (std::uint32_t i = 0; i < buffers_.size(); ++i) {
      const Buffer& buffer = buffers_[i];
      if (buffer.used && !buffer.writing && buffer.block == block) {
        return i;
      }
      unused = buffer.used ? unused : i;
      writing = writing || buffer.writing;
    }
    if (unused != kNone) {
      buffers_[unused] = {.block = block, .used = true};
      return unused;
    }
    if (!writing) {
      return core::Status(core::Code::kInvalidArgument,
                          "write to the cache: parts that are too far apart");
    }
    STOKER_TRY(Take());
  }
}

core::Result<Claim> StagedObject::ClaimFor(TierUnit& unit,
                                           const Fingerprint& key,
                                           std::uint32_t length) {
  const core::TimePoint deadline = clock_.Now() + kStagePatience;
  while (true) {
    const Claim claim = unit.index->ClaimDirtySlot(key, length);
    if (claim.outcome == ClaimOutcome::kMine) {
      return claim;
    }
    if (clock_.Now() >= deadline) {
      return core::Status(core::Code::kUnavailable,
                          "write to the cache: no slot became free within 60 "
                          "s; remedy: a larger cache, a lower dirty=, or less "
                          "at once");
    }
    clock_.SleepUntil(clock_.Now() + kStagePause);
  }
}

core::Status StagedObject::Send(std::uint32_t number, std::uint64_t bytes) {
  Buffer& buffer = buffers_[number];
  const Fingerprint key = BlockKey(key_, buffer.block);
  TierUnit& unit = tier_.UnitOf(key);
  STOKER_ASSIGN(const Claim claim,
                ClaimFor(unit, key, static_cast<std::uint32_t>(bytes)));
  KillPoint("D1");
  const std::span<std::byte> memory =
      MemoryOf(number).first(core::PagesUp(bytes));
  std::ranges::fill(memory.subspan(bytes), std::byte{0});
  buffer.unit = &unit;
  buffer.claim = claim;
  buffer.record =
      RecordFor(unit, claim, key, memory.first(bytes), SlotState::kDirty);
  buffer.writing = true;
  const storage::BlockOp op = WriteOf(unit, claim.slot, memory, number);
  const core::Result<std::size_t> taken = queue_->Submit(std::span(&op, 1));
  KillPoint("D2");
  if (!taken.ok() || taken.value() != 1) {
    buffer.writing = false;
    unit.index->Abandon(claim);
    return taken.ok() ? core::Status(core::Code::kIoError,
                                     "write to the cache: its queue is full")
                      : taken.status();
  }
  return {};
}

core::Status StagedObject::Take() {
  std::array<storage::BlockDone, kBuffers> done;
  STOKER_ASSIGN(const std::size_t count,
                queue_->Reap(done, 1, clock_.Now() + kStagePatience));
  if (count == 0) {
    return {core::Code::kTimedOut,
            "write to the cache: its device does not answer"};
  }
  core::Status status;
  for (const storage::BlockDone& one : std::span(done).first(count)) {
    Buffer& buffer = buffers_[one.tag];
    buffer.used = buffer.writing = false;
    if (!one.status.ok()) {
      buffer.unit->index->Abandon(buffer.claim);
      counters_.device_errors.fetch_add(1, std::memory_order_relaxed);
      status = status.ok() ? one.status : status;
      continue;
    }
    counters_.device_written_bytes.fetch_add(
        core::PagesUp(buffer.record.length), std::memory_order_relaxed);
    if (!buffer.unit->index->Publish(buffer.claim, buffer.record)) {
      status = {core::Code::kUnavailable,
                "write to the cache: a slot was taken over"};
      continue;
    }
    placed_.push_back({.unit = buffer.unit,
                       .slot = {.slot = buffer.claim.slot,
                                .generation = buffer.claim.generation},
                       .record = buffer.record});
    if (promised_ > 0) {
      GiveBackPromised(1);
    }
  }
  return status;
}

core::Status StagedObject::TryFinish(std::uint64_t size) {
  const std::uint64_t block = tier_.block_bytes();
  for (std::uint32_t i = 0; i < buffers_.size(); ++i) {
    const Buffer& buffer = buffers_[i];
    if (!buffer.used || buffer.writing) {
      continue;
    }
    const std::uint64_t bytes =
        std::min(block, size - std::min(size, buffer.block * block));
    if (buffer.filled != bytes || buffer.end != bytes) {
      return {core::Code::kInvalidArgument,
              "write to the cache: bytes of a block are missing"};
    }
    STOKER_TRY(Send(i, bytes));
  }
  while (queue_->in_flight() > 0) {
    STOKER_TRY(Take());
  }
  if (placed_.size() != (size + block - 1) / block) {
    return {core::Code::kInvalidArgument,
            "write to the cache: blocks are missing"};
  }
  return {};
}

}  // namespace stoker::cache::internal
