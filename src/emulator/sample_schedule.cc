#include "emulator/internal/sample_schedule.h"

#include <string>

namespace stoker::emulator::internal {

SampleSchedule::SampleSchedule(std::size_t lanes, const LoaderData& data,
                               const LoaderOptions& options, core::Clock& clock)
    : data_(data), options_(options), clock_(clock) {
  preprocess_.reserve(lanes);
  for (std::size_t i = 0; i < lanes; ++i) {
    preprocess_.push_back(options.preprocess.Stream(i));
  }
}

void SampleSchedule::Begin(const std::atomic<std::uint64_t>& allowed,
                           BatchSink& sink) {
  allowed_ = &allowed;
  sink_ = &sink;
  arrived_ = {};
}

AfterSample SampleSchedule::OnSample(const Arrival& arrival) {
  ++arrived_.samples;
  arrived_.bytes += arrival.bytes;
  TakeBytes(arrival.lane, arrival.bytes);
  TimeSource& preprocess = preprocess_[arrival.lane];
  if (preprocess.IsZero()) {
    FinishSample(arrival.lane);
    return {};
  }
  return {.kind = AfterSample::Kind::kPauseUntil,
          .until = clock_.Now() + preprocess.Next()};
}

core::Status SampleSchedule::OnFileDone(std::size_t /*lane*/,
                                        const Visit& visit,
                                        std::uint32_t samples) {
  if (samples != 1) {
    return {core::Code::kCorruption,
            "the file holds no sample " + std::to_string(visit.sample)};
  }
  return {};
}

void SampleSchedule::HashBatch(std::uint32_t epoch, std::uint64_t step,
                               dataset::OpStreamHash& hash) const {
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

}  // namespace stoker::emulator::internal
