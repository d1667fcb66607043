#include "reporting/dlio_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <utility>
#include <vector>

#include "core/units.h"
#include "metrics/recorder.h"
#include "metrics/utilisation.h"
#include "reporting/checkpoint_report.h"
#include "reporting/console_report.h"
#include "reporting/internal/checkpoint_json.h"
#include "reporting/internal/file_output.h"
#include "reporting/time_text.h"

namespace stoker::reporting {
namespace {

using metrics::BlockRecord;
using metrics::BlockSummary;
using metrics::MeanStdev;
using metrics::RunFacts;

MeanStdev ComputeOf(const BlockRecord& block) {
  std::vector<double> seconds;
  seconds.reserve(block.steps.size());
  for (const metrics::StepRecord& step : block.steps)
    seconds.push_back(core::Seconds(step.compute));
  return metrics::PopulationMeanStdev(seconds);
}

// What is said of a block, training or evaluation, once it is over.
struct BlockLines {
  std::string name;  // "Epoch 1 block 2"
  double samples_per_second = 0;
  std::string configured;  // compute time
};

std::vector<std::string> Describe(const BlockLines& lines,
                                  const BlockRecord& block,
                                  const BlockSummary& summary,
                                  std::uint32_t ranks) {
  const MeanStdev compute = ComputeOf(block);
  return {
      fmt::format("{} is over: {} steps in {:.2f} s", lines.name,
                  summary.sums.steps, core::Seconds(summary.sums.wall)),
      fmt::format("{}: Accelerator Utilization [AU] (%): {:.4f}", lines.name,
                  metrics::UtilisationPercent(summary.sums)),
      // As the reference prints it; the final figures add up the ranks' own.
      fmt::format("{}: Throughput (samples/second): {:.4f} (rank 0 times {})",
                  lines.name, lines.samples_per_second * ranks, ranks),
      fmt::format("{}: Computation time per step (second): {:.4f} +- {:.4f} "
                  "(set to {})",
                  lines.name, compute.mean, compute.stdev, lines.configured)};
}

}  // namespace

core::Result<DlioLog> DlioLog::Open(const std::string& path, Mode mode) {
  if (mode == Mode::kNew) ::unlink(path.c_str());
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) {
    return core::Status::FromErrno(errno,
                                   fmt::format("cannot open the log {}", path));
  }
  return DlioLog(fd, path);
}

DlioLog::DlioLog(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

DlioLog::DlioLog(DlioLog&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

DlioLog::~DlioLog() {
  if (fd_ >= 0) ::close(fd_);
}

core::Status DlioLog::Append(std::string_view level, std::string_view message) {
  const int error = WriteAll(fd_, fmt::format("[{}] {}\n", level, message));
  if (error == 0) return {};
  return core::Status::FromErrno(error,
                                 fmt::format("cannot write the log {}", path_));
}

core::Status DlioLog::Output(metrics::WallTime at, std::string_view text) {
  return Append("OUTPUT", fmt::format("{} {}", LocalTime(at), text));
}

core::Status DlioLog::Warning(metrics::WallTime at, std::string_view text) {
  return Append("WARNING", fmt::format("{} {}", LocalTime(at), text));
}

core::Status DlioLog::Error(metrics::WallTime at, std::string_view text) {
  return Append("ERROR", fmt::format("{} {}", LocalTime(at), text));
}

core::Status DlioLog::RunStarted(metrics::WallTime at, const RunFacts& facts) {
  STOKER_TRY(Output(
      at, fmt::format("Stoker {} trains {} with {} processes{}",
                      facts.tool_version, facts.model, facts.num_accelerators,
                      facts.evaluation ? " and evaluates" : "")));
  return Output(
      at, fmt::format("Steps per epoch: {} = {} samples per file x {} files / "
                      "batch of {} / {} processes",
                      facts.steps_per_epoch, facts.num_samples_per_file,
                      facts.num_files_train, facts.batch_size,
                      facts.num_accelerators));
}

core::Status DlioLog::EpochStarted(metrics::WallTime at, const RunFacts& facts,
                                   std::uint32_t epoch) {
  return Output(at, fmt::format("Epoch {} begins: {} steps expected", epoch,
                                facts.steps_per_epoch));
}

core::Status DlioLog::EpochFinished(const RunFacts& facts,
                                    const metrics::TimeAnchor& anchor,
                                    const metrics::EpochRecord& epoch) {
  const metrics::EpochSummary summary = metrics::SummariseEpoch(
      epoch, metrics::TrainCounted(facts), metrics::EvalCounted(facts));
  const auto tell = [&](const BlockLines& lines, const BlockRecord& block,
                        const BlockSummary& sums) -> core::Status {
    STOKER_TRY(Output(anchor.ToWall(sums.start), lines.name + " begins"));
    for (const std::string& line :
         Describe(lines, block, sums, facts.num_accelerators)) {
      STOKER_TRY(Output(anchor.ToWall(sums.end), line));
    }
    return {};
  };
  for (std::size_t i = 0; i < epoch.blocks.size(); ++i) {
    const BlockSummary& block = summary.blocks[i];
    STOKER_TRY(tell(
        {.name = fmt::format("Epoch {} block {}", epoch.epoch, i + 1),
         .samples_per_second =
             metrics::ReferenceSamplesPerSecond(block.sums, facts.batch_size),
         .configured = facts.computation_time},
        epoch.blocks[i], block));
    if (i < epoch.saves.size()) {
      const metrics::CheckpointOp& save = epoch.saves[i];
      STOKER_TRY(
          CheckpointStarted(anchor.ToWall(save.start), save.kind, i + 1));
      STOKER_TRY(CheckpointFinished(anchor, save, i + 1,
                                    metrics::BytesOfCheckpoint(facts)));
    }
  }
  STOKER_TRY(
      Output(anchor.ToWall(epoch.train_end),
             fmt::format("Epoch {} is over: trained for {:.2f} s", epoch.epoch,
                         core::Seconds(epoch.train_end - epoch.start))));
  if (!epoch.eval || !summary.eval) return {};
  return tell({.name = fmt::format("Epoch {} evaluation", epoch.epoch),
               .samples_per_second = metrics::EvalSamplesPerSecond(
                   summary.eval->sums, facts.batch_size_eval),
               .configured = facts.eval_time},
              *epoch.eval, *summary.eval);
}

core::Status DlioLog::Close(metrics::WallTime at, std::string block,
                            std::string_view folder) {
  block.pop_back();  // Append ends the line
  STOKER_TRY(Append("OUTPUT", block));
  return Output(at, fmt::format("Results are in {}", folder));
}

core::Status DlioLog::RunFinished(metrics::WallTime at,
                                  const metrics::RunRecord& record,
                                  const metrics::RunSummary& summary,
                                  std::string_view folder) {
  return Close(at, MetricBlock(record, summary), folder);
}

core::Status DlioLog::RunStarted(metrics::WallTime at,
                                 const metrics::CheckpointFacts& facts) {
  STOKER_TRY(Output(
      at, fmt::format("Stoker {} saves {} and restores {} checkpoints of {} "
                      "with {} processes",
                      facts.tool_version, facts.saves, facts.restores,
                      facts.model, facts.num_processes)));
  const auto gib = [](std::uint64_t bytes) {
    return core::ToGiB(static_cast<double>(bytes));
  };
  return Output(
      at, fmt::format("Model of {} parameters; model {:.6f} GiB, optimizer "
                      "{:.6f} GiB, checkpoint {:.6f} GiB",
                      facts.parameters, gib(facts.model_bytes),
                      gib(facts.optimizer_bytes), gib(facts.checkpoint_bytes)));
}

core::Status DlioLog::RunFinished(metrics::WallTime at,
                                  const metrics::CheckpointRecord& record,
                                  const metrics::CheckpointSummary& summary,
                                  std::string_view folder) {
  return Close(at, CheckpointMetricBlock(record, summary), folder);
}

core::Status DlioLog::CheckpointStarted(metrics::WallTime at,
                                        metrics::CheckpointKind kind,
                                        std::uint64_t number) {
  return Output(at, fmt::format("Checkpoint {} {} begins",
                                ReferenceKindName(kind), number));
}

core::Status DlioLog::CheckpointFinished(const metrics::TimeAnchor& anchor,
                                         const metrics::CheckpointOp& op,
                                         std::uint64_t number,
                                         std::uint64_t bytes) {
  const metrics::WallTime at = anchor.ToWall(op.end);
  const core::Nanos duration = op.end - op.start;
  const std::string name =
      fmt::format("Checkpoint {} {}", ReferenceKindName(op.kind), number);
  STOKER_TRY(Output(at, fmt::format("{}: model part {:.4f} s", name,
                                    core::Seconds(op.model_part))));
  STOKER_TRY(Output(at, fmt::format("{}: optimizer part {:.4f} s", name,
                                    core::Seconds(op.optimizer_part))));
  return Output(
      at, fmt::format("{} is over: {:.4f} s, {:.4f} GiB/s", name,
                      core::Seconds(duration),
                      core::ToGiB(metrics::CheckpointRate(bytes, duration))));
}

}  // namespace stoker::reporting
