// Writes the files of made-up checkpoint runs, for read_checkpoint_results.py.
//
// Usage: stoker_checkpoint_result_writer RESULTS_DIR
// Prints the runs' folders: one that saved and restored, one that restored.

#include <fmt/format.h>

#include <cstdio>
#include <optional>
#include <string>

#include "metrics/checkpoint_summary.h"
#include "reporting/checkpoint_report.h"
#include "reporting/dlio_log.h"
#include "reporting/hydra_report.h"
#include "reporting/metadata_report.h"
#include "reporting/result_folder.h"
#include "tests/reporting/synthetic_checkpoints.h"
#include "tests/reporting/synthetic_run.h"

namespace stoker::reporting {
namespace {

core::Status WriteCommand(const ResultFolder& folder) {
  const std::string config =
      "workload:\n"
      "  framework: pytorch\n"
      "  model: {name: llama_8b, type: transformer}\n"
      "  workflow: {train: false, generate_data: false, checkpoint: true}\n"
      "  checkpoint: {num_checkpoints_write: 2, num_checkpoints_read: 2}\n";
  STOKER_TRY(WriteHydraFiles(
      {.config_yaml = config,
       .workload = "llama3_8b",
       .overrides = {"++workload.checkpoint.num_checkpoints_write=2",
                     "++workload.checkpoint.checkpoint_folder=/data/llama3-8b"},
       .output_dir = folder.path,
       .config_folder = "/opt/stoker/workloads",
       .working_dir = "/",
       .tool_version = "0.1.0"}));
  CommandMetadata metadata;
  metadata.args = {
      {"program", "checkpointing"}, {"command", "run"}, {"model", "llama3-8b"}};
  metadata.run_datetime = folder.run_time;
  metadata.folder = folder.path;
  metadata.metadata_file = MetadataFile("checkpointing", folder.run_time);
  metadata.program_file = "/opt/stoker/bin/stoker";
  metadata.config_file = "llama3_8b.yaml";
  metadata.hosts = testing::SyntheticCheckpoints().hosts;
  metadata.benchmark_type = "checkpointing";
  return WriteMetadata(metadata);
}

core::Status WriteLog(const std::string& folder,
                      const metrics::CheckpointRecord& run,
                      const metrics::CheckpointSummary& summary) {
  STOKER_ASSIGN(DlioLog log,
                DlioLog::Open(folder + "/dlio.log", DlioLog::Mode::kNew));
  STOKER_TRY(log.RunStarted(run.started, run.facts));
  const metrics::CheckpointRankRecord& first = run.ranks.front();
  for (const metrics::CheckpointOp& op : first.ops) {
    STOKER_TRY(
        log.CheckpointStarted(first.anchor.ToWall(op.start), op.kind, op.step));
    STOKER_TRY(log.CheckpointFinished(first.anchor, op, op.step,
                                      run.facts.checkpoint_bytes));
  }
  return log.RunFinished(run.ended, run, summary, folder);
}

core::Status WriteRun(const std::string& results,
                      const metrics::CheckpointRecord& run) {
  STOKER_ASSIGN(const ResultFolder folder,
                MakeResultFolder({.results_dir = results,
                                  .program = "checkpointing",
                                  .model = "llama3-8b",
                                  .command = "",
                                  .time = testing::SyntheticAnchor().wall}));
  const metrics::CheckpointSummary summary = metrics::SummariseCheckpoints(run);
  const std::optional<metrics::CheckpointEconomics> economics =
      testing::SyntheticEconomics();
  STOKER_TRY(WriteCommand(folder));
  for (const metrics::CheckpointRankRecord& rank : run.ranks) {
    STOKER_TRY(WriteCheckpointRankReports(folder.path, run.facts, rank,
                                          run.hosts.at(rank.node)));
  }
  STOKER_TRY(
      WriteCheckpointSummary(fmt::format("{}/{}", folder.path, kSummaryFile),
                             run, summary, economics));
  STOKER_TRY(WriteCheckpointRecord(
      fmt::format("{}/{}", folder.path, kRecordFile), run));
  STOKER_TRY(WriteCheckpointsCsv(
      fmt::format("{}/{}", folder.path, kCheckpointsFile), run));
  STOKER_TRY(WriteLog(folder.path, run, summary));
  fmt::print("{}\n", folder.path);
  return {};
}

core::Status Run(const std::string& results) {
  STOKER_TRY(WriteRun(results, testing::SyntheticCheckpoints()));
  return WriteRun(results, testing::SyntheticRestores());
}

}  // namespace
}  // namespace stoker::reporting

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: {} RESULTS_DIR\n", argv[0]);
    return 2;
  }
  const stoker::core::Status status = stoker::reporting::Run(argv[1]);
  if (status.ok()) return 0;
  fmt::print(stderr, "{}\n", status.ToString());
  return 1;
}
