// The index-sampler pipelines: worker lanes that build whole batches in turn.
// With the pytorch shape batch b is built by lane b mod T and up to
// T * ceil(prefetch / T) batches are dispatched and not yet taken; with the
// tensorflow generator shape lane t owns a chunk of the share and yields its
// batches in rotation.

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/random.h"
#include "emulator/internal/loader_model.h"
#include "emulator/internal/sample_schedule.h"

namespace stoker::emulator::internal {

namespace {

using Index = std::uint32_t;  // of a shuffled file or sample

class LaneSchedule final : public SampleSchedule {
 public:
  LaneSchedule(PipelineShape shape, const LoaderData& data,
               const LoaderOptions& options, core::Clock& clock)
      : SampleSchedule(LanesOf(shape, data, options), data, options, clock),
        shape_(shape),
        share_(ShareOf(options)),
        work_(LanesOf(shape, data, options)) {}

  void StartEpoch(std::uint32_t epoch,
                  const std::atomic<std::uint64_t>& allowed,
                  BatchSink& sink) override {
    Begin(allowed, sink);
    for (std::size_t i = 0; i < work_.size(); ++i) {
      work_[i] = {.batch = i};
    }
    if (shape_ == PipelineShape::kTfGenerator) {
      ShuffleEpoch(epoch);
    }
  }

  bool NextVisit(std::size_t lane, Visit& visit) override {
    const Work& work = work_[lane];
    if (work.batch >= options().steps || work.batch >= allowed()) {
      return false;
    }
    visit = VisitOf(work.batch, work.sample);
    return true;
  }

 private:
  struct Work {
    std::uint64_t batch = 0;   // being built, or next
    std::uint64_t sample = 0;  // in the batch
    std::uint64_t bytes = 0;   // of the batch so far
  };

  // Position in the rank's share of sample k of batch b.
  std::uint64_t Position(std::uint64_t batch, std::uint64_t k) const {
    if (shape_ == PipelineShape::kTorch) {
      return batch * options().order.batch_size + k;
    }
    // Lane t yields batches t, t + T, …; the chunks lie one behind the other.
    const std::uint64_t threads = work_.size();
    const std::uint64_t lane = batch % threads;
    const std::uint64_t whole = options().steps / threads;
    const std::uint64_t rest = options().steps % threads;
    const std::uint64_t before = lane * whole + std::min(lane, rest);
    return (before + batch / threads) * options().order.batch_size + k;
  }

  Visit VisitOf(std::uint64_t batch, std::uint64_t k) const override {
    std::uint64_t position = Position(batch, k);
    if (!sample_order_.empty()) {
      position = sample_order_[static_cast<std::size_t>(position)];
    }
    const std::uint64_t sample = share_.first + position;
    std::uint64_t file = sample / options().order.samples_per_file;
    if (!file_order_.empty()) {
      file = file_order_[static_cast<std::size_t>(file)];
    }
    return {.file = file,
            .sample = static_cast<std::uint32_t>(
                sample % options().order.samples_per_file)};
  }

  // The iterative sampler shuffles the list of files (in place, epoch after
  // epoch) and each rank's samples, by numpy's stream from seed + epoch.
  void ShuffleEpoch(std::uint32_t epoch) {
    const std::uint32_t seed =
        options().seed + (options().seed_change_epoch ? epoch : 0);
    if (options().shuffle_files) {
      if (file_order_.empty()) {
        file_order_.resize(options().order.files);
        std::iota(file_order_.begin(), file_order_.end(), 0U);
      }
      core::NumpyRandom(seed).Shuffle(std::span(file_order_));
    }
    if (options().shuffle_samples) {
      sample_order_.resize(options().steps * options().order.batch_size);
      std::iota(sample_order_.begin(), sample_order_.end(), 0U);
      core::NumpyRandom(seed).Shuffle(std::span(sample_order_));
    }
  }

  void TakeBytes(std::size_t lane, std::uint64_t bytes) override {
    work_[lane].bytes += bytes;
  }
  void FinishSample(std::size_t lane) override {
    Work& work = work_[lane];
    if (++work.sample < options().order.batch_size) {
      return;
    }
    Post(work.batch, work.bytes);
    work = {.batch = work.batch + work_.size()};
  }

  PipelineShape shape_;
  dataset::Share share_;
  std::vector<Work> work_;
  std::vector<Index> file_order_;    // empty: as they lie
  std::vector<Index> sample_order_;  // positions in the share
};

}  // namespace

std::uint64_t LaneTableBytes(PipelineShape shape,
                             const LoaderOptions& options) {
  if (shape != PipelineShape::kTfGenerator) {
    return 0;
  }
  const std::uint64_t files = options.shuffle_files ? options.order.files : 0;
  const std::uint64_t samples =
      options.shuffle_samples ? options.steps * options.order.batch_size : 0;
  return (files + samples) * sizeof(Index);
}

std::unique_ptr<BatchSchedule> MakeLaneSchedule(PipelineShape shape,
                                                const LoaderData& data,
                                                const LoaderOptions& options,
                                                core::Clock& clock) {
  return std::make_unique<LaneSchedule>(shape, data, options, clock);
}

}  // namespace stoker::emulator::internal
