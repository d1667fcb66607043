#pragma once

// All numbers of a run, worked out before it starts, from the configuration
// and the number of ranks. Immutable; pure.

#include <cstdint>
#include <string>
#include <vector>

#include "config/load.h"
#include "core/status.h"
#include "dataset/order.h"
#include "dataset/shape.h"
#include "emulator/checkpoint_times.h"
#include "emulator/loader.h"
#include "formats/format.h"
#include "metrics/run_facts.h"

namespace stoker::run {

struct PlanOptions {
  std::uint32_t ranks = 1;
};

struct RunPlan {
  const formats::Format* format = nullptr;
  dataset::SizeModel sizes;
  std::uint32_t samples_per_file = 1;
  std::uint32_t chunk_edge = 0;  // hdf5; 0: contiguous
  emulator::LoaderModel model{};
  emulator::PipelineShape shape{};
  dataset::OrderSpec train;
  dataset::OrderSpec eval;  // files 0 without evaluation
  std::uint64_t steps = 0;  // per epoch and rank
  std::uint64_t eval_steps = 0;
  std::uint32_t epochs = 1;
  emulator::CheckpointTimes checkpoints{};
  std::uint64_t saves = 0;           // checkpoints of the run
  std::uint64_t returned_bytes = 0;  // tensor of one sample
  std::vector<std::string> warnings;
};

// kInvalidArgument says which keys contradict each other or the number of
// ranks, and what would do.
core::Result<RunPlan> MakePlan(const config::LoadedConfig& config,
                               const PlanOptions& options);

// Edge of the chunks of its hdf5 files; 0: contiguous, or another format.
std::uint32_t ChunkEdgeOf(const config::DatasetConfig& data);

// What a rank's loader of the train or valid set is told.
struct RankSeat {
  std::uint32_t rank = 0;
  std::uint32_t seed = 123;  // of shuffles; the same on every rank
  core::Nanos io_timeout = std::chrono::seconds(60);
  bool settle = false;  // LoaderOptions::settle
  bool check = true;
};
emulator::LoaderOptions TrainLoaderOptions(const config::LoadedConfig& config,
                                           const RunPlan& plan,
                                           const RankSeat& seat);
emulator::LoaderOptions EvalLoaderOptions(const config::LoadedConfig& config,
                                          const RunPlan& plan,
                                          const RankSeat& seat);

// Memory one of `ranks` takes for training on local files: its loader's, and
// the sizes of the files where they vary. Requests count as if all files were
// as large as the largest.
core::Result<std::uint64_t> LoaderBytesPerRank(
    const config::LoadedConfig& config, std::uint64_t ranks);

// Draws of `spec` for a rank; `purpose` keeps a rank's streams apart. With
// --compat v2.0 all ranks draw alike where the reference's do.
enum class Purpose : std::uint8_t { kCompute = 1, kEval = 2, kPreprocess = 3 };
emulator::TimeSource MakeTimeSource(const config::LoadedConfig& config,
                                    const config::TimeSpec& spec,
                                    std::uint32_t rank, Purpose purpose);

// "0.323", "normal(mean 0.3, stdev 0.01)", …; seconds.
std::string DescribeTime(const config::TimeSpec& spec);

}  // namespace stoker::run
