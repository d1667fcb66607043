// The index-sampler pipelines: worker lanes that build whole batches in turn.
// With the pytorch shape batch b is built by lane b mod T and up to
// T * ceil(prefetch / T) batches are dispatched and not yet taken; with the
// tensorflow generator shape lane t owns a chunk of the share and yields its
// batches in rotation.

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/random.h"
#include "emulator/internal/batch_schedule.h"
#include "emulator/internal/loader_model.h"

namespace stoker::emulator::internal {

namespace {

class LaneSchedule final : public BatchSchedule {
 public:
  LaneSchedule(PipelineShape shape, const LoaderData& data,
               const LoaderOptions& options, core::Clock& clock)
      : shape_(shape),
        data_(data),
        options_(options),
        clock_(clock),
        share_(ShareOf(options)),
        work_(LanesOf(shape, data, options)) {
    for (std::size_t i = 0; i < work_.size(); ++i) {
      // Workers are processes of their own in the reference: each has a jitter
      // stream of its own.
      work_[i].preprocess = options.preprocess.Stream(i);
    }
  }

  void StartEpoch(std::uint32_t epoch,
                  const std::atomic<std::uint64_t>& allowed,
                  BatchSink& sink) override {
    allowed_ = &allowed;
    sink_ = &sink;
    arrived_ = {};
    for (std::size_t i = 0; i < work_.size(); ++i) {
      work_[i].batch = i;
      work_[i].sample = 0;
      work_[i].bytes = 0;
    }
    if (shape_ == PipelineShape::kTfGenerator) {
      ShuffleEpoch(epoch);
    }
  }

  bool NextVisit(std::size_t lane, Visit& visit) override {
    const Work& work = work_[lane];
    if (work.batch >= options_.steps ||
        work.batch >= allowed_->load(std::memory_order_acquire)) {
      return false;
    }
    visit = VisitOf(work.batch, work.sample);
    return true;
  }

  AfterSample OnSample(const Arrival& arrival) override {
    Work& work = work_[arrival.lane];
    work.bytes += arrival.bytes;
    ++arrived_.samples;
    arrived_.bytes += arrival.bytes;
    if (work.preprocess.IsZero()) {
      FinishSample(work);
      return {};
    }
    return {.kind = AfterSample::Kind::kPauseUntil,
            .until = clock_.Now() + work.preprocess.Next()};
  }

  void OnPauseEnd(std::size_t lane) override { FinishSample(work_[lane]); }
  bool MayResume(std::size_t) override { return true; }

  core::Status OnFileDone(std::size_t, const Visit& visit,
                          std::uint32_t samples) override {
    if (samples != 1) {
      return {core::Code::kCorruption,
              "the file holds no sample " + std::to_string(visit.sample)};
    }
    return {};
  }

  void Update() override {}
  core::TimePoint NextDue() const override { return core::kNever; }

  Arrived arrived() const override { return arrived_; }

  void HashBatch(std::uint32_t epoch, std::uint64_t step,
                 dataset::OpStreamHash& hash) const override {
    for (std::uint64_t k = 0; k < options_.order.batch_size; ++k) {
      const Visit visit = VisitOf(step, k);
      hash.Add({.epoch = epoch,
                .rank = static_cast<std::uint32_t>(options_.rank),
                .step = step,
                .file = visit.file,
                .sample = visit.sample,
                .bytes = data_.SpecOf(visit.file).sample_bytes()});
    }
  }

 private:
  struct Work {
    std::uint64_t batch = 0;   // being built, or next
    std::uint64_t sample = 0;  // in the batch
    std::uint64_t bytes = 0;   // of the batch so far
    TimeSource preprocess;
  };

  // Position in the rank's share of sample k of batch b.
  std::uint64_t Position(std::uint64_t batch, std::uint64_t k) const {
    if (shape_ == PipelineShape::kTorch) {
      return batch * options_.order.batch_size + k;
    }
    // Lane t yields batches t, t + T, …; the chunks lie one behind the other.
    const std::uint64_t threads = work_.size();
    const std::uint64_t lane = batch % threads;
    const std::uint64_t whole = options_.steps / threads;
    const std::uint64_t rest = options_.steps % threads;
    const std::uint64_t before = lane * whole + std::min(lane, rest);
    return (before + batch / threads) * options_.order.batch_size + k;
  }

  Visit VisitOf(std::uint64_t batch, std::uint64_t k) const {
    std::uint64_t position = Position(batch, k);
    if (!sample_order_.empty()) {
      position = sample_order_[static_cast<std::size_t>(position)];
    }
    const std::uint64_t sample = share_.first + position;
    std::uint64_t file = sample / options_.order.samples_per_file;
    if (!file_order_.empty()) {
      file = file_order_[static_cast<std::size_t>(file)];
    }
    return {.file = file,
            .sample = static_cast<std::uint32_t>(
                sample % options_.order.samples_per_file)};
  }

  // The iterative sampler shuffles the list of files (in place, epoch after
  // epoch) and each rank's samples, by numpy's stream from seed + epoch.
  void ShuffleEpoch(std::uint32_t epoch) {
    const std::uint32_t seed =
        options_.seed + (options_.seed_change_epoch ? epoch : 0);
    if (options_.shuffle_files) {
      if (file_order_.empty()) {
        file_order_.resize(options_.order.files);
        std::iota(file_order_.begin(), file_order_.end(), 0U);
      }
      core::NumpyRandom(seed).Shuffle(std::span(file_order_));
    }
    if (options_.shuffle_samples) {
      sample_order_.resize(options_.steps * options_.order.batch_size);
      std::iota(sample_order_.begin(), sample_order_.end(), 0U);
      core::NumpyRandom(seed).Shuffle(std::span(sample_order_));
    }
  }

  void FinishSample(Work& work) {
    if (++work.sample < options_.order.batch_size) {
      return;
    }
    sink_->Post(work.batch, work.bytes);
    work.batch += work_.size();
    work.sample = 0;
    work.bytes = 0;
  }

  PipelineShape shape_;
  LoaderData data_;
  LoaderOptions options_;
  core::Clock& clock_;
  dataset::Share share_;
  std::vector<Work> work_;
  std::vector<std::uint32_t> file_order_;    // empty: as they lie
  std::vector<std::uint32_t> sample_order_;  // positions in the share
  Arrived arrived_;
  const std::atomic<std::uint64_t>* allowed_ = nullptr;
  BatchSink* sink_ = nullptr;
};

}  // namespace

std::unique_ptr<BatchSchedule> MakeLaneSchedule(PipelineShape shape,
                                                const LoaderData& data,
                                                const LoaderOptions& options,
                                                core::Clock& clock) {
  return std::make_unique<LaneSchedule>(shape, data, options, clock);
}

}  // namespace stoker::emulator::internal
