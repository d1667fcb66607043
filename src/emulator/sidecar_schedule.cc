// Files that belong to the data files (indices), which each worker reads whole
// before its first sample.

#include <utility>
#include <vector>

#include "emulator/internal/batch_schedule.h"
#include "emulator/internal/loader_model.h"

namespace stoker::emulator::internal {

namespace {

class SidecarSchedule final : public BatchSchedule {
 public:
  SidecarSchedule(std::unique_ptr<BatchSchedule> inner, PipelineShape shape,
                  const LoaderData& data, const LoaderOptions& options)
      : inner_(std::move(inner)),
        kinds_(data.format->sidecars().size()),
        next_(LanesOf(shape, data, options)) {
    const std::uint64_t n = options.order.samples_per_file;
    const dataset::Share share = ShareOf(options);
    const bool any_file =
        shape == PipelineShape::kTfGenerator && options.shuffle_files;
    if (any_file) {
      files_ = options.order.files;
    } else if (share.count > 0) {
      first_ = share.first / n;
      files_ = (share.first + share.count - 1) / n + 1 - first_;
    }
  }

  void StartEpoch(std::uint32_t epoch,
                  const std::atomic<std::uint64_t>& allowed,
                  BatchSink& sink) override {
    started_ = true;
    inner_->StartEpoch(epoch, allowed, sink);
  }
  bool NextVisit(std::size_t lane, Visit& visit) override {
    std::uint64_t& next = next_[lane];
    if (next < files_ * kinds_) {
      visit = {.file = first_ + next / kinds_,
               .sidecar = static_cast<std::uint32_t>(next % kinds_)};
      ++next;
      return true;
    }
    return started_ && inner_->NextVisit(lane, visit);
  }
  AfterSample OnSample(const Arrival& arrival) override {
    return inner_->OnSample(arrival);
  }
  void OnPauseEnd(std::size_t lane) override { inner_->OnPauseEnd(lane); }
  bool MayResume(std::size_t lane) override { return inner_->MayResume(lane); }
  core::Status OnFileDone(std::size_t lane, const Visit& visit,
                          std::uint32_t samples) override {
    return visit.sidecar == Visit::kNoSidecar
               ? inner_->OnFileDone(lane, visit, samples)
               : core::Status();
  }
  void Update() override {
    if (started_) {
      inner_->Update();
    }
  }
  core::TimePoint NextDue() const override { return inner_->NextDue(); }
  std::uint64_t stirred() const override { return inner_->stirred(); }
  Arrived arrived() const override { return inner_->arrived(); }
  void HashBatch(std::uint32_t epoch, std::uint64_t step,
                 dataset::OpStreamHash& hash) const override {
    inner_->HashBatch(epoch, step, hash);
  }

 private:
  std::unique_ptr<BatchSchedule> inner_;
  std::uint64_t kinds_;
  std::uint64_t first_ = 0;  // file
  std::uint64_t files_ = 0;
  std::vector<std::uint64_t> next_;  // of each lane
  bool started_ = false;
};

}  // namespace

std::unique_ptr<BatchSchedule> WithSidecars(
    std::unique_ptr<BatchSchedule> inner, PipelineShape shape,
    const LoaderData& data, const LoaderOptions& options) {
  return std::make_unique<SidecarSchedule>(std::move(inner), shape, data,
                                           options);
}

}  // namespace stoker::emulator::internal
