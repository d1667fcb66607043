#pragma once

// Keeps what one rank measures: sums of every epoch in memory, steps on disk.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "metrics/epoch_summary.h"
#include "metrics/run_facts.h"
#include "metrics/run_record.h"

namespace stoker::metrics {

class SpillFile;

// Used by one thread. Memory does not grow with the number of steps.
class RankRecorder {
 public:
  // Steps go to a nameless file in `spill_folder`, which must exist. kNotFound,
  // kPermission or kIoError name it.
  static core::Result<RankRecorder> Make(const RunFacts& facts,
                                         const std::string& spill_folder);
  ~RankRecorder();
  RankRecorder(RankRecorder&&) noexcept;
  RankRecorder& operator=(RankRecorder&&) noexcept;
  RankRecorder(const RankRecorder&) = delete;
  RankRecorder& operator=(const RankRecorder&) = delete;

  // Notes /proc/meminfo for the epoch that AddEpoch will bring.
  void BeginEpoch();
  // Sums the epoch up and moves its steps to disk. kIoError when that fails;
  // the epoch is then not recorded.
  core::Status AddEpoch(EpochRecord&& epoch);

  // In the order they were added.
  std::span<const EpochSummary> epochs() const { return summaries_; }

  // Visits every epoch as it was given to AddEpoch, one in memory at a time,
  // with its summary. Stops at the first error, of reading back or of `visit`.
  using Visitor =
      std::function<core::Status(const EpochRecord&, const EpochSummary&)>;
  core::Status ForEachEpoch(const Visitor& visit) const;

 private:
  struct Place {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };

  RankRecorder(const RunFacts& facts, std::unique_ptr<SpillFile> spill);

  CountedSteps train_;
  CountedSteps eval_;
  std::unique_ptr<SpillFile> spill_;
  std::vector<std::pair<std::string, std::string>> meminfo_;
  std::vector<EpochSummary> summaries_;
  std::vector<Place> places_;  // element i is of summaries_[i]
};

// The sums of an epoch.
EpochSummary SummariseEpoch(const EpochRecord& epoch, const CountedSteps& train,
                            const CountedSteps& eval);

}  // namespace stoker::metrics
