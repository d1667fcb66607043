#pragma once

// One new object, written front to back.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/status.h"

namespace stoker::storage {

struct WriteOptions {
  std::uint64_t expected_size = 0;  // bytes; 0: unknown
  // Bytes of a part, a multiple of 4096: what is sent at once, and what is kept
  // back of the beginning. 0: as suits the back end.
  std::size_t part_size = 0;
  bool durable = false;   // Commit returns only once on stable storage
  bool in_place = false;  // overwrite under the final name, as the reference
  // Parts that may be on their way while the next is filled, 0 to 1024. 0: a
  // part is sent before Append returns; so it is, whatever is asked for, where
  // that takes no time (mem, null) and where one part holds expected_size. The
  // stream's memory is at most in_flight + 1 parts, and one more with `patch`.
  std::size_t in_flight = 0;
  // Whether the first part is kept back for Patch. false: Patch is refused.
  bool patch = true;
  // Names of objects without which this one must not be seen in the store: a
  // checkpoint's manifest is nothing without its files. For back ends that put
  // off what they were given.
  std::vector<std::string> after{};
};

// first: the first part was sent. last: the last one had been taken over by the
// back end. synced: the bytes were on stable storage (durable), else as `last`.
// committed: the object is visible under its name.
struct WriteTimes {
  core::TimePoint first, last, synced, committed;
};

struct WriteCounters {
  std::uint64_t parts = 0;  // sent to the back end
  std::uint64_t bytes = 0;
  core::Nanos busy{};  // the owner was inside the back end
  // With parts in flight, complete after Commit. idle: between the first part's
  // start and the last one's end no part was on its way. waited: the part of
  // `busy` in which the owner waited for a free part, or, in Commit, for those
  // on their way.
  core::Nanos idle{};
  core::Nanos waited{};
};

// Dropped without Commit it leaves no object under the name. Belongs to one
// thread, which takes part in the clock's time if parts are in flight.
// Non-virtual outside (counts, stamps), virtual inside, as ReadQueue.
// After an error every call returns that error; all that is left is to drop
// the stream, which waits for what is on its way. kInvalidArgument: a bad
// part_size or in_flight, more appended than the buffer holds, a patch outside
// the first part or none wanted, any use after Commit.
class WriteStream {
 public:
  virtual ~WriteStream() = default;
  WriteStream(const WriteStream&) = delete;
  WriteStream& operator=(const WriteStream&) = delete;

  // The unfilled rest of the current part, never empty; 4096-aligned at the
  // start of a part.
  core::Result<std::span<std::byte>> Buffer();
  // Its first `bytes` are final. A full part is sent; what fails on its way is
  // the next call's error. `bytes` at most Buffer().size().
  core::Status Append(std::size_t bytes);
  // Copies `data` through Buffer and Append.
  core::Status Write(std::span<const std::byte> data);
  // Changes bytes already appended; only within the first part, which is kept
  // back until Commit: that is where headers with checksums are.
  core::Status Patch(std::uint64_t offset, std::span<const std::byte> bytes);
  // Sends what was appended to the current part as it is; nothing to do where
  // that is nothing, or where it is kept back for Patch. The next part starts
  // at position(), in a whole buffer, so that offsets of later parts are no
  // longer multiples of 4096.
  core::Status Cut();
  // Makes the object whole and visible under its name.
  core::Result<WriteTimes> Commit();

  std::uint64_t position() const { return position_; }  // bytes appended
  const WriteCounters& counters() const { return counters_; }

 protected:
  WriteStream(const WriteOptions& options, core::Clock& clock);
  core::Clock& clock() { return clock_; }
  const WriteOptions& options() const { return options_; }
  // Whether the part at `offset` comes last, for Patch.
  bool IsKeptBack(std::uint64_t offset) const {
    return options_.patch && offset == 0;
  }
  // By DoCommit, where parts were in flight.
  void CountFlight(core::Nanos idle, core::Nanos waited) {
    counters_.idle = idle;
    counters_.waited = waited;
  }

 private:
  // Memory for the part that starts at `offset`, 4096-aligned: exactly
  // options().part_size bytes, or any multiple of 4096 where that is 0 (the
  // first part then holds 65,536 bytes or more, for what is patched). Memory of
  // a part that is kept back stays valid until DoCommit.
  virtual core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) = 0;
  // The part at `offset` is final. One that is kept back comes last, just
  // before DoCommit. May keep using `part` until a DoBuffer gives its memory
  // out again, or DoCommit returns.
  virtual core::Status DoSend(std::uint64_t offset,
                              std::span<const std::byte> part) = 0;
  // Everything was sent. Waits for what is on its way (then stamping
  // `times.last`), syncs if durable (stamping `times.synced`), then makes the
  // object visible.
  virtual core::Status DoCommit(std::uint64_t size, WriteTimes& times) = 0;

  core::Status CheckUsable() const;
  core::Status NextPart();
  core::Status Send(std::uint64_t offset, std::span<const std::byte> part);

  WriteOptions options_;
  core::Clock& clock_;
  WriteCounters counters_;
  WriteTimes times_;
  std::uint64_t position_ = 0;
  std::uint64_t part_start_ = 0;
  std::span<std::byte> part_;        // current part, whole
  std::span<std::byte> first_part_;  // appended bytes of the first part
  bool committed_ = false;
  core::Status failed_;  // the first error
};

}  // namespace stoker::storage
