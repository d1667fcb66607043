#pragma once

// The log file of a run (output.log_file): one line per message,
// "[LEVEL] <local time> <text>".

#include <cstdint>
#include <string>
#include <string_view>

#include "core/status.h"
#include "metrics/checkpoint_record.h"
#include "metrics/checkpoint_summary.h"
#include "metrics/collect.h"
#include "metrics/run_facts.h"
#include "metrics/run_record.h"
#include "metrics/summary.h"

namespace stoker::reporting {

// Rank 0 makes the file anew and tells the story of the run; other ranks open
// it afterwards and add warnings. Each message is appended by one write, so
// that lines of several ranks do not mix. One thread. Every call that writes
// fails with kIoError naming the file.
class DlioLog {
 public:
  enum class Mode : std::uint8_t { kNew, kAppend };

  static core::Result<DlioLog> Open(const std::string& path, Mode mode);
  ~DlioLog();
  DlioLog(DlioLog&& other) noexcept;
  DlioLog& operator=(DlioLog&& other) = delete;
  DlioLog(const DlioLog&) = delete;
  DlioLog& operator=(const DlioLog&) = delete;

  core::Status Output(metrics::WallTime at, std::string_view text);
  core::Status Warning(metrics::WallTime at, std::string_view text);
  core::Status Error(metrics::WallTime at, std::string_view text);

  // What rank 0 tells, in this order.
  core::Status RunStarted(metrics::WallTime at, const metrics::RunFacts& facts);
  core::Status EpochStarted(metrics::WallTime at,
                            const metrics::RunFacts& facts,
                            std::uint32_t epoch);
  // Blocks, checkpoints, evaluation and end of rank 0's epoch, at the times
  // they happened.
  core::Status EpochFinished(const metrics::RunFacts& facts,
                             const metrics::TimeAnchor& anchor,
                             const metrics::EpochRecord& epoch);
  core::Status RunFinished(metrics::WallTime at,
                           const metrics::RunRecord& record,
                           const metrics::RunSummary& summary,
                           std::string_view folder);

  // The same of a checkpoint run. Saves and restores are counted from 1 each.
  core::Status RunStarted(metrics::WallTime at,
                          const metrics::CheckpointFacts& facts);
  core::Status RunFinished(metrics::WallTime at,
                           const metrics::CheckpointRecord& record,
                           const metrics::CheckpointSummary& summary,
                           std::string_view folder);
  // Also of a checkpoint inside training.
  core::Status CheckpointStarted(metrics::WallTime at,
                                 metrics::CheckpointKind kind,
                                 std::uint64_t number);
  // Rank 0's, at the time it ended; `bytes` are of all ranks
  // (CheckpointFacts::checkpoint_bytes).
  core::Status CheckpointFinished(const metrics::TimeAnchor& anchor,
                                  const metrics::CheckpointOp& op,
                                  std::uint64_t number, std::uint64_t bytes);

 private:
  DlioLog(int fd, std::string path);
  core::Status Append(std::string_view level, std::string_view message);
  core::Status Close(metrics::WallTime at, std::string block,
                     std::string_view folder);

  int fd_ = -1;
  std::string path_;
};

}  // namespace stoker::reporting
