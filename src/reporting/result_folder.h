#pragma once

// The folder of a run and the names of the files in it. The layout is described
// in results/README.md.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/status.h"
#include "metrics/run_facts.h"

namespace stoker::reporting {

inline constexpr std::string_view kSummaryFile = "summary.json";
inline constexpr std::string_view kRecordFile = "record.json";
inline constexpr std::string_view kStepsFile = "steps.csv";
inline constexpr std::string_view kLedgerFile = "ledger.json";
inline constexpr std::string_view kHydraFolder = "dlio_config";

std::string RankOutputFile(std::uint32_t rank);  // "3_output.json"
std::string RankStatsFile(std::uint32_t rank);   // "3_per_epoch_stats.json"
// "training_20250801_120000_metadata.json", "training_run.stdout.log"
std::string MetadataFile(std::string_view program, std::string_view run_time);
std::string CaptureFile(std::string_view program, std::string_view command,
                        std::string_view stream);

struct FolderRequest {
  std::string results_dir;
  std::string program;  // "training"
  std::string model;    // "unet3d"
  std::string command;  // "run"
  metrics::WallTime time{};
};

struct ResultFolder {
  std::string path;
  std::string run_time;  // its last part: "20250801_120000", maybe with "_1"
};

// Makes <results_dir>/<program>/<model>/<command>/<time>. If that is there
// already, "_1", "_2", … is appended (quirk Q42), so that no two runs share a
// folder, even when they start at once. Errors name the folder.
core::Result<ResultFolder> MakeResultFolder(const FolderRequest& request);

}  // namespace stoker::reporting
