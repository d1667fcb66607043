#include "emulator/internal/pump.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/abandon.h"
#include "core/check.h"
#include "core/cpu_time.h"
#include "core/units.h"
#include "emulator/internal/loader_model.h"

namespace stoker::emulator::internal {

using formats::ReaderProgram;

namespace {

// One look at what arrived in so many is timed and stands for all: two system
// calls would cost more than looking at a small one. Odd, as requests of a
// reader may alternate between two sizes.
constexpr std::uint64_t kFeedsPerTimed = 5;

// Requests are submitted in groups of at least so many bytes. What the page
// cache holds is copied in the call that submits: of a larger group the first
// bytes would have left the processor's cache before they are looked at.
constexpr std::uint64_t kGroupBytes = std::uint64_t{256} << 10U;

// How long storage may take once nobody wants its answers any more.
constexpr core::Nanos kPatience = std::chrono::seconds(1);

}  // namespace

Pump::Pump(const LoaderData& data, const LoaderOptions& options,
           core::Clock& clock)
    : data_(data), options_(options), clock_(clock) {}

core::Result<std::unique_ptr<Pump>> Pump::Make(std::size_t lanes,
                                               const LoaderData& data,
                                               const LoaderOptions& options,
                                               core::Clock& clock) {
  std::unique_ptr<Pump> pump(new Pump(data, options, clock));
  STOKER_ASSIGN(pump->queue_,
                data.backend->NewReadQueue({.depth = lanes,
                                            .access = AccessOf(data, options),
                                            .gives_up_buffers = true},
                                           clock));
  const storage::ReadLimits& limits = pump->queue_->limits();
  pump->queue_->set_observer(options.observer);
  const std::uint64_t each = LaneBufferBytes(data, options, limits);
  STOKER_ASSIGN(pump->buffers_, core::AlignedBuffer::Make(lanes * each,
                                                          /*resident=*/true));
  pump->queue_->RegisterMemory(pump->buffers_.bytes());
  pump->timed_ = limits.real_data;
  pump->buffer_each_ = each;
  pump->free_buffers_.reserve(lanes);
  pump->lanes_.resize(lanes);
  pump->asked_.reserve(lanes);
  pump->done_.resize(lanes);
  pump->sidecars_.reserve(lanes);
  for (std::size_t i = 0; i < lanes; ++i) {
    Lane& lane = pump->lanes_[i];
    lane.program = data.format->NewReader(ReaderOptionsOf(options, limits));
    pump->free_buffers_.push_back(
        pump->buffers_.bytes().subspan(i * each, each));
    // Room to round out at both ends.
    const std::uint64_t room =
        limits.offset_align > 1 ? 2 * limits.offset_align : 0;
    const std::uint64_t request = each - std::min(each / 2, room);
    pump->sidecars_.emplace_back(*data.format, request, !limits.real_data);
  }
  return pump;
}

Pump::~Pump() {
  const bool held = any_held_ || (queue_ != nullptr && queue_->in_flight() > 0);
  if (!hung_) {
    queue_.reset();
  }
  if (hung_ || held) {
    // The kernel may still write into the buffers; neither may go, nor can the
    // end of a queue that hangs be waited for.
    struct Abandoned {
      std::unique_ptr<storage::ReadQueue> queue;
      core::AlignedBuffer buffers;
      std::vector<core::AlignedBuffer> more_buffers;
    };
    core::Abandon(std::make_shared<Abandoned>(Abandoned{
        std::move(queue_), std::move(buffers_), std::move(more_buffers_)}));
  }
}

core::Result<bool> Pump::Advance(Schedule& schedule, bool look) {
  const bool pausing = next_pause_end_ != core::kNever;
  if (look || pausing) {
    now_ = clock_.Now();
  }
  if (look || (pausing && now_ >= next_pause_end_) ||
      schedule.stirred() != stirred_) {
    STOKER_TRY(LookAround(schedule));
  }
  STOKER_TRY(SubmitAsked());
  return queue_->in_flight() > 0;
}

core::Status Pump::LookAround(Schedule& schedule) {
  // A lane that goes on may set another one free, so until all stand still.
  do {
    stirred_ = schedule.stirred();
    next_pause_end_ = core::kNever;
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      STOKER_TRY(AdvanceLane(i, schedule));
      if (lanes_[i].state == LaneState::kPaused) {
        next_pause_end_ = std::min(next_pause_end_, lanes_[i].until);
      }
    }
  } while (schedule.stirred() != stirred_);
  return {};
}

core::Status Pump::AdvanceLane(std::size_t index, Schedule& schedule) {
  Lane& lane = lanes_[index];
  const bool paused_enough =
      lane.state == LaneState::kPaused && now_ >= lane.until;
  if (paused_enough) {
    schedule.OnPauseEnd(index);
  }
  if (paused_enough ||
      (lane.state == LaneState::kBlocked && schedule.MayResume(index))) {
    STOKER_ASSIGN(
        const bool idle,
        Feed(index, schedule,
             {.kind = ReaderProgram::Event::Kind::kResume, .bytes = {}}));
    return idle ? TryVisit(index, schedule) : core::Status();
  }
  return lane.state == LaneState::kIdle ? TryVisit(index, schedule)
                                        : core::Status();
}

core::Status Pump::TryVisit(std::size_t index, Schedule& schedule) {
  Visit visit;
  while (schedule.NextVisit(index, visit)) {
    BeginVisit(lanes_[index], visit);
    STOKER_ASSIGN(
        const bool idle,
        Feed(index, schedule,
             {.kind = ReaderProgram::Event::Kind::kStart, .bytes = {}}));
    if (!idle) {
      break;
    }
  }
  return {};
}

void Pump::BeginVisit(Lane& lane, const Visit& visit) {
  lane.visit = visit;
  lane.samples = 0;
  lane.unclaimed = 0;
  lane.active = lane.program.get();
  dataset::ObjectName(data_.naming, visit.file, lane.name);
  if (visit.sidecar != Visit::kNoSidecar) {
    SidecarProgram& sidecar =
        sidecars_[static_cast<std::size_t>(&lane - lanes_.data())];
    sidecar.Choose(visit.sidecar);
    lane.active = &sidecar;
    lane.name += data_.format->sidecars()[visit.sidecar];
  }
  lane.object = data_.backend->Resolve(lane.name);
  ++counters_.files_opened;
  const formats::FileSpec spec = data_.SpecOf(visit.file);
  lane.expected_bytes = spec.sample_bytes();
  lane.stored_bytes = data_.format->streams_samples()
                          ? data_.format->FileBytes(spec) / spec.samples
                          : UINT64_MAX;
  lane.active->Reset(spec, visit.sample, lane.name);
}

core::Result<bool> Pump::Feed(std::size_t index, Schedule& schedule,
                              ReaderProgram::Event event) {
  if (!timed_ || event.kind == ReaderProgram::Event::Kind::kStart ||
      event.kind == ReaderProgram::Event::Kind::kSize ||
      ++feeds_ % kFeedsPerTimed != kFeedsPerTimed / 2) {
    return FeedOn(index, schedule, event);
  }
  const core::Nanos before = core::ThreadCpuTime();
  core::Result<bool> idle = FeedOn(index, schedule, event);
  const core::Nanos taken = core::ThreadCpuTime() - before;
  // Only this thread writes it.
  checking_.store(
      (checking() + static_cast<core::Nanos::rep>(kFeedsPerTimed) * taken)
          .count(),
      std::memory_order_relaxed);
  return idle;
}

core::Result<bool> Pump::FeedOn(std::size_t index, Schedule& schedule,
                                ReaderProgram::Event event) {
  Lane& lane = lanes_[index];
  while (true) {
    STOKER_ASSIGN(const ReaderProgram::Next next, lane.active->Step(event));
    switch (next.kind) {
      case ReaderProgram::Next::Kind::kSize:
      case ReaderProgram::Next::Kind::kRead:
        Ask(lane, next);
        return false;
      case ReaderProgram::Next::Kind::kSampleReady:
        if (!TakeSample(index, schedule, next)) {
          return false;
        }
        event = {.kind = ReaderProgram::Event::Kind::kResume, .bytes = {}};
        break;
      case ReaderProgram::Next::Kind::kFileDone: {
        const std::uint32_t samples = lane.samples;
        EndVisit(lane);
        STOKER_TRY(schedule.OnFileDone(index, lane.visit, samples)
                       .WithContext(lane.name));
        return true;
      }
    }
  }
}

void Pump::Ask(Lane& lane, const ReaderProgram::Next& next) {
  ReturnBuffer(lane);
  lane.length = 0;
  lane.op = {.object = lane.object,
             .tag = static_cast<std::uint64_t>(&lane - lanes_.data())};
  if (next.kind == ReaderProgram::Next::Kind::kSize) {
    lane.op.kind = storage::ReadOp::Kind::kSize;
  } else {
    // Rounded out to whole blocks where the queue wants them.
    const std::uint64_t align = queue_->limits().offset_align;
    lane.skip = next.offset & (align - 1);
    lane.wanted = next.length;
    lane.length = next.length == 0
                      ? 0
                      : (lane.skip + next.length + align - 1) & ~(align - 1);
    STOKER_CHECK(lane.length <= buffer_each_);
    lane.op.offset = next.offset - lane.skip;
  }
  lane.state = LaneState::kAsking;
  asked_.push_back(lane.op);
}

bool Pump::TakeSample(std::size_t index, Schedule& schedule,
                      const ReaderProgram::Next& next) {
  Lane& lane = lanes_[index];
  ++lane.samples;
  lane.unclaimed -= std::min(lane.unclaimed, lane.stored_bytes);
  if (next.payload != lane.expected_bytes) {
    ++counters_.unexpected_sizes;
  }
  const AfterSample after = schedule.OnSample({.lane = index,
                                               .file = lane.visit.file,
                                               .sample = next.sample,
                                               .bytes = next.payload});
  switch (after.kind) {
    case AfterSample::Kind::kGoOn:
      return true;
    case AfterSample::Kind::kPauseUntil:
      lane.state = LaneState::kPaused;
      lane.until = after.until;
      next_pause_end_ = std::min(next_pause_end_, after.until);
      return false;
    case AfterSample::Kind::kBlock:
      lane.state = LaneState::kBlocked;
      return false;
  }
  return true;
}

core::Status Pump::SubmitAsked() {
  more_to_submit_ = false;
  if (asked_.empty()) {
    return {};
  }
  const std::size_t count = SubmitCount();
  for (storage::ReadOp& op : std::span(asked_).first(count)) {
    Lane& lane = lanes_[op.tag];
    LendBuffer(lane);
    op.buffer = lane.op.buffer;
  }
  STOKER_ASSIGN(const std::size_t taken,
                queue_->Submit(std::span(asked_).first(count)));
  for (std::size_t i = 0; i < taken; ++i) {
    Lane& lane = lanes_[asked_[i].tag];
    lane.state = LaneState::kReading;
    lane.submitted = now_;
  }
  more_to_submit_ = taken == count && count < asked_.size();
  asked_.erase(asked_.begin(),
               asked_.begin() + static_cast<std::ptrdiff_t>(taken));
  return {};
}

std::size_t Pump::SubmitCount() const {
  if (!timed_) {
    return asked_.size();
  }
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  while (count < asked_.size() && bytes < kGroupBytes) {
    bytes += lanes_[asked_[count++].tag].length;
  }
  return count;
}

void Pump::LendBuffer(Lane& lane) {
  if (lane.length > 0 && lane.buffer.empty()) {
    lane.buffer = free_buffers_.back();
    free_buffers_.pop_back();
    lane.op.buffer = lane.buffer.first(lane.length);
  }
}

void Pump::ReturnBuffer(Lane& lane) {
  if (!lane.buffer.empty()) {
    free_buffers_.push_back(lane.replacement.empty() ? lane.buffer
                                                     : lane.replacement);
    lane.buffer = lane.replacement = {};
  }
}

core::Status Pump::Collect(Schedule& schedule, core::TimePoint deadline) {
  STOKER_ASSIGN(const std::size_t count,
                queue_->Reap(done_, more_to_submit_ ? 0 : 1,
                             std::min(deadline, next_pause_end_)));
  if (count > 0) {
    now_ = done_[0].finished;
  }
  for (std::size_t i = 0; i < count; ++i) {
    any_held_ = any_held_ || done_[i].buffer_held;
  }
  for (std::size_t i = 0; i < count; ++i) {
    STOKER_TRY(HandleDone(schedule, done_[i]));
  }
  // A lane that hangs must not hide behind lanes that go on.
  return (count == 0 && !more_to_submit_) || now_ >= next_overdue_check_
             ? CheckOverdue()
             : core::Status();
}

core::Status Pump::HandleDone(Schedule& schedule,
                              const storage::ReadDone& done) {
  STOKER_TRY(NoteDone(done));
  Lane& lane = lanes_[done.tag];
  if (!done.status.ok()) {
    return done.status.WithContext(fmt::format("read {} at byte {} from {}",
                                               lane.name, lane.op.offset,
                                               data_.backend->uri()));
  }
  ReaderProgram::Event event;
  if (done.kind == storage::ReadOp::Kind::kSize) {
    event.kind = ReaderProgram::Event::Kind::kSize;
    event.size = done.bytes;
  } else {
    event.kind = ReaderProgram::Event::Kind::kBytes;
    const std::uint64_t skip = std::min(lane.skip, done.bytes);
    event.bytes =
        lane.op.buffer.subspan(skip, std::min(lane.wanted, done.bytes - skip));
    lane.unclaimed += done.bytes;
  }
  STOKER_ASSIGN(const bool idle, Feed(done.tag, schedule, event));
  return idle ? TryVisit(done.tag, schedule) : core::Status();
}

core::Status Pump::NoteDone(const storage::ReadDone& done) {
  if (done.kind == storage::ReadOp::Kind::kRead) {
    latency_max_ = std::max(latency_max_, done.finished - done.submitted);
  }
  if (done.buffer_held) {
    STOKER_ASSIGN(core::AlignedBuffer buffer,
                  core::AlignedBuffer::Make(buffer_each_, /*resident=*/true));
    more_buffers_.push_back(std::move(buffer));
    lanes_[done.tag].replacement = more_buffers_.back().bytes();
  }
  return {};
}

core::Status Pump::CheckOverdue() {
  now_ = clock_.Now();
  next_overdue_check_ = now_ + std::chrono::seconds(1);
  for (const Lane& lane : lanes_) {
    if (lane.state == LaneState::kReading &&
        now_ - lane.submitted >= options_.io_timeout) {
      hung_ = true;
      return {
          core::Code::kTimedOut,
          fmt::format("read {} at byte {} from {}: no answer within {}; is "
                      "the storage reachable? --io-timeout sets the limit",
                      lane.name, lane.op.offset, data_.backend->uri(),
                      core::FormatSeconds(core::Seconds(options_.io_timeout)))};
    }
  }
  return {};
}

void Pump::EndVisit(Lane& lane) {
  ReturnBuffer(lane);
  data_.backend->Release(lane.object);
  lane.state = LaneState::kIdle;
  lane.unclaimed = 0;
}

core::Status Pump::Quiesce(const std::atomic<bool>& hurry) {
  core::TimePoint give_up = core::kNever;
  asked_.clear();
  next_pause_end_ = core::kNever;
  while (queue_->in_flight() > 0) {
    const core::TimePoint now = clock_.Now();
    if (give_up == core::kNever && hurry.load(std::memory_order_relaxed)) {
      give_up = now + kPatience;
    }
    if (now >= give_up) {
      hung_ = true;
      return {core::Code::kCancelled,
              fmt::format("reads from {} were given up", data_.backend->uri())};
    }
    const core::TimePoint slice =
        now + std::chrono::milliseconds(core::kCancelPollMillis);
    STOKER_ASSIGN(
        const std::size_t count,
        queue_->Reap(done_, queue_->in_flight(), std::min(slice, give_up)));
    for (const storage::ReadDone& done : std::span(done_).first(count)) {
      STOKER_TRY(NoteDone(done));
      Lane& lane = lanes_[done.tag];
      lane.unclaimed +=
          done.kind == storage::ReadOp::Kind::kRead ? done.bytes : 0;
      lane.state = LaneState::kAsking;
    }
    if (count == 0) {
      STOKER_TRY(CheckOverdue());
    }
  }
  for (Lane& lane : lanes_) {
    if (lane.state != LaneState::kIdle) {
      counters_.bytes_discarded += lane.unclaimed;
      EndVisit(lane);
    }
  }
  return {};
}

metrics::LoaderCounters Pump::TakeCounters() {
  const storage::ReadCounters& total = queue_->counters();
  counters_.reads = total;
  counters_.reads.reads -= reads_before_.reads;
  counters_.reads.size_queries -= reads_before_.size_queries;
  counters_.reads.bytes -= reads_before_.bytes;
  counters_.reads.errors -= reads_before_.errors;
  counters_.reads.bytes_from_cache -= reads_before_.bytes_from_cache;
  counters_.reads.bytes_from_memory -= reads_before_.bytes_from_memory;
  counters_.reads.latency_sum -= reads_before_.latency_sum;
  counters_.reads.latency_max = std::exchange(latency_max_, {});
  reads_before_ = total;
  counters_.read_latencies = queue_->TakeLatencies();
  counters_.checking = checking() - checking_before_;
  checking_before_ = checking();
  return std::exchange(counters_, {});
}

}  // namespace stoker::emulator::internal
