#include "storage/internal/file_uring_queue.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/check.h"
#include "storage/internal/file_reads.h"
#include "storage/internal/real_time.h"

namespace stoker::storage::internal {

namespace {

// Blocks in the kernel at once, of all ops, where no limit is set: enough for
// any device, and still a small ring.
constexpr std::size_t kMostBlocks = 256;

std::size_t RequestsOf(const ReadLimits& limits, const ReadShape& shape) {
  const std::size_t wanted = shape.block_bytes == 0
                                 ? limits.capacity
                                 : std::max(limits.capacity, kMostBlocks);
  return std::min(wanted, shape.in_kernel);
}

}  // namespace

core::Result<std::unique_ptr<ReadQueue>> FileUringQueue::Make(
    OpenFiles& files, Way way, const ReadLimits& limits, const ReadShape& shape,
    core::Clock& clock) {
  STOKER_CHECK(way != Way::kMapped && shape.in_kernel > 0);
  STOKER_ASSIGN(
      std::unique_ptr<UringRing> ring,
      UringRing::Make(static_cast<std::uint32_t>(RequestsOf(limits, shape))));
  return std::unique_ptr<ReadQueue>(
      new FileUringQueue(files, way, limits, shape, clock, std::move(ring)));
}

FileUringQueue::FileUringQueue(OpenFiles& files, Way way,
                               const ReadLimits& limits, const ReadShape& shape,
                               core::Clock& clock,
                               std::unique_ptr<UringRing> ring)
    : ReadQueue(limits, clock),
      files_(files),
      way_(way),
      block_bytes_(shape.block_bytes),
      slots_(limits.capacity),
      requests_(RequestsOf(limits, shape)),
      opens_(limits.capacity),
      reads_(limits.capacity),
      done_(limits.capacity),
      ring_(std::move(ring)) {
  free_requests_.reserve(requests_.size());
  for (std::size_t i = requests_.size(); i-- > 0;) {
    free_requests_.push_back(static_cast<std::uint32_t>(i));
  }
}

FileUringQueue::~FileUringQueue() {
  std::array<UringRing::Completion, 16> completions;
  while (const std::size_t count = ring_->Drain(completions)) {
    for (std::size_t i = 0; i < count; ++i) {
      const Request& request = requests_[completions[i].user_data];
      if (slots_[request.slot].phase == Phase::kOpening &&
          completions[i].result >= 0) {
        ::close(completions[i].result);
      }
    }
  }
}

void FileUringQueue::RegisterMemory(std::span<std::byte> memory) {
  if (way_ != Way::kDirect || memory.empty()) {
    return;
  }
  const core::Status status = ring_->RegisterBuffers(memory);
  engine_ = status.ok() ? "uring, registered buffers"
                        : fmt::format("uring, buffers not registered: {}",
                                      status.message());
}

core::Result<std::size_t> FileUringQueue::DoSubmit(
    std::span<const ReadOp> ops) {
  STOKER_TRY(broken_);
  for (const ReadOp& op : ops) {
    const auto slot = static_cast<std::uint32_t>(op.tag);
    STOKER_CHECK(slots_[slot].phase == Phase::kFree);
    slots_[slot].read.Begin(op, block_bytes_);
    Start(slot);
  }
  Issue();
  broken_ = ring_->Submit();
  STOKER_TRY(broken_);
  return ops.size();
}

void FileUringQueue::Start(std::uint32_t slot) {
  OpenFile& file = FileOf(slot);
  if (file.handle(way_).fd.load(std::memory_order_acquire) < 0) {
    StartOpen(slot);
  } else {
    Proceed(slot, file);
  }
}

// One open per file, however many ops ask for it at once.
void FileUringQueue::StartOpen(std::uint32_t slot) {
  Slot& self = slots_[slot];
  for (Slot& other : slots_) {
    if (other.phase == Phase::kOpening &&
        other.read.op().object == self.read.op().object) {
      self.phase = Phase::kAwaitsOpen;
      self.next_waiting = std::exchange(other.next_waiting, slot);
      return;
    }
  }
  self.phase = Phase::kOpening;
  self.next_waiting = kNone;
  opens_.Push(slot);
}

void FileUringQueue::Proceed(std::uint32_t slot, OpenFile& file) {
  const ReadOp& op = slots_[slot].read.op();
  if (op.kind == ReadOp::Kind::kSize) {
    Answer(slot, {.tag = op.tag,
                  .bytes = file.handle(way_).size,
                  .version = file.handle(way_).version});
    return;
  }
  slots_[slot].phase = Phase::kReading;
  slots_[slot].queued = true;
  reads_.Push(slot);
}

void FileUringQueue::Issue() {
  while (!free_requests_.empty() && !opens_.empty()) {
    IssueOpen();
  }
  while (!free_requests_.empty() && !reads_.empty()) {
    IssueBlock();
  }
}

std::uint32_t FileUringQueue::TakeRequest(std::uint32_t slot) {
  const std::uint32_t request = free_requests_.back();
  free_requests_.pop_back();
  requests_[request].slot = slot;
  requests_[request].got = 0;
  return request;
}

void FileUringQueue::IssueOpen() {
  const std::uint32_t slot = opens_.front();
  opens_.Pop();
  ring_->PrepareOpen(FileOf(slot).path.c_str(), OpenFlags(way_),
                     TakeRequest(slot));
}

void FileUringQueue::IssueBlock() {
  const std::uint32_t slot = reads_.front();
  SplitRead& read = slots_[slot].read;
  if (read.HasNext()) {
    const std::uint32_t request = TakeRequest(slot);
    requests_[request].block = read.Next();
    Read(request, FileOf(slot));
    if (!read.HasNext()) {
      DequeueRead();
    }
    return;
  }
  // A block failed, or met the end, while others were yet to come.
  DequeueRead();
  if (read.finished()) {
    Answer(slot, read.Take());
  }
}

void FileUringQueue::DequeueRead() {
  slots_[reads_.front()].queued = false;
  reads_.Pop();
}

void FileUringQueue::Read(std::uint32_t request, OpenFile& file) {
  const Request& self = requests_[request];
  ring_->PrepareRead(file.handle(way_).fd.load(std::memory_order_relaxed),
                     self.block.buffer.subspan(self.got),
                     self.block.offset + self.got, request);
}

void FileUringQueue::Completed(std::uint32_t request, std::int32_t result) {
  const std::uint32_t slot = requests_[request].slot;
  if (slots_[slot].phase == Phase::kOpening) {
    free_requests_.push_back(request);
    OpenCompleted(slot, result);
  } else {
    ReadCompleted(request, result);
  }
}

void FileUringQueue::OpenCompleted(std::uint32_t slot, std::int32_t result) {
  OpenFile& file = FileOf(slot);
  const core::Status status = result < 0 ? OpenError(file, way_, -result)
                                         : files_.Adopt(file, way_, result);
  while (slot != kNone) {
    const std::uint32_t next = std::exchange(slots_[slot].next_waiting, kNone);
    if (status.ok()) {
      Proceed(slot, file);
    } else {
      Answer(slot, {.tag = slot, .status = status});
    }
    slot = next;
  }
}

void FileUringQueue::ReadCompleted(std::uint32_t request, std::int32_t result) {
  Request& self = requests_[request];
  OpenFile& file = FileOf(self.slot);
  if (result == -EINTR || result == -EAGAIN) {
    Read(request, file);
    return;
  }
  if (result < 0) {
    EndBlock(request,
             ReadError(file, way_, self.block.offset + self.got, -result));
    return;
  }
  self.got += static_cast<std::uint64_t>(result);
  if (result == 0 || IsWhole(self.block, self.got, file.handle(way_).size,
                             limits().offset_align)) {
    EndBlock(request, {});
  } else {
    Read(request, file);
  }
}

void FileUringQueue::EndBlock(std::uint32_t request, core::Status status) {
  const Request& self = requests_[request];
  Slot& slot = slots_[self.slot];
  slot.read.Ended(self.block, self.got, std::move(status));
  free_requests_.push_back(request);
  if (slot.read.finished() && !slot.queued) {
    Answer(self.slot, slot.read.Take());
  }
}

void FileUringQueue::Answer(std::uint32_t slot, ReadDone done) {
  slots_[slot].phase = Phase::kFree;
  done_.Push(std::move(done));
}

core::Status FileUringQueue::TakeCompletions() {
  std::array<UringRing::Completion, 64> completions;
  std::size_t count = 0;
  do {
    count = ring_->Take(completions);
    for (std::size_t i = 0; i < count; ++i) {
      Completed(static_cast<std::uint32_t>(completions[i].user_data),
                completions[i].result);
    }
    Issue();
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
