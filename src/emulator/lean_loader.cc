// What a good pipeline would do: the samples of all ranks in one order that is
// shuffled anew each epoch, any free lane takes the rank's next one, and only
// the bytes held ahead of the accelerator bound how many are begun.

#include <vector>

#include "emulator/internal/lean_order.h"
#include "emulator/internal/loader_model.h"
#include "emulator/internal/sample_schedule.h"

namespace stoker::emulator::internal {

namespace {

class LeanSchedule final : public SampleSchedule {
 public:
  LeanSchedule(const LoaderData& data, const LoaderOptions& options,
               core::Clock& clock)
      : SampleSchedule(LanesOf(PipelineShape::kShuffled, data, options), data,
                       options, clock),
        ahead_(LookAheadOf(PipelineShape::kShuffled, data, options).batches),
        // One more: the batch that is being handed over.
        slots_(ahead_ + 1),
        step_of_(LanesOf(PipelineShape::kShuffled, data, options)) {}

  void StartEpoch(std::uint32_t epoch,
                  const std::atomic<std::uint64_t>& allowed,
                  BatchSink& sink) override {
    Begin(allowed, sink);
    order_ = LeanOrder(options(), epoch);
    step_ = sample_ = taken_ = held_ = 0;
    slots_.assign(slots_.size(), Slot{});
  }

  bool NextVisit(std::size_t lane, Visit& visit) override {
    const std::uint64_t begun = allowed();
    while (taken_ + ahead_ < begun) {
      held_ -= slots_[taken_ % slots_.size()].begun_bytes;
      slots_[taken_ % slots_.size()] = {};
      ++taken_;
    }
    if (step_ >= options().steps || step_ >= begun) {
      return false;
    }
    visit = VisitOf(step_, sample_);
    const std::uint64_t bytes = data().SpecOf(visit.file).sample_bytes();
    // The batch that is taken next is begun whatever it holds.
    if (step_ > taken_ && held_ + bytes > options().byte_budget) {
      return false;
    }
    held_ += bytes;
    slots_[step_ % slots_.size()].begun_bytes += bytes;
    step_of_[lane] = step_;
    if (++sample_ == options().order.batch_size) {
      sample_ = 0;
      ++step_;
    }
    return true;
  }

 private:
  struct Slot {
    std::uint64_t begun_bytes = 0;  // of samples begun, as the sizes say
    std::uint64_t bytes = 0;        // arrived
    std::uint64_t samples = 0;      // whole
  };

  Visit VisitOf(std::uint64_t step, std::uint64_t k) const override {
    const dataset::OrderSpec& order = options().order;
    const std::uint64_t sample = order_.SampleAt(
        {.rank = options().rank, .position = step * order.batch_size + k});
    return {
        .file = sample / order.samples_per_file,
        .sample = static_cast<std::uint32_t>(sample % order.samples_per_file)};
  }

  void TakeBytes(std::size_t lane, std::uint64_t bytes) override {
    slots_[step_of_[lane] % slots_.size()].bytes += bytes;
  }
  void FinishSample(std::size_t lane) override {
    const std::uint64_t step = step_of_[lane];
    Slot& slot = slots_[step % slots_.size()];
    if (++slot.samples == options().order.batch_size) {
      Post(step, slot.bytes);
    }
  }

  LeanOrder order_;
  std::uint64_t ahead_;
  std::uint64_t step_ = 0;  // of the sample begun next
  std::uint64_t sample_ = 0;
  std::uint64_t taken_ = 0;             // batches the accelerator has taken
  std::uint64_t held_ = 0;              // bytes begun and not taken
  std::vector<Slot> slots_;             // by step
  std::vector<std::uint64_t> step_of_;  // of each lane's sample
};

}  // namespace

std::unique_ptr<BatchSchedule> MakeLeanSchedule(const LoaderData& data,
                                                const LoaderOptions& options,
                                                core::Clock& clock) {
  return std::make_unique<LeanSchedule>(data, options, clock);
}

}  // namespace stoker::emulator::internal
