#pragma once

// A small io_uring: prepare, submit in one call, take completions, be woken.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "core/clock.h"
#include "core/status.h"

namespace stoker::storage::internal {

// May be made in one thread and used by another, but for one at a time, Wake()
// excepted: the kernel finishes operations in the thread that submitted them,
// whenever it enters the kernel. What a thread leaves in flight when it ends is
// cancelled. The destructor waits for all the kernel was given: in that thread,
// or after it has ended.
class UringRing {
 public:
  struct Completion {
    std::uint64_t user_data = 0;
    std::int32_t result = 0;  // bytes or a descriptor; negative: -errno
  };

  // `entries`: operations prepared or in flight at most, 1 to 32,766.
  // kUnsupported where the kernel has no io_uring, refuses it, or is older than
  // 5.11; kIoError if it runs out of memory.
  static core::Result<std::unique_ptr<UringRing>> Make(std::uint32_t entries);
  ~UringRing();
  UringRing(const UringRing&) = delete;
  UringRing& operator=(const UringRing&) = delete;

  // The kernel looks up the pages of `memory` once, now, and not for each read
  // into it or write from it; they stay where they are until the ring's end,
  // before which `memory` must not go. Once at most, with nothing in flight.
  // kUnsupported with the reason, worded to follow "not registered: ": reads
  // and writes then work as before.
  core::Status RegisterBuffers(std::span<std::byte> memory);
  // At most 1 GiB of `buffer` is read or written. `user_data` is not
  // UINT64_MAX.
  void PrepareRead(int fd, std::span<std::byte> buffer, std::uint64_t offset,
                   std::uint64_t user_data);
  void PrepareWrite(int fd, std::span<const std::byte> buffer,
                    std::uint64_t offset, std::uint64_t user_data);
  // Opens with the flags of open(2); the result is the descriptor. `path` ends
  // with a zero and stays valid until the completion.
  void PrepareOpen(const char* path, int flags, std::uint64_t user_data);
  // Hands all that is prepared to the kernel. An error: unusable from now on.
  core::Status Submit();
  // Fills `out` from the front with what has finished, without waiting.
  std::size_t Take(std::span<Completion> out);
  // Submits and waits until at least one operation finished, Wake() was called
  // or `longest` has passed (none: as long as it takes).
  core::Status Wait(std::optional<core::Nanos> longest);
  // Before the end: drops what was not submitted, waits for something in flight
  // and fills `out` from the front. 0: the kernel has nothing left.
  std::size_t Drain(std::span<Completion> out);
  // Whether Wake() was called since the last time this was asked. Seen at the
  // latest by the Take after a Wait.
  bool TakeWoken();
  void Wake();  // from any thread

 private:
  struct Impl;
  explicit UringRing(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Whether this process may use io_uring; the status says why not.
core::Status ProbeUring();

}  // namespace stoker::storage::internal
