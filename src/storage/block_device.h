#pragma once

// A file that is read and written in place, many blocks at a time, past the
// page cache where the file system allows: what a cache keeps its slots in.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/status.h"

namespace stoker::storage {

// `buffer` stays with the queue until the op is reaped. offset, buffer.size()
// and the buffer's address are multiples of 4096.
struct BlockOp {
  enum class Kind : std::uint8_t { kRead, kWrite } kind = Kind::kRead;
  std::uint64_t offset = 0;       // bytes from the device's start
  std::span<std::byte> buffer{};  // read into, or written from
  std::uint64_t tag = 0;          // handed back untouched
};

// A short transfer is gone on with; what cannot be completed is an error.
struct BlockDone {
  std::uint64_t tag = 0;
  core::Status status{};
};

// Belongs to one thread, but for Wake. The destructor waits for what is in
// flight.
class BlockQueue {
 public:
  BlockQueue() = default;
  virtual ~BlockQueue() = default;
  BlockQueue(const BlockQueue&) = delete;
  BlockQueue& operator=(const BlockQueue&) = delete;

  // Ops in flight at most.
  virtual std::size_t capacity() const = 0;
  virtual std::size_t in_flight() const = 0;
  // Takes from the front while there is room; returns how many (0: full). An
  // error: the queue is unusable.
  virtual core::Result<std::size_t> Submit(std::span<const BlockOp> ops) = 0;
  // As ReadQueue::Reap, but waits for a deadline or a Wake() even with nothing
  // in flight.
  virtual core::Result<std::size_t> Reap(std::span<BlockDone> done,
                                         std::size_t at_least,
                                         core::TimePoint deadline) = 0;
  virtual void Wake() = 0;  // from any thread: ends a Reap, now or the next
  // As ReadQueue::RegisterMemory and ReadQueue::engine.
  virtual void RegisterMemory(std::span<std::byte> /*memory*/) {}
  virtual std::string_view engine() const { return ""; }
};

// Safe for concurrent use; its queues are not. Outlives them.
class BlockDevice {
 public:
  BlockDevice() = default;
  virtual ~BlockDevice() = default;
  BlockDevice(const BlockDevice&) = delete;
  BlockDevice& operator=(const BlockDevice&) = delete;

  virtual std::uint64_t size() const = 0;  // bytes
  // False where the page cache or memory answers (tmpfs, mem).
  virtual bool direct() const = 0;
  virtual core::Result<std::unique_ptr<BlockQueue>> NewQueue(
      std::size_t depth, core::Clock& clock) = 0;
  // What was written is on stable storage when this returns (fdatasync).
  virtual core::Status Flush() = 0;
};

enum class BlockEngine : std::uint8_t { kAuto, kUring, kThreads };

// Opens existing files of equal size, `file_bytes` each (a multiple of 4096;
// the last may be shorter), as one device: byte i of it is byte i % file_bytes
// of file i / file_bytes. O_DIRECT where the file system has it. kNotFound,
// kPermission, kInvalidArgument (a size that does not fit). The engine kAuto is
// io_uring, or threads where the kernel refuses it, and engine() says why.
core::Result<std::unique_ptr<BlockDevice>> OpenBlockFiles(
    std::span<const std::string> paths, std::uint64_t file_bytes,
    BlockEngine engine);

// A device of zeros in memory, for tests: ops finish as they are submitted.
std::unique_ptr<BlockDevice> MakeMemoryDevice(std::uint64_t bytes);

}  // namespace stoker::storage
