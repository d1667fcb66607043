#pragma once

// What pipelines have in common whose lanes visit a file for one sample.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "emulator/internal/batch_schedule.h"

namespace stoker::emulator::internal {

class SampleSchedule : public BatchSchedule {
 public:
  AfterSample OnSample(const Arrival& arrival) final;
  void OnPauseEnd(std::size_t lane) final { FinishSample(lane); }
  bool MayResume(std::size_t /*lane*/) final { return true; }
  core::Status OnFileDone(std::size_t lane, const Visit& visit,
                          std::uint32_t samples) final;
  void Update() final {}
  core::TimePoint NextDue() const final { return core::kNever; }
  Arrived arrived() const final { return arrived_; }
  void HashBatch(std::uint32_t epoch, std::uint64_t step,
                 dataset::OpStreamHash& hash) const final;

 protected:
  // Each lane draws preprocessing times from a stream of its own, as workers
  // are processes of their own in the reference.
  SampleSchedule(std::size_t lanes, const LoaderData& data,
                 const LoaderOptions& options, core::Clock& clock);

  // Sample `k` of the batch of a step.
  virtual Visit VisitOf(std::uint64_t step, std::uint64_t k) const = 0;
  // The lane's sample has arrived with so many bytes.
  virtual void TakeBytes(std::size_t lane, std::uint64_t bytes) = 0;
  // And is preprocessed.
  virtual void FinishSample(std::size_t lane) = 0;

  void Begin(const std::atomic<std::uint64_t>& allowed, BatchSink& sink);
  std::uint64_t allowed() const {
    return allowed_->load(std::memory_order_acquire);
  }
  void Post(std::uint64_t step, std::uint64_t bytes) {
    sink_->Post(step, bytes);
  }
  const LoaderData& data() const { return data_; }
  const LoaderOptions& options() const { return options_; }

 private:
  LoaderData data_;
  LoaderOptions options_;
  core::Clock& clock_;
  std::vector<TimeSource> preprocess_;  // of each lane
  Arrived arrived_;
  const std::atomic<std::uint64_t>* allowed_ = nullptr;
  BatchSink* sink_ = nullptr;
};

}  // namespace stoker::emulator::internal
