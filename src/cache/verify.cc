#include "cache/verify.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "cache/block_key.h"
#include "cache/internal/commit_table.h"
#include "cache/internal/leave_to_device.h"
#include "core/aligned_buffer.h"
#include "core/check.h"
#include "core/pages.h"

namespace stoker::cache {

namespace {

// How long the device may take to read a block.
constexpr core::Nanos kVerifyPatience = std::chrono::seconds(30);
constexpr std::uint64_t kWarmBytes = 8ULL << 20U;  // asked for at once
constexpr std::size_t kWarmOps = 4;

bool IsRight(const SlotRecord& record, std::uint32_t slot,
             std::uint64_t granule, std::span<const std::byte> block) {
  for (std::uint32_t g = 0; g * granule < record.length; ++g) {
    const auto part = block.subspan(
        g * granule,
        std::min<std::uint64_t>(granule, record.length - g * granule));
    if (GranuleCrc(record.key, slot, record.generation, g, part) !=
        record.crc[g]) {
      return false;
    }
  }
  return true;
}

core::Status VerifyUnit(Tier& tier, TierUnit& unit, core::Clock& clock,
                        VerifyCounts& counts) {
  const std::uint64_t block_bytes = tier.block_bytes();
  STOKER_ASSIGN(core::AlignedBuffer buffer,
                core::AlignedBuffer::Make(block_bytes, false));
  STOKER_ASSIGN(std::unique_ptr<storage::BlockQueue> queue,
                tier.device().NewQueue(1, clock));
  std::vector<std::pair<std::uint32_t, SlotRecord>> blocks;
  unit.index->ForEachValid([&](std::uint32_t slot, const SlotRecord& record) {
    blocks.emplace_back(slot, record);
  });
  const std::optional<PinCell> cell = unit.index->ReservePins();
  if (!cell.has_value()) {
    return {core::Code::kUnavailable, "verify a cache: no pins are left"};
  }
  for (const auto& [slot, record] : blocks) {
    PinnedSlot pinned;
    if (unit.index->Pin(record.key, *cell, pinned) != Look::kHit) {
      continue;  // gone since
    }
    const storage::BlockOp op{
        .offset =
            unit.device_offset + unit.index->geometry().OffsetOf(pinned.slot),
        .buffer = buffer.bytes().first(core::PagesUp(pinned.length))};
    storage::BlockDone done;
    STOKER_TRY(queue->Submit(std::span(&op, 1)).status());
    STOKER_ASSIGN(
        const std::size_t count,
        queue->Reap(std::span(&done, 1), 1, clock.Now() + kVerifyPatience));
    if (count == 0) {
      internal::LeaveToDevice(tier, std::move(queue), std::move(buffer));
      return {core::Code::kTimedOut,
              "verify a cache: its device does not answer"};
    }
    ++counts.blocks;
    counts.bytes += pinned.length;
    const SlotRecord now{.key = record.key,
                         .generation = pinned.generation,
                         .length = pinned.length,
                         .crc = pinned.crc};
    if (done.status.ok() &&
        IsRight(now, pinned.slot, Tier::GranuleBytes(unit, pinned.slot),
                op.buffer)) {
      unit.index->Unpin(*cell);
    } else {
      ++counts.damaged;
      unit.index->Drop(pinned, *cell);
    }
  }
  unit.index->ReleasePins(*cell);
  return {};
}

// Reads objects one behind the other, several requests at once.
class Warmer {
 public:
  Warmer(storage::Backend& backend, storage::ReadQueue& queue,
         std::span<std::byte> memory)
      : backend_(backend), queue_(queue), memory_(memory) {
    for (std::size_t slot = kWarmOps; slot-- > 0;) {
      free_.push_back(slot);
    }
  }

  core::Status Read(const storage::ObjectInfo& info) {
    const storage::ObjectId object = backend_.Resolve(info.name);
    core::Status status;
    for (std::uint64_t at = 0; at < info.size && status.ok();
         at += kWarmBytes) {
      while (free_.empty() && status.ok()) {
        status = Reap();
      }
      const std::size_t slot = free_.back();
      const storage::ReadOp op{
          .object = object,
          .offset = at,
          .buffer = memory_.subspan(slot * kWarmBytes,
                                    std::min(kWarmBytes, info.size - at)),
          .tag = slot};
      if (status.ok()) {
        free_.pop_back();
        status = queue_.Submit(std::span(&op, 1)).status();
      }
    }
    while (queue_.in_flight() > 0) {
      const core::Status reaped = Reap();
      status = status.ok() ? reaped : status;
    }
    backend_.Release(object);
    return status.WithContext(info.name);
  }

  std::uint64_t bytes() const { return bytes_; }

 private:
  core::Status Reap() {
    std::array<storage::ReadDone, kWarmOps> done;
    STOKER_ASSIGN(const std::size_t count, queue_.Reap(done, 1, core::kNever));
    core::Status status;
    for (const storage::ReadDone& one : std::span(done).first(count)) {
      free_.push_back(one.tag);
      bytes_ += one.bytes;
      status = status.ok() ? one.status : status;
    }
    return status;
  }

  storage::Backend& backend_;
  storage::ReadQueue& queue_;
  std::span<std::byte> memory_;
  std::vector<std::size_t> free_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

core::Result<VerifyCounts> VerifyBlocks(Tier& tier, core::Clock& clock) {
  VerifyCounts counts;
  for (TierUnit& unit : tier.units()) {
    STOKER_TRY(VerifyUnit(tier, unit, clock, counts));
  }
  return counts;
}

core::Result<std::uint64_t> WaitingForStore(Tier& tier, core::Clock& clock) {
  STOKER_ASSIGN(const std::unique_ptr<internal::CommitTable> table,
                internal::CommitTable::Make(tier, clock));
  STOKER_TRY(table->Refresh());
  std::uint64_t waiting = 0;
  for (const TierUnit& unit : tier.units()) {
    waiting += unit.index->DirtyCount();
  }
  for (const auto& [unit, commit] : table->entries()) {
    waiting += commit.dirty ? 1 : 0;
  }
  return waiting;
}

core::Status ClearUnit(TierUnit& unit) {
  unit.index->Clear();
  if (unit.directory == nullptr) {
    return {};
  }
  for (std::uint32_t slot = 0; slot < unit.index->geometry().slots(); ++slot) {
    STOKER_TRY(unit.directory->WriteRecord(slot, {}));
  }
  return {};
}

core::Result<std::uint64_t> Warm(storage::Backend& backend,
                                 core::Clock& clock) {
  STOKER_ASSIGN(const std::unique_ptr<storage::ReadQueue> queue,
                backend.NewReadQueue({.depth = kWarmOps}, clock));
  STOKER_ASSIGN(const core::AlignedBuffer memory,
                core::AlignedBuffer::Make(kWarmOps * kWarmBytes, false));
  Warmer warmer(backend, *queue, memory.bytes());
  core::Status status;
  STOKER_TRY(backend.List("", [&](const storage::ObjectInfo& info) {
    status = warmer.Read(info);
    return status.ok();
  }));
  STOKER_TRY(status);
  return warmer.bytes();
}

core::Result<std::uint64_t> WarmShare(storage::Backend& backend,
                                      const ObjectSet& objects,
                                      std::uint64_t first, std::uint64_t step,
                                      core::Clock& clock) {
  STOKER_CHECK(step > 0);
  STOKER_ASSIGN(const std::unique_ptr<storage::ReadQueue> queue,
                backend.NewReadQueue({.depth = kWarmOps}, clock));
  STOKER_ASSIGN(const core::AlignedBuffer memory,
                core::AlignedBuffer::Make(kWarmOps * kWarmBytes, false));
  Warmer warmer(backend, *queue, memory.bytes());
  for (std::uint64_t i = first; i < objects.count; i += step) {
    const std::string name = objects.name_of(i);
    STOKER_ASSIGN(const std::uint64_t size,
                  storage::ObjectSize(backend, name, clock));
    STOKER_TRY(warmer.Read({.name = name, .size = size}));
  }
  return warmer.bytes();
}

}  // namespace stoker::cache
