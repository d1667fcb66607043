#pragma once

// Drives lanes over one ReadQueue: a lane visits files and does what the
// format's reader program asks for; a Schedule decides which.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/clock.h"
#include "core/status.h"
#include "emulator/internal/sidecar_program.h"
#include "emulator/loader.h"
#include "formats/format.h"
#include "metrics/run_record.h"
#include "storage/read_queue.h"

namespace stoker::emulator::internal {

// One file to read, and the sample wanted of it (formats that stream their
// samples deliver all).
struct Visit {
  static constexpr std::uint32_t kNoSidecar = UINT32_MAX;
  std::uint64_t file = 0;  // index in the set
  std::uint32_t sample = 0;
  // Not the file but the one beside it, by index into Format::sidecars().
  std::uint32_t sidecar = kNoSidecar;
};

// One sample that is whole.
struct Arrival {
  std::size_t lane = 0;
  std::uint64_t file = 0;
  std::uint32_t sample = 0;
  std::uint64_t bytes = 0;
};

// What a lane does after a sample.
struct AfterSample {
  enum class Kind : std::uint8_t {
    kGoOn,
    kPauseUntil,  // busy with the sample until `until`
    kBlock,       // until MayResume
  } kind = Kind::kGoOn;
  core::TimePoint until{};
};

// Told and asked by pumps, by one thread at a time. Calls about a lane come
// from the lane's pump.
class Schedule {
 public:
  virtual ~Schedule() = default;
  // The next visit of an idle lane; false: nothing to do now.
  virtual bool NextVisit(std::size_t lane, Visit& visit) = 0;
  virtual AfterSample OnSample(const Arrival& arrival) = 0;
  // The pause of OnSample's answer is over.
  virtual void OnPauseEnd(std::size_t lane) = 0;
  virtual bool MayResume(std::size_t lane) = 0;
  // All of the file has been read; `samples` arrived of it.
  virtual core::Status OnFileDone(std::size_t lane, const Visit& visit,
                                  std::uint32_t samples) = 0;
  // Does what is due, and looks at what the consumer did since.
  virtual void Update() = 0;
  // When Update must be called at the latest.
  virtual core::TimePoint NextDue() const = 0;
  // Grows when a lane that stands still may go on through what another lane
  // did. From any thread.
  virtual std::uint64_t stirred() const { return 0; }
};

// Not thread-safe: one thread makes it, then one thread (its pump thread)
// calls the rest, but for Wake and checking.
class Pump {
 public:
  static core::Result<std::unique_ptr<Pump>> Make(std::size_t lanes,
                                                  const LoaderData& data,
                                                  const LoaderOptions& options,
                                                  core::Clock& clock);
  ~Pump();
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  // Advances every lane that can and submits what they ask for. `look`: the
  // consumer did something, so that lanes which stand still may go on; lanes
  // that were stirred are looked at anyway. False when nothing is in flight
  // afterwards (the caller then waits for its consumer).
  core::Result<bool> Advance(Schedule& schedule, bool look);
  // Waits until something comes back, a lane's pause ends, `deadline`, or Wake,
  // and feeds it to the lanes.
  core::Status Collect(Schedule& schedule, core::TimePoint deadline);
  // Earliest end of a lane's pause, kNever without one.
  core::TimePoint next_pause_end() const { return next_pause_end_; }
  // The time as last seen.
  core::TimePoint now() const { return now_; }
  // Waits for what is in flight and makes every lane idle. The counters then
  // hold the epoch. Once `hurry` is set it waits no longer than a second: what
  // has not come back by then is given up (kCancelled).
  core::Status Quiesce(const std::atomic<bool>& hurry);
  // Counters since the last call.
  metrics::LoaderCounters TakeCounters();
  // From any thread: ends the wait of a Collect.
  void Wake() { queue_->Wake(); }
  // CPU time since Make that went into looking at what arrived. From any
  // thread.
  core::Nanos checking() const {
    return core::Nanos(checking_.load(std::memory_order_relaxed));
  }

  std::uint64_t buffer_bytes() const { return buffers_.size(); }
  std::string_view engine() const { return queue_->engine(); }

 private:
  enum class LaneState : std::uint8_t {
    kIdle,
    kAsking,   // `op` waits to be submitted
    kReading,  // in flight
    kPaused,   // until `until`
    kBlocked,  // until the schedule lets it resume
  };
  struct Lane {
    LaneState state = LaneState::kIdle;
    std::unique_ptr<formats::ReaderProgram> program;  // of data files
    formats::ReaderProgram* active = nullptr;         // of this visit
    // Of the last request, from when it is submitted until the program asks
    // again; empty else.
    std::span<std::byte> buffer;
    // For the next one, where this one must not be used again.
    std::span<std::byte> replacement;
    std::string name;
    storage::ObjectId object{};
    Visit visit;
    std::uint64_t expected_bytes = 0;  // of each sample
    std::uint64_t stored_bytes = 0;    // of each sample as it lies in the file
    std::uint32_t samples = 0;         // arrived of this visit
    std::uint64_t unclaimed = 0;       // bytes read and in no sample yet
    storage::ReadOp op;
    // The program's bytes within those of `op`, which is rounded out to the
    // queue's alignment.
    std::uint64_t skip = 0;
    std::uint64_t wanted = 0;
    std::size_t length = 0;  // of `op`
    core::TimePoint submitted{};
    core::TimePoint until{};
  };

  Pump(const LoaderData& data, const LoaderOptions& options,
       core::Clock& clock);

  core::Status LookAround(Schedule& schedule);
  core::Status AdvanceLane(std::size_t lane, Schedule& schedule);
  // Visits as long as there is something to do without waiting.
  core::Status TryVisit(std::size_t lane, Schedule& schedule);
  void BeginVisit(Lane& lane, const Visit& visit);
  // True: the file is done and the lane idle; it may visit the next one.
  core::Result<bool> Feed(std::size_t lane, Schedule& schedule,
                          formats::ReaderProgram::Event event);
  core::Result<bool> FeedOn(std::size_t lane, Schedule& schedule,
                            formats::ReaderProgram::Event event);
  void Ask(Lane& lane, const formats::ReaderProgram::Next& next);
  // True: go on feeding kResume.
  bool TakeSample(std::size_t lane, Schedule& schedule,
                  const formats::ReaderProgram::Next& next);
  // Some of what is asked for; the rest when Collect has looked at what came
  // of it.
  core::Status SubmitAsked();
  std::size_t SubmitCount() const;
  void LendBuffer(Lane& lane);
  void ReturnBuffer(Lane& lane);
  core::Status HandleDone(Schedule& schedule, const storage::ReadDone& done);
  core::Status NoteDone(const storage::ReadDone& done);
  core::Status CheckOverdue();
  void EndVisit(Lane& lane);

  LoaderData data_;
  LoaderOptions options_;
  core::Clock& clock_;
  core::AlignedBuffer buffers_;
  std::vector<core::AlignedBuffer> more_buffers_;  // one each, instead of those
  bool any_held_ = false;  // storage may still write to a buffer given up
                           // that a device holds
  std::uint64_t buffer_each_ = 0;
  // The last one returned, whose bytes are in the nearest cache, goes first.
  std::vector<std::span<std::byte>> free_buffers_;
  std::vector<Lane> lanes_;
  std::vector<SidecarProgram> sidecars_;  // of each lane; empty: not read
  std::vector<storage::ReadOp> asked_;    // not yet taken by the queue
  bool more_to_submit_ = false;           // which the queue has room for
  std::vector<storage::ReadDone> done_;
  metrics::LoaderCounters counters_;
  storage::ReadCounters reads_before_;
  std::atomic<core::Nanos::rep> checking_{0};
  core::Nanos checking_before_{};
  core::Nanos latency_max_{};  // since the last TakeCounters
  core::TimePoint now_{};
  core::TimePoint next_pause_end_ = core::kNever;
  core::TimePoint next_overdue_check_{};
  std::uint64_t stirred_ = 0;  // as last looked at
  bool timed_ = false;         // there is something to look at in what arrives
  std::uint64_t feeds_ = 0;    // that may be timed
  bool hung_ = false;          // an op never came back: its memory must stay
  std::unique_ptr<storage::ReadQueue> queue_;  // ends before the buffers
};

}  // namespace stoker::emulator::internal
