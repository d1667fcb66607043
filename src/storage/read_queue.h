#pragma once

// The one way bytes are read: submit a batch, reap completions.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/status.h"
#include "storage/latencies.h"

namespace stoker::storage {

// Names an object for a while; the value is recycled after Backend::Release.
enum class ObjectId : std::uint32_t {};

// One contiguous read, or a question for the object's size. `buffer` stays with
// the queue until the op is reaped.
struct ReadOp {
  enum class Kind : std::uint8_t { kRead, kSize } kind = Kind::kRead;
  ObjectId object{};
  std::uint64_t offset = 0;       // bytes from the object's start
  std::span<std::byte> buffer{};  // size() is the number of bytes wanted
  std::uint64_t tag = 0;          // handed back untouched
};

struct ReadDone {
  std::uint64_t tag = 0;
  core::Status status{};    // this op's own outcome
  std::uint64_t bytes = 0;  // read (short only at the end), or the size asked
  core::TimePoint submitted{};
  core::TimePoint finished{};
  // When the first byte of the answer arrived; the epoch where a back end
  // cannot tell.
  core::TimePoint first_byte{};
  // Of `bytes` of a kRead: what a cache had on its device, and what was in
  // memory that is not the page cache's. The store behind delivered the rest.
  std::uint64_t from_cache = 0;
  std::uint64_t from_memory = 0;
  // Of a kSize: changes when the object does; 0 where a back end cannot tell.
  std::uint64_t version = 0;
  ReadOp::Kind kind = ReadOp::Kind::kRead;
  // Only with QueueOptions::gives_up_buffers: a device that was asked first has
  // not answered, and may still write to the op's buffer: the same bytes until
  // the queue's end, whatever it likes afterwards. The memory must not be used
  // for anything else, or freed, until the process ends (core/abandon.h). The
  // same goes for buffers of ops in flight at the queue's end.
  bool buffer_held = false;
};

// What a caller must respect. A read may reach beyond the object's end.
struct ReadLimits {
  std::uint32_t offset_align = 1;  // bytes, a power of two; lengths as well
  std::uint32_t buffer_align = 1;  // bytes, a power of two
  std::uint32_t preferred_unit = 4096;  // bytes (st_blksize where there is one)
  std::size_t capacity = 1;             // ops in flight at most
  // False: reads answer at once with whatever the buffer held before (null);
  // nothing of the content may be looked at.
  bool real_data = true;
};

// Counted and timed once, here, for every back end.
struct ReadCounters {
  std::uint64_t reads = 0;  // kRead ops finished, errors included
  std::uint64_t size_queries = 0;
  std::uint64_t bytes = 0;  // delivered
  std::uint64_t errors = 0;
  std::uint64_t bytes_from_cache = 0;  // of these, as in ReadDone
  std::uint64_t bytes_from_memory = 0;
  core::Nanos latency_sum{};  // of kRead ops
  core::Nanos latency_max{};
};

// Sees every op as it is reaped; for tests and traces.
class ReadObserver {
 public:
  virtual ~ReadObserver() = default;
  // `op_offset` and `wanted` as submitted (0 for kSize).
  virtual void OnRead(ObjectId object, std::uint64_t op_offset,
                      std::uint64_t wanted, const ReadDone& done) = 0;
};

// Belongs to one thread, but for Wake(). Counts and stamps every op here, once.
// The destructor of an implementation waits for what is in flight.
class ReadQueue {
 public:
  virtual ~ReadQueue() = default;
  ReadQueue(const ReadQueue&) = delete;
  ReadQueue& operator=(const ReadQueue&) = delete;

  // Takes ops from the front while there is room; returns how many it took
  // (0: full, reap first). kInvalidArgument: an op breaks limits(); none taken.
  core::Result<std::size_t> Submit(std::span<const ReadOp> ops);
  // Fills `done` from the front and returns the count. Waits until `at_least`
  // ops finished, all in flight did, `deadline` passed (a mount that hangs must
  // not hang the run) or Wake() was called. An error means the queue itself is
  // unusable; a failed read is reported in its ReadDone.
  core::Result<std::size_t> Reap(std::span<ReadDone> done, std::size_t at_least,
                                 core::TimePoint deadline);
  virtual void Wake() = 0;  // from any thread: ends a Reap, now or the next
  // Says where most buffers of the ops to come lie, so that what a queue can do
  // once per buffer is not done per op; engine() tells what came of it. Once at
  // most, before the first op; `memory` outlives the queue. Nothing to do for
  // queues that gain nothing.
  virtual void RegisterMemory(std::span<std::byte> /*memory*/) {}

  std::size_t in_flight() const { return in_flight_; }
  const ReadLimits& limits() const { return limits_; }
  const ReadCounters& counters() const { return counters_; }
  // Latencies of the ops reaped without an error since the last call, or since
  // the queue was made. Of a queue whose ops finish while they are submitted
  // there are none.
  Latencies TakeLatencies() { return std::exchange(latencies_, {}); }
  // How this queue does its work, for the report: "uring", "threads", "mapped"
  // or "", and behind it what is special: "uring, registered buffers",
  // "threads (<why not uring>)".
  virtual std::string_view engine() const { return ""; }
  // Null to stop. The observer must outlive its use.
  void set_observer(ReadObserver* observer) { observer_ = observer; }

 protected:
  // When ops finish. kAtOnce: while they are submitted, in no time worth a look
  // at the clock; kLater: at a time of their own.
  enum class Finishes : std::uint8_t { kLater, kAtOnce };
  ReadQueue(ReadLimits limits, core::Clock& clock,
            Finishes finishes = Finishes::kLater);
  core::Clock& clock() { return clock_; }

 private:
  // `ops` is never empty, obeys limits() and fits the free capacity. Ops carry
  // a slot number below limits().capacity as their tag. kRead ops may have an
  // empty buffer.
  virtual core::Result<std::size_t> DoSubmit(std::span<const ReadOp> ops) = 0;
  // Sets all of tag, status, bytes, first_byte, from_cache, from_memory and
  // version of each (`done` holds leftovers of earlier calls); the base class
  // adds the rest. `at_least` is at
  // most in_flight() and done.size(); at least one op is in flight.
  virtual core::Result<std::size_t> DoReap(std::span<ReadDone> done,
                                           std::size_t at_least,
                                           core::TimePoint deadline) = 0;

  struct Slot {
    ReadOp op;
    core::TimePoint submitted{};
    bool busy = false;
  };

  core::Status CheckAligned(std::span<const ReadOp> ops) const;
  void Finish(ReadDone& done, core::TimePoint now);
  void AddLatency(const ReadOp& op, const ReadDone& done);

  ReadLimits limits_;
  core::Clock& clock_;
  const bool finishes_at_once_;
  ReadCounters counters_;
  Latencies latencies_;
  ReadObserver* observer_ = nullptr;
  std::size_t in_flight_ = 0;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<ReadOp> batch_;  // ops with slot numbers for tags
};

}  // namespace stoker::storage
