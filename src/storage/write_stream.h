#pragma once

// One new object, written front to back.

#include <cstddef>
#include <cstdint>
#include <span>

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
};

// first: the first part was asked for. last: the last part was handed over.
// synced: the bytes were on stable storage (durable), else as `last`.
// committed: the object is visible under its name.
struct WriteTimes {
  core::TimePoint first, last, synced, committed;
};

struct WriteCounters {
  std::uint64_t parts = 0;  // sent to the back end
  std::uint64_t bytes = 0;
  core::Nanos busy{};  // inside the back end
};

// Dropped without Commit it leaves no object under the name. Belongs to one
// thread. Non-virtual outside (counts, stamps), virtual inside, as ReadQueue.
// After an error every call returns that error; all that is left is to drop
// the stream. kInvalidArgument: a bad part_size, more appended than the buffer
// holds, a patch outside the first part, any use after Commit.
class WriteStream {
 public:
  virtual ~WriteStream() = default;
  WriteStream(const WriteStream&) = delete;
  WriteStream& operator=(const WriteStream&) = delete;

  // The unfilled rest of the current part, never empty; 4096-aligned at the
  // start of a part.
  core::Result<std::span<std::byte>> Buffer();
  // Its first `bytes` are final. A full part is sent; a late error comes from
  // the next call. `bytes` at most Buffer().size().
  core::Status Append(std::size_t bytes);
  // Copies `data` through Buffer and Append.
  core::Status Write(std::span<const std::byte> data);
  // Changes bytes already appended; only within the first part, which is kept
  // back until Commit: that is where headers with checksums are.
  core::Status Patch(std::uint64_t offset, std::span<const std::byte> bytes);
  // Makes the object whole and visible under its name.
  core::Result<WriteTimes> Commit();

  std::uint64_t position() const { return position_; }  // bytes appended
  const WriteCounters& counters() const { return counters_; }

 protected:
  WriteStream(const WriteOptions& options, core::Clock& clock);
  core::Clock& clock() { return clock_; }
  const WriteOptions& options() const { return options_; }

 private:
  // Memory for the part that starts at `offset`, 4096-aligned: exactly
  // options().part_size bytes, or any multiple of 4096 where that is 0 (the
  // first part then holds 65,536 bytes or more, for what is patched). The first
  // part's memory stays valid until DoCommit.
  virtual core::Result<std::span<std::byte>> DoBuffer(std::uint64_t offset) = 0;
  // The part at `offset` is final; the first part comes last, just before
  // DoCommit. May keep using `part` until the next DoBuffer.
  virtual core::Status DoSend(std::uint64_t offset,
                              std::span<const std::byte> part) = 0;
  // Everything was sent. Syncs if durable (stamping `times.synced`), then makes
  // the object visible.
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
