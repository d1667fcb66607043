#include "storage/internal/file_uring_queue.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "core/check.h"
#include "storage/internal/file_reads.h"
#include "storage/internal/real_time.h"

namespace stoker::storage::internal {

core::Result<std::unique_ptr<ReadQueue>> FileUringQueue::Make(
    OpenFiles& files, Way way, const ReadLimits& limits, core::Clock& clock) {
  STOKER_CHECK(way != Way::kMapped);
  STOKER_ASSIGN(std::unique_ptr<UringRing> ring,
                UringRing::Make(static_cast<std::uint32_t>(limits.capacity)));
  return std::unique_ptr<ReadQueue>(
      new FileUringQueue(files, way, limits, clock, std::move(ring)));
}

FileUringQueue::FileUringQueue(OpenFiles& files, Way way,
                               const ReadLimits& limits, core::Clock& clock,
                               std::unique_ptr<UringRing> ring)
    : ReadQueue(limits, clock),
      files_(files),
      way_(way),
      slots_(limits.capacity),
      done_(limits.capacity),
      ring_(std::move(ring)) {}

FileUringQueue::~FileUringQueue() {
  std::array<UringRing::Completion, 16> completions;
  while (const std::size_t count = ring_->Drain(completions)) {
    for (std::size_t i = 0; i < count; ++i) {
      const Slot& slot = slots_[completions[i].user_data];
      if (slot.phase == Phase::kOpening && completions[i].result >= 0) {
        ::close(completions[i].result);
      }
    }
  }
}

core::Result<std::size_t> FileUringQueue::DoSubmit(
    std::span<const ReadOp> ops) {
  STOKER_TRY(broken_);
  for (const ReadOp& op : ops) {
    const auto slot = static_cast<std::uint32_t>(op.tag);
    STOKER_CHECK(slots_[slot].phase == Phase::kFree);
    slots_[slot].op = op;
    slots_[slot].got = 0;
    Start(slot);
  }
  broken_ = ring_->Submit();
  STOKER_TRY(broken_);
  return ops.size();
}

void FileUringQueue::Start(std::uint32_t slot) {
  OpenFile& file = files_.Get(slots_[slot].op.object);
  if (file.handle(way_).fd.load(std::memory_order_acquire) < 0) {
    StartOpen(slot, file);
  } else {
    Proceed(slot, file);
  }
}

// One open per file, however many ops ask for it at once.
void FileUringQueue::StartOpen(std::uint32_t slot, OpenFile& file) {
  Slot& self = slots_[slot];
  for (Slot& other : slots_) {
    if (other.phase == Phase::kOpening && other.op.object == self.op.object) {
      self.phase = Phase::kAwaitsOpen;
      self.next_waiting = std::exchange(other.next_waiting, slot);
      return;
    }
  }
  self.phase = Phase::kOpening;
  self.next_waiting = kNone;
  ring_->PrepareOpen(file.path.c_str(), OpenFlags(way_), slot);
}

void FileUringQueue::Proceed(std::uint32_t slot, OpenFile& file) {
  if (slots_[slot].op.kind == ReadOp::Kind::kSize) {
    Answer(slot, {}, file.handle(way_).size);
    return;
  }
  slots_[slot].phase = Phase::kReading;
  Read(slot, file);
}

void FileUringQueue::Read(std::uint32_t slot, OpenFile& file) {
  const Slot& self = slots_[slot];
  ring_->PrepareRead(file.handle(way_).fd.load(std::memory_order_relaxed),
                     self.op.buffer.subspan(self.got),
                     self.op.offset + self.got, slot);
}

void FileUringQueue::OpenCompleted(std::uint32_t slot, std::int32_t result) {
  OpenFile& file = files_.Get(slots_[slot].op.object);
  const core::Status status = result < 0 ? OpenError(file, way_, -result)
                                         : OpenFiles::Adopt(file, way_, result);
  while (slot != kNone) {
    const std::uint32_t next = std::exchange(slots_[slot].next_waiting, kNone);
    if (status.ok()) {
      Proceed(slot, file);
    } else {
      Answer(slot, status, 0);
    }
    slot = next;
  }
}

void FileUringQueue::ReadCompleted(std::uint32_t slot, std::int32_t result) {
  Slot& self = slots_[slot];
  OpenFile& file = files_.Get(self.op.object);
  if (result == -EINTR || result == -EAGAIN) {
    Read(slot, file);
    return;
  }
  if (result < 0) {
    Answer(slot, ReadError(file, way_, self.op.offset + self.got, -result),
           self.got);
    return;
  }
  self.got += static_cast<std::uint64_t>(result);
  if (result == 0 || IsWhole(self.op, self.got, file.handle(way_).size,
                             limits().offset_align)) {
    Answer(slot, {}, self.got);
  } else {
    Read(slot, file);
  }
}

void FileUringQueue::Answer(std::uint32_t slot, core::Status status,
                            std::uint64_t bytes) {
  slots_[slot].phase = Phase::kFree;
  done_.Push({.tag = slot, .status = std::move(status), .bytes = bytes});
}

core::Status FileUringQueue::TakeCompletions() {
  std::array<UringRing::Completion, 64> completions;
  std::size_t count = 0;
  do {
    count = ring_->Take(completions);
    for (std::size_t i = 0; i < count; ++i) {
      const auto slot = static_cast<std::uint32_t>(completions[i].user_data);
      if (slots_[slot].phase == Phase::kOpening) {
        OpenCompleted(slot, completions[i].result);
      } else {
        ReadCompleted(slot, completions[i].result);
      }
    }
  } while (count == completions.size());
  return ring_->Submit();
}

core::Result<std::size_t> FileUringQueue::DoReap(std::span<ReadDone> done,
                                                 std::size_t at_least,
                                                 core::TimePoint deadline) {
  STOKER_TRY(broken_);
  std::size_t count = 0;
  while (true) {
    broken_ = TakeCompletions();
    STOKER_TRY(broken_);
    count += done_.Pop(done.subspan(count));
    if (ring_->TakeWoken() || count >= at_least) {
      return count;
    }
    const std::optional<core::Nanos> left = TimeLeft(clock(), deadline);
    if (left == core::Nanos{0}) {
      return count;
    }
    broken_ = ring_->Wait(left);
    STOKER_TRY(broken_);
  }
}

}  // namespace stoker::storage::internal
