#include "emulator/internal/pump_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/thread_policy.h"

namespace stoker::emulator::internal {

namespace {

constexpr core::Nanos kPoll =
    std::chrono::milliseconds(core::kCancelPollMillis);

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

// Every stride-th lane of a schedule that several pumps share.
class LaneView final : public Schedule {
 public:
  LaneView(Schedule& inner, std::mutex& mutex, std::size_t first,
           std::size_t stride)
      : inner_(inner), mutex_(mutex), first_(first), stride_(stride) {}

  bool NextVisit(std::size_t lane, Visit& visit) override {
    const std::scoped_lock lock(mutex_);
    return inner_.NextVisit(Inner(lane), visit);
  }
  AfterSample OnSample(const Arrival& arrival) override {
    Arrival mapped = arrival;
    mapped.lane = Inner(arrival.lane);
    const std::scoped_lock lock(mutex_);
    return inner_.OnSample(mapped);
  }
  void OnPauseEnd(std::size_t lane) override {
    const std::scoped_lock lock(mutex_);
    inner_.OnPauseEnd(Inner(lane));
  }
  bool MayResume(std::size_t lane) override {
    const std::scoped_lock lock(mutex_);
    return inner_.MayResume(Inner(lane));
  }
  core::Status OnFileDone(std::size_t lane, const Visit& visit,
                          std::uint32_t samples) override {
    const std::scoped_lock lock(mutex_);
    return inner_.OnFileDone(Inner(lane), visit, samples);
  }
  void Update() override {
    const std::scoped_lock lock(mutex_);
    inner_.Update();
  }
  core::TimePoint NextDue() const override {
    const std::scoped_lock lock(mutex_);
    return inner_.NextDue();
  }
  std::uint64_t stirred() const override { return inner_.stirred(); }

 private:
  std::size_t Inner(std::size_t lane) const { return first_ + lane * stride_; }

  Schedule& inner_;
  std::mutex& mutex_;
  std::size_t first_;
  std::size_t stride_;
};

void Add(const metrics::LoaderCounters& more, metrics::LoaderCounters& sum) {
  sum.files_opened += more.files_opened;
  sum.samples_discarded += more.samples_discarded;
  sum.bytes_discarded += more.bytes_discarded;
  sum.unexpected_sizes += more.unexpected_sizes;
  sum.checking += more.checking;
  sum.reads.reads += more.reads.reads;
  sum.reads.size_queries += more.reads.size_queries;
  sum.reads.bytes += more.reads.bytes;
  sum.reads.errors += more.reads.errors;
  sum.reads.bytes_from_cache += more.reads.bytes_from_cache;
  sum.reads.bytes_from_memory += more.reads.bytes_from_memory;
  sum.reads.latency_sum += more.reads.latency_sum;
  sum.reads.latency_max =
      std::max(sum.reads.latency_max, more.reads.latency_max);
  sum.read_latencies.Merge(more.read_latencies);
}

}  // namespace

PumpLoader::PumpLoader(const LoaderOptions& options, core::Clock& clock,
                       const core::CancelFlag& cancel)
    : options_(options), clock_(clock), cancel_(cancel) {}

core::Result<std::unique_ptr<Loader>> PumpLoader::Make(
    PipelineShape shape, const LoaderData& data, const LoaderOptions& options,
    core::Clock& clock, const core::CancelFlag& cancel) {
  STOKER_TRY(CheckShare(shape, options));
  std::unique_ptr<PumpLoader> loader(new PumpLoader(options, clock, cancel));
  loader->schedule_ = MakeSchedule(shape, data, options, clock);
  loader->ahead_ = LookAheadOf(shape, data, options);
  loader->table_bytes_ = TableBytes(shape, data, options);
  STOKER_TRY(loader->MakeCrews(LanesOf(shape, data, options), data));
  STOKER_ASSIGN(loader->tensors_,
                core::AlignedBuffer::Make(TensorBytes(shape, data, options),
                                          /*resident=*/true));
  loader->ready_.resize(loader->ahead_.batches);
  for (const std::unique_ptr<Crew>& crew : loader->crews_) {
    crew->thread = core::ClockedThread(
        clock, [self = loader.get(), own = crew.get()] { self->Run(*own); });
  }
  if (ReadsSidecars(data, options) && WarmsUp(options)) {
    STOKER_TRY(loader->WarmUp());
  }
  return std::unique_ptr<Loader>(std::move(loader));
}

core::Status PumpLoader::MakeCrews(std::size_t lanes, const LoaderData& data) {
  const std::size_t count =
      std::clamp<std::size_t>(options_.pump_threads, 1, lanes);
  for (std::size_t i = 0; i < count; ++i) {
    auto crew = std::make_unique<Crew>();
    crew->schedule = schedule_.get();
    if (count > 1) {
      crew->view =
          std::make_unique<LaneView>(*schedule_, schedule_mutex_, i, count);
      crew->schedule = crew->view.get();
    }
    STOKER_ASSIGN(crew->pump, Pump::Make((lanes - i + count - 1) / count, data,
                                         options_, clock_));
    crews_.push_back(std::move(crew));
  }
  return {};
}

core::Status PumpLoader::WarmUp() {
  Begin(Phase::kWarmingUp);
  STOKER_TRY(WaitUntilIdle());
  for (const std::unique_ptr<Crew>& crew : crews_) {
    static_cast<void>(crew->pump->TakeCounters());
  }
  return {};
}

PumpLoader::~PumpLoader() {
  hurry_.store(true, std::memory_order_relaxed);
  Change(Phase::kQuit);
  for (const std::unique_ptr<Crew>& crew : crews_) {
    crew->thread.Join();
  }
}

std::uint64_t PumpLoader::pool_bytes() const {
  std::uint64_t bytes = tensors_.size() + table_bytes_;
  for (const std::unique_ptr<Crew>& crew : crews_) {
    bytes += crew->pump->buffer_bytes();
  }
  return bytes;
}

core::Nanos PumpLoader::checking_so_far() const {
  core::Nanos sum{};
  for (const std::unique_ptr<Crew>& crew : crews_) {
    sum += crew->pump->checking();
  }
  return sum;
}

core::TimePoint PumpLoader::PollDeadline() const {
  return clock_.Now() + kPoll;
}

void PumpLoader::Change(Phase phase) {
  {
    const std::scoped_lock lock(mutex_);
    // After an error the pumps rest already.
    if (phase == Phase::kQuit || phase_ != Phase::kIdle) {
      phase_ = phase;
    }
  }
  Poke();
}

void PumpLoader::Begin(Phase phase) {
  {
    const std::scoped_lock lock(mutex_);
    STOKER_CHECK(phase_ == Phase::kIdle);
    phase_ = phase;
    ++round_;
    at_work_ = crews_.size();
  }
  Poke();
}

void PumpLoader::Poke() {
  {
    const std::scoped_lock lock(mutex_);
    version_.fetch_add(1, std::memory_order_release);
  }
  clock_.NotifyAll(pump_changed_);
  for (const std::unique_ptr<Crew>& crew : crews_) {
    crew->pump->Wake();
  }
}

core::Status PumpLoader::StartEpoch(std::uint32_t epoch) {
  epoch_ = epoch;
  taken_ = 0;
  taken_bytes_ = 0;
  allowed_.store(ahead_.on_demand ? 0 : ahead_.batches,
                 std::memory_order_release);
  {
    const std::scoped_lock lock(mutex_);
    std::fill(ready_.begin(), ready_.end(), Ready{});
    STOKER_TRY(error_);
  }
  Begin(Phase::kReading);
  return {};
}

core::Result<std::optional<Batch>> PumpLoader::Next() {
  if (cancel_.IsSet()) {
    return Stopped();
  }
  if (taken_ == options_.steps) {
    return std::optional<Batch>{};
  }
  GoOn();
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
    held_back_ = options_.settle && ready_[(taken_ + 1) % ready_.size()].ready;
  }
  ++taken_;
  taken_bytes_ += batch.bytes;
  if (!ahead_.on_demand) {
    allowed_.store(taken_ + ahead_.batches, std::memory_order_release);
    if (!held_back_) {
      Poke();
    }
  }
  return std::optional<Batch>(batch);
}

void PumpLoader::GoOn() {
  if (std::exchange(held_back_, false)) {
    Poke();
  }
}

core::Result<metrics::LoaderCounters> PumpLoader::FinishEpoch() {
  Change(Phase::kStopping);
  STOKER_TRY(WaitUntilIdle());
  metrics::LoaderCounters counters;
  for (const std::unique_ptr<Crew>& crew : crews_) {
    Add(crew->pump->TakeCounters(), counters);
  }
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

void PumpLoader::Run(Crew& crew) {
  core::PreferLongSlices();
  while (WaitForRound(crew)) {
    core::Status status = Work(crew);
    if (!status.ok()) {
      Change(Phase::kStopping);  // the other pumps, too
    }
    const core::Status stopped = crew.pump->Quiesce(hurry_);
    EndRound(status.ok() ? stopped : status);
  }
  // What is in flight is left to the queue's destructor.
}

bool PumpLoader::WaitForRound(Crew& crew) {
  std::unique_lock lock(mutex_);
  while (phase_ != Phase::kQuit && crew.round == round_) {
    clock_.WaitUntil(pump_changed_, lock, core::kNever);
  }
  crew.round = round_;
  return phase_ != Phase::kQuit;
}

void PumpLoader::EndRound(const core::Status& status) {
  {
    const std::scoped_lock lock(mutex_);
    if (error_.ok()) {
      error_ = status;
    }
    if (--at_work_ == 0 && phase_ != Phase::kQuit) {
      phase_ = Phase::kIdle;
    }
  }
  clock_.NotifyAll(consumer_changed_);
}

void PumpLoader::StartSchedule(const Crew& crew) {
  const std::scoped_lock lock(schedule_mutex_);
  if (started_round_ != crew.round) {
    started_round_ = crew.round;
    schedule_->StartEpoch(epoch_, allowed_, *this);
  }
}

core::Status PumpLoader::Work(Crew& crew) {
  Pump& pump = *crew.pump;
  Schedule& schedule = *crew.schedule;
  bool warming_up = false;
  {
    const std::scoped_lock lock(mutex_);
    warming_up = phase_ == Phase::kWarmingUp;
  }
  if (!warming_up) {
    StartSchedule(crew);
  }
  std::uint64_t seen = 0;  // no version: there has been a Begin
  core::TimePoint due = core::kNever;
  while (true) {
    const bool look = version_.load(std::memory_order_acquire) != seen;
    if (look) {
      const std::scoped_lock lock(mutex_);
      if (phase_ != Phase::kReading && phase_ != Phase::kWarmingUp) {
        return {};
      }
      seen = version_.load(std::memory_order_relaxed);
      crew.stirred = schedule.stirred();
    }
    if (look || due != core::kNever) {
      schedule.Update();
    }
    STOKER_ASSIGN(const bool in_flight, pump.Advance(schedule, look));
    due = schedule.NextDue();
    if (in_flight) {
      TellOthers(crew);
      STOKER_TRY(pump.Collect(schedule, std::min(due, pump.now() + kPoll)));
    } else if (warming_up) {
      return {};
    } else {
      TellOthers(crew);
      // Go on when a pause ends, a posting is due, or somebody did something.
      WaitForChange(seen, std::min(due, pump.next_pause_end()));
    }
  }
}

void PumpLoader::TellOthers(Crew& crew) {
  const std::uint64_t stirred =
      crews_.size() == 1 ? crew.stirred : crew.schedule->stirred();
  if (stirred != crew.stirred) {
    crew.stirred = stirred;
    Poke();
  }
}

void PumpLoader::WaitForChange(std::uint64_t seen, core::TimePoint deadline) {
  std::unique_lock lock(mutex_);
  if (version_.load(std::memory_order_relaxed) == seen) {
    clock_.WaitUntil(pump_changed_, lock, deadline);
  }
}

}  // namespace stoker::emulator::internal
