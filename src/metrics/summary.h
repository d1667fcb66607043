#pragma once

// Every derived number of a run, each worked out once, here. Definitions are
// in docs/metrics.md.

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "metrics/checkpoint_summary.h"
#include "metrics/collect.h"
#include "metrics/cpu_split.h"
#include "metrics/utilisation.h"

namespace stoker::metrics {

// Training or evaluation. Vectors have one entry per epoch (evaluation: per
// epoch that was evaluated); means and deviations are over those entries.
struct PhaseFigures {
  std::vector<double> au_percent;  // mean over ranks
  MeanStdev au;
  bool au_met = false;  // mean ≥ the target
  // As the reference counts, all ranks together.
  std::vector<double> samples_per_second;
  MeanStdev samples;
  MeanStdev io_mib_per_second;  // samples · nominal record length
  // Counted samples and counted payload bytes over the time they took.
  std::vector<double> unbiased_samples_per_second;
  MeanStdev unbiased_samples;
  std::vector<double> exact_gib_per_second;
  MeanStdev exact_gib;
};

struct RankFigure {
  double value = 0;
  std::uint32_t rank = 0;
};

// Mean over the counted training steps of all ranks and epochs, in seconds.
struct StepMeans {
  double load = 0;
  double compute = 0;
  double barrier = 0;
  double overshoot = 0;
};

// What bound the run: computation where the utilisation reached its target,
// else, at the rank the others waited for, the longer of its two waits over the
// counted training steps; the client itself where storage answers at once.
enum class Bound : std::uint8_t { kCompute, kStorageWait, kBarrier, kClient };
// "compute", "storage wait", "barrier", "client"
std::string_view BoundName(Bound bound);

struct HostFigures {
  double data_per_host_gib = 0;  // of the first host
  std::vector<double> memory_gib;
  std::vector<bool> potential_caching;  // memory of the host > its data
};

struct RunSummary {
  std::uint32_t epochs = 0;  // measured on every rank
  PhaseFigures train;
  std::optional<PhaseFigures> eval;
  // Checkpoints of the run in order, those of an earlier epoch first; strict
  // figures only on a single host, as clocks are not aligned in training.
  std::optional<CheckpointSeries> saves;

  RankFigure au_min;  // of the ranks' means over epochs, percent
  RankFigure au_max;
  StepMeans step;
  RankFigure overshoot_max;  // of any counted step, seconds
  // Shares of load, compute and barrier in their sum, and of the overshoot,
  // which is part of compute; 0 without steps.
  double load_share = 0;
  double compute_share = 0;
  double barrier_share = 0;
  double overshoot_share = 0;
  // Of the counted steps' longest waits for a batch over all ranks, seconds.
  double longest_load_p50 = 0;
  double longest_load_p99 = 0;
  double longest_load_max = 0;
  Bound bound = Bound::kCompute;
  std::uint32_t slowest_rank = 0;  // spent the least time in barriers

  std::vector<double> epoch_wall_seconds;  // longest over ranks
  double wall_seconds = 0;                 // their sum
  double cpu_seconds = 0;                  // of all ranks, in epochs
  CpuSplit cpu;                            // the same, by what it went into
  // CPU time / (wall · logical CPUs of the hosts), percent.
  double client_cpu_percent = 0;
  // Payload of training and evaluation per CPU second.
  double gib_per_core_second = 0;

  std::uint64_t steps = 0;  // of all ranks, training, counted or not
  std::uint64_t samples = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t discarded_bytes = 0;  // read ahead in vain
  std::uint64_t discarded_samples = 0;
  std::uint64_t files_opened = 0;
  // Samples of another size than configured.
  std::uint64_t unexpected_sizes = 0;
  // What was asked of the storage, evaluation included.
  storage::ReadCounters reads;
  double read_latency_mean_seconds = 0;

  HostFigures hosts;
};

// One number of one block.
using BlockFigure = std::function<double(const BlockSums&)>;
// A figure of a rank's training in an epoch: its blocks, weighted by steps.
double TrainFigure(const EpochSummary& epoch, const BlockFigure& figure);

// An epoch of a rank, evaluation included.
CpuSplit SplitCpu(const EpochSummary& epoch);

// `record` is complete (RunState::kComplete): at least one host and rank.
RunSummary Summarise(const RunRecord& record);

// The data a host reads in an epoch, with the reference's integer division:
// ranks_on_host · samples per file · files / ranks (floor) · nominal length.
double DataBytesPerHost(const RunFacts& facts, std::uint32_t ranks_on_host);

// Of at least one host.
HostFigures FiguresOfHosts(const RunFacts& facts,
                           const std::vector<HostFacts>& hosts);

// The host has more memory than `data_bytes`, what a host reads in an epoch.
bool PotentialCaching(const HostFacts& host, double data_bytes);

}  // namespace stoker::metrics
