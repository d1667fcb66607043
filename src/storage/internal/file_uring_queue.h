#pragma once

// Reads files through io_uring.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "storage/internal/done_ring.h"
#include "storage/internal/open_files.h"
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
                                                       core::Clock& clock);
  ~FileUringQueue() override;
  FileUringQueue(const FileUringQueue&) = delete;
  FileUringQueue& operator=(const FileUringQueue&) = delete;
  void Wake() override { ring_->Wake(); }
  std::string_view engine() const override { return "uring"; }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  enum class Phase : std::uint8_t { kFree, kOpening, kAwaitsOpen, kReading };

  struct Slot {
    ReadOp op;
    std::uint64_t got = 0;  // bytes read so far
    Phase phase = Phase::kFree;
    // The next op that waits for the same open.
    std::uint32_t next_waiting = kNone;
  };

  FileUringQueue(OpenFiles& files, Way way, const ReadLimits& limits,
                 core::Clock& clock, std::unique_ptr<UringRing> ring);
  core::Result<std::size_t> DoSubmit(std::span<const ReadOp> ops) override;
  core::Result<std::size_t> DoReap(std::span<ReadDone> done,
                                   std::size_t at_least,
                                   core::TimePoint deadline) override;

  void Start(std::uint32_t slot);
  void StartOpen(std::uint32_t slot, OpenFile& file);
  void Proceed(std::uint32_t slot, OpenFile& file);
  void Read(std::uint32_t slot, OpenFile& file);
  core::Status TakeCompletions();
  void OpenCompleted(std::uint32_t slot, std::int32_t result);
  void ReadCompleted(std::uint32_t slot, std::int32_t result);
  void Answer(std::uint32_t slot, core::Status status, std::uint64_t bytes);

  OpenFiles& files_;
  const Way way_;
  std::vector<Slot> slots_;  // by tag
  DoneRing done_;
  core::Status broken_;  // the ring's first error
  std::unique_ptr<UringRing> ring_;
};

}  // namespace stoker::storage::internal
