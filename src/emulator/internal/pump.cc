#include "emulator/internal/pump.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/units.h"

namespace stoker::emulator::internal {

using formats::ReaderProgram;

namespace {

constexpr std::uint64_t kBufferAlign = 4096;
// How long storage may take once nobody wants its answers any more.
constexpr core::Nanos kPatience = std::chrono::seconds(1);

std::uint64_t RoundUp(std::uint64_t bytes) {
  return (bytes + kBufferAlign - 1) / kBufferAlign * kBufferAlign;
}

formats::ReaderOptions ReaderOptionsOf(const LoaderOptions& options,
                                       const storage::ReadLimits& limits) {
  return {.style = formats::ReaderOptions::Style::kReference,
          .unit = limits.preferred_unit,
          .request = options.transfer_size,
          .check = options.check && limits.real_data,
          .blind = !limits.real_data,
          .expect = nullptr};
}

}  // namespace

std::uint64_t Pump::BufferBytes(std::size_t lanes, const LoaderData& data,
                                const LoaderOptions& options,
                                const storage::ReadLimits& limits) {
  const auto program = data.format->NewReader(ReaderOptionsOf(options, limits));
  // The reference's way of asking never wants a whole file at once.
  return lanes * RoundUp(program->MaxRequest(0));
}

Pump::Pump(const LoaderData& data, const LoaderOptions& options,
           core::Clock& clock)
    : data_(data), options_(options), clock_(clock) {}

core::Result<std::unique_ptr<Pump>> Pump::Make(std::size_t lanes,
                                               const LoaderData& data,
                                               const LoaderOptions& options,
                                               core::Clock& clock) {
  std::unique_ptr<Pump> pump(new Pump(data, options, clock));
  STOKER_ASSIGN(pump->queue_,
                data.backend->NewReadQueue({.depth = lanes}, clock));
  const storage::ReadLimits& limits = pump->queue_->limits();
  pump->queue_->set_observer(options.observer);
  STOKER_ASSIGN(pump->buffers_, core::AlignedBuffer::Make(
                                    BufferBytes(lanes, data, options, limits),
                                    /*resident=*/true));
  const std::size_t each = pump->buffers_.size() / lanes;
  pump->lanes_.resize(lanes);
  for (std::size_t i = 0; i < lanes; ++i) {
    Lane& lane = pump->lanes_[i];
    lane.program = data.format->NewReader(ReaderOptionsOf(options, limits));
    lane.buffer = pump->buffers_.bytes().subspan(i * each, each);
  }
  pump->asked_.reserve(lanes);
  pump->done_.resize(lanes);
  return pump;
}

// NOLINTBEGIN(clang-analyzer-cplusplus.NewDeleteLeaks): left on purpose.
// NOLINTBEGIN(bugprone-unused-return-value): nobody owns it from here on.
Pump::~Pump() {
  if (hung_) {
    // The kernel may still write into the buffers; neither may go, nor can the
    // queue's end be waited for.
    struct Abandoned {
      std::unique_ptr<storage::ReadQueue> queue;
      core::AlignedBuffer buffers;
    };
    static_cast<void>(std::make_unique<Abandoned>(
                          Abandoned{std::move(queue_), std::move(buffers_)})
                          .release());
  }
}
// NOLINTEND(bugprone-unused-return-value)
// NOLINTEND(clang-analyzer-cplusplus.NewDeleteLeaks)

core::TimePoint Pump::NextPauseEnd() const {
  core::TimePoint earliest = core::kNever;
  for (const Lane& lane : lanes_) {
    if (lane.state == LaneState::kPaused) {
      earliest = std::min(earliest, lane.until);
    }
  }
  return earliest;
}

core::Result<bool> Pump::Round(Schedule& schedule, core::TimePoint deadline) {
  STOKER_TRY(AdvanceLanes(schedule));
  STOKER_TRY(SubmitAsked());
  if (queue_->in_flight() == 0) {
    return false;
  }
  STOKER_ASSIGN(const std::size_t count,
                queue_->Reap(done_, 1, std::min(deadline, NextPauseEnd())));
  for (std::size_t i = 0; i < count; ++i) {
    STOKER_TRY(HandleDone(schedule, done_[i]));
  }
  // A lane that hangs must not hide behind lanes that go on.
  if (count == 0 || done_[0].finished >= next_overdue_check_) {
    STOKER_TRY(CheckOverdue());
  }
  return true;
}

core::Status Pump::AdvanceLanes(Schedule& schedule) {
  // A lane that goes on may set another one free, so until all stand still.
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      STOKER_ASSIGN(const bool lane_moved, AdvanceLane(i, schedule));
      moved = moved || lane_moved;
    }
  }
  return {};
}

core::Result<bool> Pump::AdvanceLane(std::size_t index, Schedule& schedule) {
  Lane& lane = lanes_[index];
  const bool paused_enough =
      lane.state == LaneState::kPaused && clock_.Now() >= lane.until;
  if (paused_enough) {
    schedule.OnPauseEnd(index);
  }
  if (paused_enough ||
      (lane.state == LaneState::kBlocked && schedule.MayResume(index))) {
    STOKER_TRY(
        Feed(index, schedule,
             {.kind = ReaderProgram::Event::Kind::kResume, .bytes = {}}));
    return true;
  }
  Visit visit;
  if (lane.state != LaneState::kIdle || !schedule.NextVisit(index, visit)) {
    return false;
  }
  STOKER_TRY(BeginVisit(index, schedule, visit));
  return true;
}

core::Status Pump::BeginVisit(std::size_t index, Schedule& schedule,
                              const Visit& visit) {
  Lane& lane = lanes_[index];
  lane.visit = visit;
  lane.samples = 0;
  lane.unclaimed = 0;
  dataset::ObjectName(data_.naming, visit.file, lane.name);
  lane.object = data_.backend->Resolve(lane.name);
  ++counters_.files_opened;
  const formats::FileSpec spec = data_.SpecOf(visit.file);
  lane.expected_bytes = spec.sample_bytes();
  lane.stored_bytes = data_.format->streams_samples()
                          ? data_.format->FileBytes(spec) / spec.samples
                          : UINT64_MAX;
  lane.program->Reset(spec, visit.sample, lane.name);
  return Feed(index, schedule,
              {.kind = ReaderProgram::Event::Kind::kStart, .bytes = {}});
}

core::Status Pump::Feed(std::size_t index, Schedule& schedule,
                        ReaderProgram::Event event) {
  Lane& lane = lanes_[index];
  while (true) {
    STOKER_ASSIGN(const ReaderProgram::Next next, lane.program->Step(event));
    switch (next.kind) {
      case ReaderProgram::Next::Kind::kSize:
      case ReaderProgram::Next::Kind::kRead:
        return Ask(lane, next);
      case ReaderProgram::Next::Kind::kSampleReady:
        if (!TakeSample(index, schedule, next)) {
          return {};
        }
        event = {.kind = ReaderProgram::Event::Kind::kResume, .bytes = {}};
        break;
      case ReaderProgram::Next::Kind::kFileDone: {
        const std::uint32_t samples = lane.samples;
        EndVisit(lane);
        return schedule.OnFileDone(index, lane.visit, samples)
            .WithContext(lane.name);
      }
    }
  }
}

core::Status Pump::Ask(Lane& lane, const ReaderProgram::Next& next) {
  STOKER_CHECK(next.length <= lane.buffer.size());
  const bool size = next.kind == ReaderProgram::Next::Kind::kSize;
  lane.op = {
      .kind =
          size ? storage::ReadOp::Kind::kSize : storage::ReadOp::Kind::kRead,
      .object = lane.object,
      .offset = size ? 0 : next.offset,
      .buffer = size ? std::span<std::byte>{}
                     : lane.buffer.first(static_cast<std::size_t>(next.length)),
      .tag = static_cast<std::uint64_t>(&lane - lanes_.data())};
  lane.state = LaneState::kAsking;
  return {};
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
      return false;
    case AfterSample::Kind::kBlock:
      lane.state = LaneState::kBlocked;
      return false;
  }
  return true;
}

core::Status Pump::SubmitAsked() {
  asked_.clear();
  for (Lane& lane : lanes_) {
    if (lane.state == LaneState::kAsking) {
      asked_.push_back(lane.op);
    }
  }
  if (asked_.empty()) {
    return {};
  }
  STOKER_ASSIGN(const std::size_t taken, queue_->Submit(asked_));
  const core::TimePoint now = clock_.Now();
  for (std::size_t i = 0; i < taken; ++i) {
    Lane& lane = lanes_[asked_[i].tag];
    lane.state = LaneState::kReading;
    lane.submitted = now;
  }
  return {};
}

core::Status Pump::HandleDone(Schedule& schedule,
                              const storage::ReadDone& done) {
  NoteDone(done);
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
    event.bytes = lane.op.buffer.first(static_cast<std::size_t>(done.bytes));
    lane.unclaimed += done.bytes;
  }
  return Feed(done.tag, schedule, event);
}

void Pump::NoteDone(const storage::ReadDone& done) {
  if (done.kind == storage::ReadOp::Kind::kRead) {
    latency_max_ = std::max(latency_max_, done.finished - done.submitted);
  }
}

core::Status Pump::CheckOverdue() {
  const core::TimePoint now = clock_.Now();
  next_overdue_check_ = now + std::chrono::seconds(1);
  for (const Lane& lane : lanes_) {
    if (lane.state == LaneState::kReading &&
        now - lane.submitted >= options_.io_timeout) {
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
  data_.backend->Release(lane.object);
  lane.state = LaneState::kIdle;
  lane.unclaimed = 0;
}

core::Status Pump::Quiesce(const std::atomic<bool>& hurry) {
  core::TimePoint give_up = core::kNever;
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
      NoteDone(done);
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
  counters_.reads.latency_sum -= reads_before_.latency_sum;
  counters_.reads.latency_max = std::exchange(latency_max_, {});
  reads_before_ = total;
  counters_.checking = checking() - checking_before_;
  checking_before_ = checking();
  return std::exchange(counters_, {});
}

}  // namespace stoker::emulator::internal
