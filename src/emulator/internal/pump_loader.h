#pragma once

// A Loader made of a BatchSchedule and a Pump on a thread of its own.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/aligned_buffer.h"
#include "emulator/internal/batch_schedule.h"
#include "emulator/loader.h"

namespace stoker::emulator::internal {

class PumpLoader final : public Loader, private BatchSink {
 public:
  static core::Result<std::unique_ptr<Loader>> Make(
      PipelineShape shape, const LoaderData& data, const LoaderOptions& options,
      core::Clock& clock, const core::CancelFlag& cancel);
  ~PumpLoader() override;
  PumpLoader(const PumpLoader&) = delete;
  PumpLoader& operator=(const PumpLoader&) = delete;

  core::Status StartEpoch(std::uint32_t epoch) override;
  core::Result<std::optional<Batch>> Next() override;
  core::Result<metrics::LoaderCounters> FinishEpoch() override;
  core::Nanos checking_so_far() const override { return pump_->checking(); }
  std::uint64_t op_stream_hash() const override { return hash_.value(); }
  std::uint64_t pool_bytes() const override;
  std::string_view engine() const override { return pump_->engine(); }

  // Of the batches ahead and the one the accelerator holds.
  static std::uint64_t TensorBytes(const LookAhead& ahead,
                                   const LoaderData& data,
                                   const LoaderOptions& options);

 private:
  enum class Phase : std::uint8_t { kIdle, kReading, kStopping, kQuit };
  struct Ready {
    bool ready = false;
    std::uint64_t bytes = 0;
  };

  PumpLoader(const LoaderOptions& options, core::Clock& clock,
             const core::CancelFlag& cancel);

  void Post(std::uint64_t step, std::uint64_t bytes) override;
  // The pump thread.
  void Run();
  core::Status ReadEpoch();
  void WaitForChange(std::uint64_t seen, core::TimePoint deadline);
  // The consumer's side.
  void Change(Phase phase);
  void Poke();  // the pump looks at what changed
  core::Status WaitUntilIdle();
  core::TimePoint PollDeadline() const;

  LoaderOptions options_;
  core::Clock& clock_;
  const core::CancelFlag& cancel_;
  std::unique_ptr<BatchSchedule> schedule_;
  LookAhead ahead_;
  std::unique_ptr<Pump> pump_;
  // What the reference would hold of batches that are whole: taken, touched,
  // and kept, so that the memory is really gone from the page cache.
  core::AlignedBuffer tensors_;

  // Consumer only.
  std::uint32_t epoch_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t taken_bytes_ = 0;
  dataset::OpStreamHash hash_;

  std::atomic<std::uint64_t> allowed_{0};
  std::atomic<bool> hurry_{false};  // nobody waits for what is in flight
  std::mutex mutex_;                // guards all below
  std::condition_variable pump_changed_;
  std::condition_variable consumer_changed_;
  Phase phase_ = Phase::kIdle;
  std::uint64_t version_ = 0;  // grows with everything the pump must notice
  std::vector<Ready> ready_;   // by step mod its size
  core::Status error_;
  core::ClockedThread thread_;
};

}  // namespace stoker::emulator::internal
