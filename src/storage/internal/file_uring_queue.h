#pragma once

// Reads files through io_uring.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/internal/done_ring.h"
#include "storage/internal/open_files.h"
#include "storage/internal/slot_ring.h"
#include "storage/internal/split_read.h"
#include "storage/internal/uring_ring.h"
#include "storage/read_queue.h"

namespace stoker::storage::internal {

// Files are opened through the ring too, so that a slow open does not hold up
// other ops. Kernel I/O takes real time: deadlines of `clock` are turned into
// time left, and never moved by a virtual clock. Thread rule as UringRing.
class FileUringQueue final : public ReadQueue {
 public:
  // `way` is not kMapped. Errors as UringRing::Make. `files` outlives the
  // queue.
  static core::Result<std::unique_ptr<ReadQueue>> Make(OpenFiles& files,
                                                       Way way,
                                                       const ReadLimits& limits,
                                                       const ReadShape& shape,
                                                       core::Clock& clock);
  ~FileUringQueue() override;
  FileUringQueue(const FileUringQueue&) = delete;
  FileUringQueue& operator=(const FileUringQueue&) = delete;
  void Wake() override { ring_->Wake(); }
  // Only past the page cache: what the kernel copies out of it gains nothing.
  void RegisterMemory(std::span<std::byte> memory) override;
  std::string_view engine() const override { return engine_; }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  enum class Phase : std::uint8_t { kFree, kOpening, kAwaitsOpen, kReading };

  struct Slot {
    SplitRead read;
    Phase phase = Phase::kFree;
    bool queued = false;  // in reads_
    // The next op that waits for the same open.
    std::uint32_t next_waiting = kNone;
  };
  // What the kernel has: an open, or one block of a read.
  struct Request {
    std::uint32_t slot = kNone;
    ReadOp block;
    std::uint64_t got = 0;  // bytes of the block read so far
  };

  FileUringQueue(OpenFiles& files, Way way, const ReadLimits& limits,
                 const ReadShape& shape, core::Clock& clock,
                 std::unique_ptr<UringRing> ring);
  core::Result<std::size_t> DoSubmit(std::span<const ReadOp> ops) override;
  core::Result<std::size_t> DoReap(std::span<ReadDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) override;

  void Start(std::uint32_t slot);
  void StartOpen(std::uint32_t slot);
  void Proceed(std::uint32_t slot, OpenFile& file);
  // Hands the ring what waits, as far as the kernel may have more.
  void Issue();
  void IssueOpen();
  void IssueBlock();
  std::uint32_t TakeRequest(std::uint32_t slot);
  void DequeueRead();
  void Read(std::uint32_t request, OpenFile& file);
  core::Status TakeCompletions();
  void Completed(std::uint32_t request, std::int32_t result);
  void OpenCompleted(std::uint32_t slot, std::int32_t result);
  void ReadCompleted(std::uint32_t request, std::int32_t result);
  void EndBlock(std::uint32_t request, core::Status status);
  void Answer(std::uint32_t slot, ReadDone done);
  OpenFile& FileOf(std::uint32_t slot) {
    return files_.Get(slots_[slot].read.op().object);
  }

  OpenFiles& files_;
  const Way way_;
  const std::uint64_t block_bytes_;
  std::string engine_ = "uring";
  std::vector<Slot> slots_;  // by tag
  std::vector<Request> requests_;
  std::vector<std::uint32_t> free_requests_;
  SlotRing opens_;  // wait for a request; before the blocks of other reads
  SlotRing reads_;  // with blocks that wait for one
  DoneRing done_;
  core::Status broken_;  // the ring's first error
  std::unique_ptr<UringRing> ring_;
};

}  // namespace stoker::storage::internal
