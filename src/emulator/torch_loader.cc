// The index-sampler pipelines: worker lanes that build whole batches in turn.
// With the pytorch shape batch b is built by lane b mod T and up to
// T * ceil(prefetch / T) batches are dispatched and not yet taken; with the
// tensorflow generator shape lane t owns a chunk of the share and yields its
// batches in rotation.

#include <vector>

#include "emulator/internal/lane_order.h"
#include "emulator/internal/loader_model.h"
#include "emulator/internal/sample_schedule.h"

namespace stoker::emulator::internal {

namespace {

class LaneSchedule final : public SampleSchedule {
 public:
  LaneSchedule(PipelineShape shape, const LoaderData& data,
               const LoaderOptions& options, core::Clock& clock)
      : SampleSchedule(LanesOf(shape, data, options), data, options, clock),
        order_(shape, LanesOf(shape, data, options), options),
        work_(LanesOf(shape, data, options)) {}

  void StartEpoch(std::uint32_t epoch,
                  const std::atomic<std::uint64_t>& allowed,
                  BatchSink& sink) override {
    Begin(allowed, sink);
    for (std::size_t i = 0; i < work_.size(); ++i) {
      work_[i] = {.batch = i};
    }
    order_.BeginEpoch(epoch);
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

  Visit VisitOf(std::uint64_t batch, std::uint64_t k) const override {
    return order_.VisitOf(batch, k);
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

  LaneOrder order_;
  std::vector<Work> work_;
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
  return (files + samples) * sizeof(std::uint32_t);
}

std::unique_ptr<BatchSchedule> MakeLaneSchedule(PipelineShape shape,
                                                const LoaderData& data,
                                                const LoaderOptions& options,
                                                core::Clock& clock) {
  return std::make_unique<LaneSchedule>(shape, data, options, clock);
}

}  // namespace stoker::emulator::internal
