// Writes the files of a made-up run into a folder, for read_results.py.
//
// Usage: stoker_result_writer RESULTS_DIR
// Prints the run's folder.

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "metrics/summary.h"
#include "reporting/console_report.h"
#include "reporting/dlio_log.h"
#include "reporting/hydra_report.h"
#include "reporting/json_report.h"
#include "reporting/metadata_report.h"
#include "reporting/rank_report.h"
#include "reporting/record_report.h"
#include "reporting/result_folder.h"
#include "reporting/steps_csv.h"
#include "tests/reporting/synthetic_run.h"

namespace stoker::reporting {
namespace {

core::Status WriteRanks(const std::string& folder,
                        const metrics::RunRecord& run) {
  STOKER_ASSIGN(StepsCsv csv,
                StepsCsv::Make(fmt::format("{}/{}", folder, kStepsFile)));
  for (std::uint32_t epoch = 1; epoch <= run.facts.epochs; ++epoch) {
    STOKER_TRY(csv.AddEpoch({testing::SyntheticEpoch(0, epoch, true),
                             testing::SyntheticEpoch(1, epoch, true)}));
  }
  for (const metrics::RankRecord& rank : run.ranks) {
    const metrics::RankRecorder recorder =
        testing::SyntheticRecorder(rank.facts.rank, true, folder);
    STOKER_TRY(WriteRankReports(folder, run.facts, rank.facts,
                                testing::SyntheticHost(), recorder));
  }
  return {};
}

core::Status WriteCommand(const ResultFolder& folder) {
  const std::string config =
      "workload:\n"
      "  framework: pytorch\n"
      "  model: {name: unet3d}\n"
      "  workflow: {train: true, generate_data: false}\n"
      "  dataset: {num_files_train: 56}\n";
  STOKER_TRY(WriteHydraFiles(
      {.config_yaml = config,
       .workload = "unet3d_h100",
       .overrides = {"++workload.dataset.num_files_train=56",
                     "++workload.dataset.data_folder=/my data: #1/unet3d"},
       .output_dir = folder.path,
       .config_folder = "/opt/stoker/workloads",
       .working_dir = "/",
       .tool_version = "0.1.0"}));
  CommandMetadata metadata;
  metadata.args = {{"program", "training"},
                   {"command", "run"},
                   {"model", "unet3d"},
                   {"hosts", Json::Array{"127.0.0.1"}}};
  metadata.run_datetime = folder.run_time;
  metadata.folder = folder.path;
  metadata.metadata_file = MetadataFile("training", folder.run_time);
  metadata.program_file = "/opt/stoker/bin/stoker";
  metadata.config_file = "unet3d_h100.yaml";
  metadata.hosts = {testing::SyntheticHost()};
  metadata.params = {{"dataset.num_files_train", "56"}};
  return WriteMetadata(metadata);
}

core::Status WriteAllFiles(const ResultFolder& folder) {
  const metrics::RunRecord run = testing::SyntheticRun(true);
  const metrics::RunSummary summary = metrics::Summarise(run);
  STOKER_TRY(WriteCommand(folder));
  STOKER_TRY(WriteRanks(folder.path, run));
  STOKER_TRY(WriteSummary(fmt::format("{}/{}", folder.path, kSummaryFile), run,
                          summary));
  STOKER_TRY(WriteRecord(fmt::format("{}/{}", folder.path, kRecordFile), run));
  STOKER_ASSIGN(DlioLog log,
                DlioLog::Open(folder.path + "/dlio.log", DlioLog::Mode::kNew));
  STOKER_TRY(log.RunStarted(run.started, run.facts));
  STOKER_TRY(log.RunFinished(run.ended, run, summary, folder.path));
  fmt::print(stderr, "{}", ConsoleReport(run, summary, folder.path));
  return {};
}

core::Status Run(const std::string& results) {
  STOKER_ASSIGN(const ResultFolder folder,
                MakeResultFolder({.results_dir = results,
                                  .program = "training",
                                  .model = "unet3d",
                                  .command = "run",
                                  .time = testing::SyntheticAnchor().wall}));
  STOKER_TRY(WriteAllFiles(folder));
  fmt::print("{}\n", folder.path);
  return {};
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
