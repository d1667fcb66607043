// The record pipeline of tf.data: T files read record by record in rotation
// (parallel interleave, block length 1) with 2T more opened ahead, each buffer
// holding a few records; then shuffle buffer, batches, parallel map, prefetch.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/random.h"
#include "emulator/internal/batch_schedule.h"
#include "emulator/internal/loader_model.h"
#include "emulator/internal/pass_plan.h"

namespace stoker::emulator::internal {

namespace {

// Two buffered elements and one in hand: a worker reads no further.
constexpr std::size_t kRecordsAhead = 3;
constexpr std::size_t kNobody = SIZE_MAX;

// A queue of fixed capacity.
template <class T>
class Ring {
 public:
  explicit Ring(std::size_t capacity) : items_(capacity) {}
  bool empty() const { return count_ == 0; }
  std::size_t size() const { return count_; }
  bool full() const { return count_ == items_.size(); }
  const T& front() const { return items_[head_]; }
  const T& back() const { return items_[(head_ + count_ - 1) % items_.size()]; }
  void Clear() { head_ = count_ = 0; }
  void Push(const T& item) {
    STOKER_CHECK(count_ < items_.size());
    items_[(head_ + count_) % items_.size()] = item;
    ++count_;
  }
  T Pop() {
    const T item = front();
    head_ = (head_ + 1) % items_.size();
    --count_;
    return item;
  }

 private:
  std::vector<T> items_;
  std::size_t head_ = 0;
  std::size_t count_ = 0;
};

struct Record {
  std::uint64_t file = 0;
  std::uint32_t sample = 0;
  std::uint64_t bytes = 0;
};

// One reader of the interleave: lane i is worker i.
struct Worker {
  Ring<Record> records{kRecordsAhead};
  bool has_input = false;  // a file, until its end has been seen
  bool visiting = false;   // a lane is reading it
  bool assigned = false;   // the file waits for its lane
  std::uint64_t file = 0;
  std::uint64_t quota = 0;  // records of this file still wanted
};

class RecordSchedule final : public BatchSchedule {
 public:
  RecordSchedule(const LoaderData& data, const LoaderOptions& options,
                 core::Clock& clock)
      : data_(data),
        options_(options),
        clock_(clock),
        share_(dataset::TensorflowShare(options.order, options.rank)),
        workers_(LanesOf(PipelineShape::kTfRecord, data, options)),
        staging_(workers_.size()),
        preprocess_(options.preprocess),
        map_free_(std::max(1U, options.computation_threads)),
        posting_(LookAheadOf(PipelineShape::kTfRecord, data, options).batches) {
    batch_.reserve(options.order.batch_size);
    shuffle_.reserve(ShuffleSize());
    slots_.resize(LookAheadOf(PipelineShape::kTfRecord, data, options).batches);
    for (auto& slot : slots_) {
      slot.resize(options.order.batch_size);
    }
  }

  void StartEpoch(std::uint32_t epoch,
                  const std::atomic<std::uint64_t>& allowed,
                  BatchSink& sink) override {
    allowed_ = &allowed;
    sink_ = &sink;
    arrived_ = {};
    composed_ = 0;
    posting_.Clear();
    std::fill(map_free_.begin(), map_free_.end(), core::TimePoint{});
    shuffle_random_ = core::CounterRandom(
        core::StreamKey(options_.seed, options_.seed_change_epoch ? epoch : 0,
                        share_.by_record ? 0 : options_.rank));
    StartPass();
  }

  bool NextVisit(std::size_t lane, Visit& visit) override {
    Worker& worker = workers_[lane];
    if (!worker.assigned) {
      return false;
    }
    worker.assigned = false;
    worker.visiting = true;
    visit = {.file = worker.file, .sample = 0};
    return true;
  }

  AfterSample OnSample(const Arrival& arrival) override {
    Worker& worker = workers_[arrival.lane];
    worker.records.Push({.file = arrival.file,
                         .sample = arrival.sample,
                         .bytes = arrival.bytes});
    ++arrived_.samples;
    arrived_.bytes += arrival.bytes;
    if (worker.quota != PassPlan::kUnlimited) {
      --worker.quota;
    }
    Pull();
    return MayResume(arrival.lane)
               ? AfterSample{}
               : AfterSample{.kind = AfterSample::Kind::kBlock};
  }

  void OnPauseEnd(std::size_t) override {}

  bool MayResume(std::size_t lane) override {
    const Worker& worker = workers_[lane];
    return worker.records.size() < kRecordsAhead && worker.quota > 0;
  }

  core::Status OnFileDone(std::size_t lane, const Visit&,
                          std::uint32_t samples) override {
    Worker& worker = workers_[lane];
    worker.visiting = false;
    worker.has_input = false;
    if (samples != options_.order.samples_per_file) {
      return {core::Code::kCorruption,
              "the file holds " + std::to_string(samples) +
                  " records, dataset.num_samples_per_file says " +
                  std::to_string(options_.order.samples_per_file)};
    }
    Pull();
    return {};
  }

  void Update() override {
    const core::TimePoint now =
        posting_.empty() ? core::TimePoint{} : clock_.Now();
    while (!posting_.empty() && posting_.front().due <= now) {
      const Posting ready = posting_.Pop();
      sink_->Post(ready.step, ready.bytes);
    }
    Pull();
  }

  core::TimePoint NextDue() const override {
    return posting_.empty() ? core::kNever : posting_.front().due;
  }

  std::uint64_t stirred() const override {
    return stirred_.load(std::memory_order_relaxed);
  }
  Arrived arrived() const override { return arrived_; }

  void HashBatch(std::uint32_t epoch, std::uint64_t step,
                 dataset::OpStreamHash& hash) const override {
    for (const Record& record : slots_[step % slots_.size()]) {
      hash.Add({.epoch = epoch,
                .rank = static_cast<std::uint32_t>(options_.rank),
                .step = step,
                .file = record.file,
                .sample = record.sample,
                .bytes = data_.SpecOf(record.file).sample_bytes()});
    }
  }

 private:
  struct Posting {
    std::uint64_t step = 0;
    std::uint64_t bytes = 0;
    core::TimePoint due{};
  };

  // Calls come one at a time; others only look.
  void Stir() {
    stirred_.store(stirred_.load(std::memory_order_relaxed) + 1,
                   std::memory_order_relaxed);
  }
  std::size_t threads() const {
    return std::max<std::size_t>(1, options_.read_threads);
  }
  std::uint64_t batch_size() const { return options_.order.batch_size; }
  std::size_t ShuffleSize() const {
    return options_.shuffle_samples ? options_.shuffle_size : 0;
  }

  // One walk over the rank's files. Batches never span passes: the rest of a
  // pass is dropped.
  void StartPass() {
    for (Worker& worker : workers_) {
      worker.records.Clear();
      // No lane is at a file: a pass ends when every wanted record has been
      // read, an epoch when the pump has been quiesced.
      worker.visiting = false;
      worker.has_input = false;
      worker.assigned = false;
    }
    interleave_.assign(threads(), kNobody);
    staging_.Clear();
    turn_ = 0;
    next_file_ = 0;
    running_ = 0;
    pulled_ = 0;
    batch_.clear();
    shuffle_.clear();
    plan_ = PassPlan(options_, share_, composed_);
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (!GiveFile(i)) {
        break;
      }
      if (i < interleave_.size()) {
        interleave_[i] = i;
      } else {
        staging_.Push(i);
      }
    }
  }

  bool GiveFile(std::size_t index) {
    if (next_file_ >= share_.files) {
      return false;
    }
    const std::uint64_t quota = plan_.Quota(next_file_);
    if (quota == 0) {
      return false;
    }
    Worker& worker = workers_[index];
    worker.quota = quota;
    worker.file = share_.File(next_file_++);
    worker.has_input = true;
    worker.assigned = true;
    Stir();
    return true;
  }

  // Moves records down the pipeline as far as they go.
  void Pull() {
    while (composed_ < allowed_->load(std::memory_order_acquire) &&
           composed_ < MaxBatches()) {
      Record record;
      if (!TakeShuffled(record)) {
        if (!PassEnded()) {
          return;
        }
        StartPass();
        return;  // lanes must visit files first
      }
      const std::uint64_t position = running_++;
      if (share_.by_record &&
          position % options_.order.ranks != options_.rank) {
        continue;
      }
      batch_.push_back(record);
      if (batch_.size() == batch_size()) {
        Compose();
      }
    }
  }

  // Batches of one iterator: the epoch's, or what take() lets through.
  std::uint64_t MaxBatches() const {
    if (!options_.read_past_end) {
      return options_.steps;
    }
    const double per_epoch =
        std::floor(static_cast<double>(options_.order.files) /
                   static_cast<double>(options_.order.ranks) /
                   static_cast<double>(batch_size()) *
                   static_cast<double>(options_.order.samples_per_file));
    return std::max(options_.steps,
                    static_cast<std::uint64_t>(per_epoch) * options_.epochs);
  }

  bool PassEnded() const {
    return pulled_ == plan_.wanted() && shuffle_.empty() && LanesAtRest();
  }

  // The next pass gives lanes new files, so they must have ended theirs.
  bool LanesAtRest() const {
    return std::none_of(workers_.begin(), workers_.end(),
                        [](const Worker& worker) {
                          return worker.visiting || worker.assigned;
                        });
  }

  bool TakeShuffled(Record& record) {
    const std::size_t size = ShuffleSize();
    while (shuffle_.size() < size) {
      Record next;
      if (!TakeInterleaved(next)) {
        if (pulled_ < plan_.wanted()) {
          return false;  // the buffer fills before anything comes out
        }
        break;
      }
      shuffle_.push_back(next);
    }
    if (size == 0) {
      return TakeInterleaved(record);
    }
    if (shuffle_.empty()) {
      return false;
    }
    const std::size_t at = shuffle_random_.Below(shuffle_.size());
    record = shuffle_[at];
    shuffle_[at] = shuffle_.back();
    shuffle_.pop_back();
    return true;
  }

  // One record of the interleave, in its fixed order; false: not there yet, or
  // the pass has no more.
  bool TakeInterleaved(Record& record) {
    if (pulled_ == plan_.wanted()) {
      return false;
    }
    for (std::size_t tried = 0; tried < interleave_.size();) {
      const std::size_t index = interleave_[turn_];
      if (index == kNobody) {
        turn_ = (turn_ + 1) % interleave_.size();
        ++tried;
        continue;
      }
      Worker& worker = workers_[index];
      if (!worker.records.empty()) {
        if (worker.records.full()) {
          Stir();  // its lane may read on
        }
        record = worker.records.Pop();
        ++pulled_;
        turn_ = (turn_ + 1) % interleave_.size();
        return true;
      }
      if (worker.has_input) {
        return false;  // in order: wait for this one
      }
      Replace(index);
      turn_ = (turn_ + 1) % interleave_.size();
      tried = 0;
      if (AllGone()) {
        return false;
      }
    }
    return false;
  }

  // The worker in turn has ended its file: it gets the next one and goes to
  // the back of the staging queue, whose front takes its place.
  void Replace(std::size_t index) {
    interleave_[turn_] = kNobody;
    if (GiveFile(index)) {
      staging_.Push(index);
    }
    if (!staging_.empty()) {
      interleave_[turn_] = staging_.Pop();
    }
  }

  bool AllGone() const {
    return std::all_of(interleave_.begin(), interleave_.end(),
                       [](std::size_t index) { return index == kNobody; });
  }

  void Compose() {
    std::uint64_t bytes = 0;
    for (const Record& record : batch_) {
      bytes += record.bytes;
    }
    std::copy(batch_.begin(), batch_.end(),
              slots_[composed_ % slots_.size()].begin());
    batch_.clear();
    const std::uint64_t step = composed_++;
    if (preprocess_.IsZero()) {
      sink_->Post(step, bytes);
      return;
    }
    // The parallel map: the batch goes to the thread that is free first, and
    // batches come out in order.
    const auto thread = std::min_element(map_free_.begin(), map_free_.end());
    core::TimePoint due = std::max(clock_.Now(), *thread);
    for (std::uint64_t i = 0; i < batch_size(); ++i) {
      due += preprocess_.Next();
    }
    *thread = due;
    if (!posting_.empty()) {
      due = std::max(due, posting_.back().due);
    }
    posting_.Push({.step = step, .bytes = bytes, .due = due});
  }

  LoaderData data_;
  LoaderOptions options_;
  core::Clock& clock_;
  dataset::ModuloShare share_;
  std::vector<Worker> workers_;
  std::vector<std::size_t> interleave_;  // worker of each active slot
  Ring<std::size_t> staging_;
  std::size_t turn_ = 0;
  std::uint64_t next_file_ = 0;  // of the pass
  PassPlan plan_;                // of the pass
  std::uint64_t pulled_ = 0;     // records out of the interleave in the pass
  std::uint64_t running_ = 0;    // records out of the shuffle in the pass
  std::vector<Record> shuffle_;
  core::CounterRandom shuffle_random_{0};
  std::vector<Record> batch_;
  std::vector<std::vector<Record>> slots_;  // of composed batches, for the hash
  std::uint64_t composed_ = 0;
  TimeSource preprocess_;
  std::vector<core::TimePoint> map_free_;
  Ring<Posting> posting_;
  Arrived arrived_;
  std::atomic<std::uint64_t> stirred_{0};
  const std::atomic<std::uint64_t>* allowed_ = nullptr;
  BatchSink* sink_ = nullptr;
};

}  // namespace

std::uint64_t RecordTableBytes(const LoaderData& data,
                               const LoaderOptions& options) {
  const std::uint64_t lanes = LanesOf(PipelineShape::kTfRecord, data, options);
  const std::uint64_t batches =
      1 + LookAheadOf(PipelineShape::kTfRecord, data, options).batches;
  const std::uint64_t records =
      batches * options.order.batch_size + lanes * kRecordsAhead +
      (options.shuffle_samples ? options.shuffle_size : 0);
  return records * sizeof(Record);
}

std::unique_ptr<BatchSchedule> MakeRecordSchedule(const LoaderData& data,
                                                  const LoaderOptions& options,
                                                  core::Clock& clock) {
  return std::make_unique<RecordSchedule>(data, options, clock);
}

}  // namespace stoker::emulator::internal
