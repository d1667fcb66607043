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
// and the buffer's address are multiples of 4096. Of ops in flight at once that
// share bytes of the device, of which one writes, any may come first, block by
// block.
struct BlockOp {
  enum class Kind : std::uint8_t { kRead, kWrite } kind = Kind::kRead;
  std::uint64_t offset = 0;       // bytes from the device's start
  std::span<std::byte> buffer{};  // read into, or written from
  std::uint64_t tag = 0;          // handed back untouched
};

// A short transfer is gone on with; what cannot be completed is an error, and
// says operation, bytes, offset, file and reason: "write 1 MiB at 5 GiB of
// /nvme/slots.0: No space left on device". kInvalidArgument: not as BlockOp
// says, or beyond the device's end; nothing was transferred. Else as
// Status::FromErrno, with an unknown part transferred.
struct BlockDone {
  std::uint64_t tag = 0;
  core::Status status{};
};

// As deep as a block queue may be made: what an io_uring takes.
inline constexpr std::size_t kDeepestBlockQueue = 32'766;

// Belongs to one thread, but for Wake. The destructor waits for what is in
// flight, and drops the outcomes. Allocates at construction only, errors
// excepted.
class BlockQueue {
 public:
  BlockQueue() = default;
  virtual ~BlockQueue() = default;
  BlockQueue(const BlockQueue&) = delete;
  BlockQueue& operator=(const BlockQueue&) = delete;

  // Ops in flight at most: from Submit until they are reaped.
  virtual std::size_t capacity() const = 0;
  virtual std::size_t in_flight() const = 0;
  // Takes from the front while there is room; returns how many (0: full). An
  // error: the queue is unusable.
  virtual core::Result<std::size_t> Submit(std::span<const BlockOp> ops) = 0;
  // Fills `done` from the front and returns the count. Waits until `at_least`
  // ops finished (or as many as `done` holds), `deadline` passed or Wake() was
  // called; unlike ReadQueue::Reap also with fewer in flight, or none. An error
  // means the queue itself is unusable.
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
  // `depth`: ops in flight at most, 1 to 32,766, else kInvalidArgument.
  // kIoError or kUnavailable where the kernel runs out of what a queue needs.
  // Deadlines of queues on files are waited for in real time, which a virtual
  // clock does not notice; those of a device in memory on `clock`. It outlives
  // the queue.
  virtual core::Result<std::unique_ptr<BlockQueue>> NewQueue(
      std::size_t depth, core::Clock& clock) = 0;
  // Writes reaped before the call are on stable storage when this returns
  // (fdatasync). Errors as Status::FromErrno, with the file.
  virtual core::Status Flush() = 0;
};

enum class BlockEngine : std::uint8_t { kAuto, kUring, kThreads };

// Opens existing files of at most `file_bytes` each (a multiple of 4096) as one
// device: byte i of it is byte i % file_bytes of file i / file_bytes. Where a
// file is shorter, and not the last, there is a hole in the device that must
// not be touched. O_DIRECT where every file has it. kNotFound,
// kPermission, kInvalidArgument (no file, or a size that does not fit),
// kUnsupported (kUring, and the kernel refuses it), else kIoError. The engine
// kAuto is io_uring, or threads where the kernel refuses it, and engine() says
// why.
core::Result<std::unique_ptr<BlockDevice>> OpenBlockFiles(
    std::span<const std::string> paths, std::uint64_t file_bytes,
    BlockEngine engine);

// A device of zeros in memory, for tests: ops finish as they are submitted.
// `bytes`: a multiple of 4096 above 0. Takes memory as it is written to; ends
// the program if there is not so much.
std::unique_ptr<BlockDevice> MakeMemoryDevice(std::uint64_t bytes);

}  // namespace stoker::storage
