#include "metrics/summary.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <utility>

#include "core/units.h"

namespace stoker::metrics {
namespace {

double Ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0.0;
}

// The figure summed over ranks; element i is of the i-th of `epochs`.
template <class OfEpoch>
std::vector<double> SumOverRanks(const RunRecord& record,
                                 const std::vector<std::size_t>& epochs,
                                 const OfEpoch& of_epoch) {
  std::vector<double> sums;
  for (const std::size_t index : epochs) {
    double sum = 0;
    for (const RankRecord& rank : record.ranks)
      sum += of_epoch(rank.epochs[index]);
    sums.push_back(sum);
  }
  return sums;
}

// `of_epoch(epoch, figure)` gives one rank's value of an epoch.
template <class OfEpoch>
PhaseFigures MakePhase(const RunRecord& record,
                       const std::vector<std::size_t>& epochs,
                       const BlockFigure& reference, const OfEpoch& of_epoch) {
  const auto sum = [&](const BlockFigure& figure) {
    return SumOverRanks(record, epochs, [&](const EpochSummary& epoch) {
      return of_epoch(epoch, figure);
    });
  };
  PhaseFigures phase;
  phase.au_percent = sum(UtilisationPercent);
  for (double& au : phase.au_percent)
    au /= static_cast<double>(record.ranks.size());
  phase.au = PopulationMeanStdev(phase.au_percent);
  phase.au_met = phase.au.mean >= record.facts.au_target * 100;

  phase.samples_per_second = sum(reference);
  phase.samples = PopulationMeanStdev(phase.samples_per_second);
  const double mib = core::ToMiB(record.facts.record_length_bytes);
  phase.io_mib_per_second = {.mean = phase.samples.mean * mib,
                             .stdev = phase.samples.stdev * mib};

  phase.unbiased_samples_per_second = sum(CountedSamplesPerSecond);
  phase.unbiased_samples =
      PopulationMeanStdev(phase.unbiased_samples_per_second);
  phase.exact_gib_per_second = sum(CountedBytesPerSecond);
  for (double& rate : phase.exact_gib_per_second) rate = core::ToGiB(rate);
  phase.exact_gib = PopulationMeanStdev(phase.exact_gib_per_second);
  return phase;
}

PhaseFigures MakeTrain(const RunRecord& record, std::size_t epochs) {
  std::vector<std::size_t> all(epochs);
  for (std::size_t i = 0; i < epochs; ++i) all[i] = i;
  const std::uint64_t batch = record.facts.batch_size;
  return MakePhase(
      record, all,
      [batch](const BlockSums& sums) {
        return ReferenceSamplesPerSecond(sums, batch);
      },
      TrainFigure);
}

PhaseFigures MakeEval(const RunRecord& record, std::size_t epochs) {
  std::vector<std::size_t> evaluated;
  for (std::size_t i = 0; i < epochs; ++i) {
    if (record.ranks.front().epochs[i].eval) evaluated.push_back(i);
  }
  const std::uint64_t batch = record.facts.batch_size_eval;
  return MakePhase(
      record, evaluated,
      [batch](const BlockSums& sums) {
        return EvalSamplesPerSecond(sums, batch);
      },
      [](const EpochSummary& epoch, const BlockFigure& figure) {
        return epoch.eval ? figure(epoch.eval->sums) : 0.0;
      });
}

// The ranks' checkpoints as a run of checkpoints alone would record them.
CheckpointSeries MakeSaves(const RunRecord& record) {
  CheckpointRecord saves;
  saves.facts.checkpoint_bytes = BytesOfCheckpoint(record.facts);
  for (const RankRecord& rank : record.ranks) {
    CheckpointRankRecord of;
    of.rank = rank.facts.rank;
    of.node = rank.facts.node;
    of.local_rank = rank.facts.local_rank;
    of.anchor = rank.facts.anchor;
    for (const EpochSummary& epoch : rank.epochs)
      of.ops.insert(of.ops.end(), epoch.saves.begin(), epoch.saves.end());
    saves.ranks.push_back(std::move(of));
  }
  return SummariseCheckpoints(saves).saves;
}

void AddRankExtremes(const RunRecord& record, RunSummary& summary) {
  summary.au_min.value = std::numeric_limits<double>::infinity();
  summary.au_max.value = -std::numeric_limits<double>::infinity();
  for (const RankRecord& rank : record.ranks) {
    std::vector<double> values;
    values.reserve(rank.epochs.size());
    for (const EpochSummary& epoch : rank.epochs)
      values.push_back(TrainFigure(epoch, UtilisationPercent));
    const RankFigure figure{.value = PopulationMeanStdev(values).mean,
                            .rank = rank.facts.rank};
    if (figure.value < summary.au_min.value) summary.au_min = figure;
    if (figure.value > summary.au_max.value) summary.au_max = figure;
  }
}

void AddSteps(const RunRecord& record, RunSummary& summary) {
  std::uint64_t counted = 0;
  StepMeans total;
  for (const RankRecord& rank : record.ranks) {
    for (const EpochSummary& epoch : rank.epochs) {
      for (const BlockSummary& block : epoch.blocks) {
        const BlockSums& sums = block.sums;
        counted += sums.counted_steps;
        total.load += core::Seconds(sums.counted_load);
        total.compute += core::Seconds(sums.counted_compute);
        total.barrier += core::Seconds(sums.counted_barrier);
        total.overshoot += core::Seconds(sums.counted_overshoot);
        const double worst = core::Seconds(sums.max_overshoot);
        if (worst > summary.overshoot_max.value)
          summary.overshoot_max = {.value = worst, .rank = rank.facts.rank};
        summary.steps += sums.steps;
        summary.samples += sums.total_samples;
        summary.payload_bytes += sums.total_bytes;
      }
    }
  }
  const auto steps = static_cast<double>(counted);
  summary.step = {.load = Ratio(total.load, steps),
                  .compute = Ratio(total.compute, steps),
                  .barrier = Ratio(total.barrier, steps),
                  .overshoot = Ratio(total.overshoot, steps)};
  const double all = total.load + total.compute + total.barrier;
  summary.load_share = Ratio(total.load, all);
  summary.compute_share = Ratio(total.compute, all);
  summary.barrier_share = Ratio(total.barrier, all);
  summary.overshoot_share = Ratio(total.overshoot, all);
}

void AddLongestLoads(const core::Histogram& loads, RunSummary& summary) {
  const auto seconds = [](std::int64_t nanos) {
    return core::Seconds(core::Nanos(nanos));
  };
  summary.longest_load_p50 = seconds(loads.Quantile(0.5));
  summary.longest_load_p99 = seconds(loads.Quantile(0.99));
  summary.longest_load_max = seconds(loads.largest());
}

struct Waits {
  core::Nanos load{};
  core::Nanos barrier{};
};

Waits WaitsOf(const RankRecord& rank) {
  Waits waits;
  for (const EpochSummary& epoch : rank.epochs) {
    for (const BlockSummary& block : epoch.blocks) {
      waits.load += block.sums.counted_load;
      waits.barrier += block.sums.counted_barrier;
    }
  }
  return waits;
}

// The rank that waits least in barriers is the one the others wait for: what
// it waits for itself is in the way of all.
void SetBound(const RunRecord& record, RunSummary& summary) {
  const auto slowest = std::ranges::min_element(
      record.ranks, {},
      [](const RankRecord& rank) { return WaitsOf(rank).barrier; });
  summary.slowest_rank =
      static_cast<std::uint32_t>(slowest - record.ranks.begin());
  const Waits waits = WaitsOf(*slowest);
  summary.bound = summary.train.au_met             ? Bound::kCompute
                  : record.facts.backend == "null" ? Bound::kClient
                  : waits.load >= waits.barrier    ? Bound::kStorageWait
                                                   : Bound::kBarrier;
}

void AddReads(const LoaderCounters& loader, RunSummary& summary) {
  summary.discarded_bytes += loader.bytes_discarded;
  summary.discarded_samples += loader.samples_discarded;
  summary.files_opened += loader.files_opened;
  summary.unexpected_sizes += loader.unexpected_sizes;
  storage::ReadCounters& total = summary.reads;
  total.reads += loader.reads.reads;
  total.size_queries += loader.reads.size_queries;
  total.bytes += loader.reads.bytes;
  total.errors += loader.reads.errors;
  total.bytes_from_cache += loader.reads.bytes_from_cache;
  total.bytes_from_memory += loader.reads.bytes_from_memory;
  total.latency_sum += loader.reads.latency_sum;
  total.latency_max = std::max(total.latency_max, loader.reads.latency_max);
}

void AddResources(const RunRecord& record, RunSummary& summary) {
  double cores = 0;
  for (const HostFacts& host : record.hosts) cores += host.cpu_count;
  std::uint64_t eval_bytes = 0;
  for (std::size_t i = 0; i < summary.epochs; ++i) {
    core::Nanos longest{};
    for (const RankRecord& rank : record.ranks) {
      const EpochSummary& epoch = rank.epochs[i];
      longest = std::max(longest, epoch.end - epoch.start);
      summary.cpu_seconds += core::Seconds(epoch.cpu.user + epoch.cpu.system);
      const CpuSplit split = SplitCpu(epoch);
      summary.cpu.reading += split.reading;
      summary.cpu.checking += split.checking;
      summary.cpu.rest += split.rest;
      AddReads(epoch.train_loader, summary);
      AddReads(epoch.eval_loader, summary);
      if (epoch.eval) eval_bytes += epoch.eval->sums.total_bytes;
    }
    summary.epoch_wall_seconds.push_back(core::Seconds(longest));
    summary.wall_seconds += core::Seconds(longest);
  }
  summary.client_cpu_percent =
      100 * Ratio(summary.cpu_seconds, summary.wall_seconds * cores);
  summary.gib_per_core_second = Ratio(
      core::ToGiB(static_cast<double>(summary.payload_bytes + eval_bytes)),
      summary.cpu_seconds);
  summary.read_latency_mean_seconds =
      Ratio(core::Seconds(summary.reads.latency_sum),
            static_cast<double>(summary.reads.reads));
}

}  // namespace

std::string_view BoundName(Bound bound) {
  constexpr std::array<std::string_view, 4> kNames = {"compute", "storage wait",
                                                      "barrier", "client"};
  return kNames[static_cast<std::size_t>(bound)];
}

double TrainFigure(const EpochSummary& epoch, const BlockFigure& figure) {
  std::vector<double> values;
  std::vector<std::uint64_t> steps;
  for (const BlockSummary& block : epoch.blocks) {
    values.push_back(figure(block.sums));
    steps.push_back(block.sums.steps);
  }
  return WeightedByBlockSteps(values, steps);
}

CpuSplit SplitCpu(const EpochSummary& epoch) {
  return SplitCpu(epoch.cpu.user + epoch.cpu.system, epoch.cpu.main,
                  epoch.train_loader.checking + epoch.eval_loader.checking);
}

bool PotentialCaching(const HostFacts& host, double data_bytes) {
  return static_cast<double>(host.memory_bytes) > data_bytes;
}

double DataBytesPerHost(const RunFacts& facts, std::uint32_t ranks_on_host) {
  const std::uint64_t ranks =
      std::max<std::uint32_t>(facts.num_accelerators, 1);
  const std::uint64_t samples = ranks_on_host * facts.num_samples_per_file *
                                facts.num_files_train / ranks;
  return static_cast<double>(samples) * facts.record_length_bytes;
}

HostFigures FiguresOfHosts(const RunFacts& facts,
                           const std::vector<HostFacts>& hosts) {
  HostFigures figures;
  const double data = DataBytesPerHost(facts, hosts.front().ranks);
  figures.data_per_host_gib = core::ToGiB(data);
  for (const HostFacts& host : hosts) {
    figures.memory_gib.push_back(
        core::ToGiB(static_cast<double>(host.memory_bytes)));
    figures.potential_caching.push_back(PotentialCaching(host, data));
  }
  return figures;
}

RunSummary Summarise(const RunRecord& record) {
  std::size_t epochs = record.ranks.front().epochs.size();
  for (const RankRecord& rank : record.ranks)
    epochs = std::min(epochs, rank.epochs.size());

  RunSummary summary;
  summary.epochs = static_cast<std::uint32_t>(epochs);
  summary.train = MakeTrain(record, epochs);
  if (record.facts.evaluation) summary.eval = MakeEval(record, epochs);
  if (record.facts.checkpoints) summary.saves = MakeSaves(record);
  AddRankExtremes(record, summary);
  AddSteps(record, summary);
  AddLongestLoads(record.longest_loads, summary);
  SetBound(record, summary);
  AddResources(record, summary);
  summary.hosts = FiguresOfHosts(record.facts, record.hosts);
  return summary;
}

}  // namespace stoker::metrics
