#pragma once

// A Loader made of a BatchSchedule and pumps, each on a thread of its own.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/aligned_buffer.h"
#include "emulator/internal/batch_schedule.h"
#include "emulator/internal/loader_model.h"
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
  void GoOn() override;
  core::Result<metrics::LoaderCounters> FinishEpoch() override;
  std::uint64_t op_stream_hash() const override { return hash_.value(); }
  std::uint64_t pool_bytes() const override;
  core::Nanos checking_so_far() const override;
  std::string_view engine() const override { return crews_[0]->pump->engine(); }

 private:
  enum class Phase : std::uint8_t {
    kWarmingUp,  // what comes before the first epoch
    kIdle,
    kReading,
    kStopping,
    kQuit
  };
  struct Ready {
    bool ready = false;
    std::uint64_t bytes = 0;
  };
  // A pump, its thread, and the lanes it has of the schedule's.
  struct Crew {
    std::unique_ptr<Pump> pump;
    std::unique_ptr<Schedule> view;  // null: the schedule itself
    Schedule* schedule = nullptr;
    std::uint64_t round = 0;    // of round_ it has worked on
    std::uint64_t stirred = 0;  // by others, as last seen
    core::ClockedThread thread;
  };

  PumpLoader(const LoaderOptions& options, core::Clock& clock,
             const core::CancelFlag& cancel);

  core::Status MakeCrews(std::size_t lanes, const LoaderData& data);
  core::Status WarmUp();
  void Post(std::uint64_t step, std::uint64_t bytes) override;
  // A pump's thread.
  void Run(Crew& crew);
  // False: the loader is to end.
  bool WaitForRound(Crew& crew);
  // An epoch, or what comes before the first.
  core::Status Work(Crew& crew);
  void StartSchedule(const Crew& crew);
  void EndRound(const core::Status& status);
  // Wakes the other pumps if lanes of theirs may go on.
  void TellOthers(Crew& crew);
  void WaitForChange(std::uint64_t seen, core::TimePoint deadline);
  // The consumer's side.
  void Begin(Phase phase);
  void Change(Phase phase);
  void Poke();  // the pumps look at what changed
  core::Status WaitUntilIdle();
  core::TimePoint PollDeadline() const;

  LoaderOptions options_;
  core::Clock& clock_;
  const core::CancelFlag& cancel_;
  std::unique_ptr<BatchSchedule> schedule_;
  std::mutex schedule_mutex_;        // one call of the schedule at a time
  std::uint64_t started_round_ = 0;  // schedule_ has begun it; guarded so too
  LookAhead ahead_;
  std::vector<std::unique_ptr<Crew>> crews_;
  // What the reference would hold of batches that are whole: taken, touched,
  // and kept, so that the memory is really gone from the page cache.
  std::uint64_t table_bytes_ = 0;  // schedule_'s
  core::AlignedBuffer tensors_;

  // Consumer only.
  std::uint32_t epoch_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t taken_bytes_ = 0;
  bool held_back_ = false;  // the pumps do not know of the last Next
  dataset::OpStreamHash hash_;

  std::atomic<std::uint64_t> allowed_{0};
  std::atomic<bool> hurry_{false};  // nobody waits for what is in flight
  // Grows, under the mutex, with everything the pumps must notice.
  std::atomic<std::uint64_t> version_{0};
  std::mutex mutex_;  // guards all below
  std::condition_variable pump_changed_;
  std::condition_variable consumer_changed_;
  Phase phase_ = Phase::kIdle;
  std::uint64_t round_ = 0;   // times the pumps were set to work
  std::size_t at_work_ = 0;   // crews that have not ended the round
  std::vector<Ready> ready_;  // by step mod its size
  core::Status error_;
};

}  // namespace stoker::emulator::internal
