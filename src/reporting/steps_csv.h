#pragma once

// steps.csv: every step of every rank, by rank 0.

#include <string>
#include <vector>

#include "core/status.h"
#include "metrics/run_record.h"

namespace stoker::reporting {

// Columns: epoch, block (number from 1, or "eval"), step (from 1 in the block),
// rank, load_s, compute_s, proc_s, barrier_s, overshoot_s, samples, bytes, and
// the CPU time since the step before: cpu_reading_s, cpu_checking_s,
// cpu_rest_s. Rows in that order of keys. Grows by whole epochs, so that what
// an aborted run leaves can be used. One thread.
class StepsCsv {
 public:
  // Makes the file anew, with the line of names. Errors name the file.
  static core::Result<StepsCsv> Make(const std::string& path);
  ~StepsCsv();
  StepsCsv(StepsCsv&& other) noexcept;
  StepsCsv& operator=(StepsCsv&& other) = delete;
  StepsCsv(const StepsCsv&) = delete;
  StepsCsv& operator=(const StepsCsv&) = delete;

  // Element r is rank r's epoch, as metrics::GatherSteps gives it. kIoError.
  core::Status AddEpoch(const std::vector<metrics::EpochRecord>& ranks);

 private:
  StepsCsv(int fd, std::string path);
  core::Status Write(const std::string& text) const;

  int fd_ = -1;
  std::string path_;
};

}  // namespace stoker::reporting
