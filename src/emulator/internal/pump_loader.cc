#include "emulator/internal/pump_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/thread_policy.h"

namespace stoker::emulator::internal {

namespace {

core::Status Stopped() {
  return {core::Code::kCancelled, "the run was stopped"};
}

// Batches of the record pipeline never span two passes over the files.
core::Status CheckShare(PipelineShape shape, const LoaderOptions& options) {
  if (shape != PipelineShape::kTfRecord || options.steps == 0) {
    return {};
  }
  const std::uint64_t records =
      dataset::TensorflowShare(options.order, options.rank).records;
  if (records >= options.order.batch_size) {
    return {};
  }
  return {core::Code::kInvalidArgument,
          fmt::format("rank {} has {} records in a pass over its files, less "
                      "than the {} of a batch, so that no batch would ever be "
                      "whole; take more files or a smaller batch",
                      options.rank, records, options.order.batch_size)};
}

}  // namespace

PumpLoader::PumpLoader(const LoaderOptions& options, core::Clock& clock,
                       const core::CancelFlag& cancel)
    : options_(options), clock_(clock), cancel_(cancel) {}

std::uint64_t PumpLoader::TensorBytes(const LookAhead& ahead,
                                      const LoaderData& data,
                                      const LoaderOptions& options) {
  return (ahead.batches + 1) * options.order.batch_size * data.returned_bytes;
}

core::Result<std::unique_ptr<Loader>> PumpLoader::Make(
    PipelineShape shape, const LoaderData& data, const LoaderOptions& options,
    core::Clock& clock, const core::CancelFlag& cancel) {
  STOKER_TRY(CheckShare(shape, options));
  std::unique_ptr<PumpLoader> loader(new PumpLoader(options, clock, cancel));
  loader->schedule_ = MakeSchedule(shape, data, options, clock);
  loader->ahead_ = LookAheadOf(shape, options);
  STOKER_ASSIGN(loader->pump_,
                Pump::Make(LanesOf(shape, options), data, options, clock));
  STOKER_ASSIGN(
      loader->tensors_,
      core::AlignedBuffer::Make(TensorBytes(loader->ahead_, data, options),
                                /*resident=*/true));
  loader->ready_.resize(loader->ahead_.batches);
  loader->thread_ =
      core::ClockedThread(clock, [self = loader.get()] { self->Run(); });
  return std::unique_ptr<Loader>(std::move(loader));
}

PumpLoader::~PumpLoader() {
  if (pump_ == nullptr) {
    return;  // Make failed
  }
  hurry_.store(true, std::memory_order_relaxed);
  Change(Phase::kQuit);
  thread_.Join();
}

std::uint64_t PumpLoader::pool_bytes() const {
  return pump_->buffer_bytes() + tensors_.size();
}

core::TimePoint PumpLoader::PollDeadline() const {
  return clock_.Now() + std::chrono::milliseconds(core::kCancelPollMillis);
}

void PumpLoader::Change(Phase phase) {
  {
    const std::scoped_lock lock(mutex_);
    phase_ = phase;
  }
  Poke();
}

void PumpLoader::Poke() {
  {
    const std::scoped_lock lock(mutex_);
    ++version_;
  }
  clock_.NotifyAll(pump_changed_);
  pump_->Wake();
}

core::Status PumpLoader::StartEpoch(std::uint32_t epoch) {
  epoch_ = epoch;
  taken_ = 0;
  taken_bytes_ = 0;
  allowed_.store(ahead_.on_demand ? 0 : ahead_.batches,
                 std::memory_order_release);
  {
    const std::scoped_lock lock(mutex_);
    STOKER_CHECK(phase_ == Phase::kIdle);
    std::fill(ready_.begin(), ready_.end(), Ready{});
    STOKER_TRY(error_);
  }
  Change(Phase::kReading);
  return {};
}

core::Result<std::optional<Batch>> PumpLoader::Next() {
  if (cancel_.IsSet()) {
    return Stopped();
  }
  if (taken_ == options_.steps) {
    return std::optional<Batch>{};
  }
  if (ahead_.on_demand) {
    allowed_.store(taken_ + 1, std::memory_order_release);
    Poke();
  }
  Batch batch{.step = taken_,
              .samples = static_cast<std::uint32_t>(options_.order.batch_size)};
  {
    std::unique_lock lock(mutex_);
    Ready& ready = ready_[taken_ % ready_.size()];
    while (!ready.ready) {
      STOKER_TRY(error_);
      if (cancel_.IsSet()) {
        return Stopped();
      }
      clock_.WaitUntil(consumer_changed_, lock, PollDeadline());
    }
    batch.bytes = ready.bytes;
    schedule_->HashBatch(epoch_, taken_, hash_);
    ready.ready = false;
  }
  ++taken_;
  taken_bytes_ += batch.bytes;
  if (!ahead_.on_demand) {
    allowed_.store(taken_ + ahead_.batches, std::memory_order_release);
    Poke();
  }
  return std::optional<Batch>(batch);
}

core::Result<metrics::LoaderCounters> PumpLoader::FinishEpoch() {
  Change(Phase::kStopping);
  STOKER_TRY(WaitUntilIdle());
  metrics::LoaderCounters counters = pump_->TakeCounters();
  const Arrived arrived = schedule_->arrived();
  counters.samples_delivered = taken_ * options_.order.batch_size;
  counters.payload_bytes_delivered = taken_bytes_;
  counters.samples_discarded += arrived.samples - counters.samples_delivered;
  counters.bytes_discarded += arrived.bytes - taken_bytes_;
  return counters;
}

core::Status PumpLoader::WaitUntilIdle() {
  std::unique_lock lock(mutex_);
  while (phase_ != Phase::kIdle) {
    if (cancel_.IsSet()) {
      return Stopped();
    }
    clock_.WaitUntil(consumer_changed_, lock, PollDeadline());
  }
  return error_;
}

void PumpLoader::Post(std::uint64_t step, std::uint64_t bytes) {
  {
    const std::scoped_lock lock(mutex_);
    ready_[step % ready_.size()] = {.ready = true, .bytes = bytes};
  }
  clock_.NotifyAll(consumer_changed_);
}

void PumpLoader::Run() {
  core::PreferLongSlices();
  while (true) {
    {
      std::unique_lock lock(mutex_);
      while (phase_ == Phase::kIdle) {
        clock_.WaitUntil(pump_changed_, lock, core::kNever);
      }
      if (phase_ == Phase::kQuit) {
        break;
      }
    }
    core::Status status = ReadEpoch();
    const core::Status stopped = pump_->Quiesce(hurry_);
    {
      const std::scoped_lock lock(mutex_);
      if (error_.ok()) {
        error_ = status.ok() ? stopped : status;
      }
      // An error leaves the epoch open until the consumer has seen it.
      if (phase_ != Phase::kQuit) {
        phase_ = Phase::kIdle;
      }
    }
    clock_.NotifyAll(consumer_changed_);
  }
  // What is in flight is left to the queue's destructor.
}

core::Status PumpLoader::ReadEpoch() {
  schedule_->StartEpoch(epoch_, allowed_, *this);
  while (true) {
    std::uint64_t seen = 0;
    {
      const std::scoped_lock lock(mutex_);
      if (phase_ != Phase::kReading) {
        return {};
      }
      seen = version_;
    }
    const core::TimePoint deadline =
        std::min(schedule_->Update(), PollDeadline());
    STOKER_ASSIGN(const bool waited, pump_->Round(*schedule_, deadline));
    if (!waited) {
      // Nothing in flight: go on when a pause ends, a posting is due, or the
      // consumer wants more.
      WaitForChange(seen, std::min(schedule_->Update(), pump_->NextPauseEnd()));
    }
  }
}

void PumpLoader::WaitForChange(std::uint64_t seen, core::TimePoint deadline) {
  std::unique_lock lock(mutex_);
  if (version_ == seen) {
    clock_.WaitUntil(pump_changed_, lock, deadline);
  }
}

}  // namespace stoker::emulator::internal
