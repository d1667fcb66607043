// What a good pipeline would do: the samples of all ranks in one order that is
// shuffled anew each epoch, any free lane takes the rank's next one, and only
// the bytes held ahead of the accelerator bound how many are begun.

#include <string>
#include <vector>

#include "core/random.h"
#include "dataset/permutation.h"
#include "emulator/internal/batch_schedule.h"
#include "emulator/internal/loader_model.h"

namespace stoker::emulator::internal {

namespace {

class LeanSchedule final : public BatchSchedule {
 public:
  LeanSchedule(const LoaderData& data, const LoaderOptions& options,
               core::Clock& clock)
      : data_(data),
        options_(options),
        clock_(clock),
        ahead_(LookAheadOf(PipelineShape::kShuffled, data, options).batches),
        // One more: the batch that is being handed over.
        slots_(ahead_ + 1),
        work_(LanesOf(PipelineShape::kShuffled, data, options)) {
    for (std::size_t i = 0; i < work_.size(); ++i) {
      work_[i].preprocess = options.preprocess.Stream(i);
    }
  }

  void StartEpoch(std::uint32_t epoch,
                  const std::atomic<std::uint64_t>& allowed,
                  BatchSink& sink) override {
    allowed_ = &allowed;
    sink_ = &sink;
    arrived_ = {};
    order_ = dataset::Permutation(
        options_.order.samples(),
        core::StreamKey(options_.seed, options_.seed_change_epoch ? epoch : 0));
    step_ = sample_ = taken_ = held_ = 0;
    slots_.assign(slots_.size(), Slot{});
  }

  bool NextVisit(std::size_t lane, Visit& visit) override {
    const std::uint64_t allowed = allowed_->load(std::memory_order_acquire);
    while (taken_ + ahead_ < allowed) {
      held_ -= slots_[taken_ % slots_.size()].begun_bytes;
      slots_[taken_ % slots_.size()] = {};
      ++taken_;
    }
    if (step_ >= options_.steps || step_ >= allowed) {
      return false;
    }
    visit = VisitOf(step_, sample_);
    const std::uint64_t bytes = data_.SpecOf(visit.file).sample_bytes();
    // The batch that is taken next is begun whatever it holds.
    if (step_ > taken_ && held_ + bytes > options_.byte_budget) {
      return false;
    }
    held_ += bytes;
    slots_[step_ % slots_.size()].begun_bytes += bytes;
    work_[lane].step = step_;
    if (++sample_ == options_.order.batch_size) {
      sample_ = 0;
      ++step_;
    }
    return true;
  }

  AfterSample OnSample(const Arrival& arrival) override {
    Work& work = work_[arrival.lane];
    slots_[work.step % slots_.size()].bytes += arrival.bytes;
    ++arrived_.samples;
    arrived_.bytes += arrival.bytes;
    if (work.preprocess.IsZero()) {
      FinishSample(work.step);
      return {};
    }
    return {.kind = AfterSample::Kind::kPauseUntil,
            .until = clock_.Now() + work.preprocess.Next()};
  }

  void OnPauseEnd(std::size_t lane) override { FinishSample(work_[lane].step); }
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
  struct Slot {
    std::uint64_t begun_bytes = 0;  // of samples begun, as the sizes say
    std::uint64_t bytes = 0;        // arrived
    std::uint64_t samples = 0;      // whole
  };
  struct Work {
    std::uint64_t step = 0;  // of the lane's sample
    TimeSource preprocess;
  };

  // The batches of a step lie one behind the other in the common order, so that
  // any number of ranks with the same global batch sees the same steps.
  Visit VisitOf(std::uint64_t step, std::uint64_t k) const {
    const dataset::OrderSpec& order = options_.order;
    const std::uint64_t sample =
        order_.At((step * order.ranks + options_.rank) * order.batch_size + k);
    return {
        .file = sample / order.samples_per_file,
        .sample = static_cast<std::uint32_t>(sample % order.samples_per_file)};
  }

  void FinishSample(std::uint64_t step) {
    Slot& slot = slots_[step % slots_.size()];
    if (++slot.samples == options_.order.batch_size) {
      sink_->Post(step, slot.bytes);
    }
  }

  LoaderData data_;
  LoaderOptions options_;
  core::Clock& clock_;
  dataset::Permutation order_;
  std::uint64_t ahead_;
  std::uint64_t step_ = 0;  // of the sample begun next
  std::uint64_t sample_ = 0;
  std::uint64_t taken_ = 0;  // batches the accelerator has taken
  std::uint64_t held_ = 0;   // bytes begun and not taken
  std::vector<Slot> slots_;  // by step
  std::vector<Work> work_;
  Arrived arrived_;
  const std::atomic<std::uint64_t>* allowed_ = nullptr;
  BatchSink* sink_ = nullptr;
};

}  // namespace

std::unique_ptr<BatchSchedule> MakeLeanSchedule(const LoaderData& data,
                                                const LoaderOptions& options,
                                                core::Clock& clock) {
  return std::make_unique<LeanSchedule>(data, options, clock);
}

}  // namespace stoker::emulator::internal
