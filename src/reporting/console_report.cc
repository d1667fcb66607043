#include "reporting/console_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/units.h"
#include "reporting/cache_report.h"
#include "reporting/internal/console_text.h"
#include "reporting/ledger_report.h"

namespace stoker::reporting {
namespace {

using metrics::PhaseFigures;
using metrics::RunRecord;
using metrics::RunSummary;

std::string_view Expectation(const PhaseFigures& figures) {
  return figures.au_met ? "success" : "fail";
}

// Where the time went: of the steps, and of the CPU.
std::string TimeLines(const RunSummary& summary) {
  const metrics::StepMeans& step = summary.step;
  const metrics::CpuSplit& cpu = summary.cpu;
  std::string text = Line(
      "where time went",
      fmt::format("load wait {:.1f} %, compute {:.1f} % (overshoot {:.1f} "
                  "%), barrier {:.1f} %",
                  100 * summary.load_share, 100 * summary.compute_share,
                  100 * summary.overshoot_share, 100 * summary.barrier_share));
  text +=
      Line("a step's mean", fmt::format("load wait {}, compute {}, barrier {}",
                                        core::FormatSeconds(step.load),
                                        core::FormatSeconds(step.compute),
                                        core::FormatSeconds(step.barrier)));
  text += Line("longest waits",
               fmt::format("p50 {}, p99 {}, max {} (each step's longest load "
                           "wait)",
                           core::FormatSeconds(summary.longest_load_p50),
                           core::FormatSeconds(summary.longest_load_p99),
                           core::FormatSeconds(summary.longest_load_max)));
  text += Line("compute overshoot",
               fmt::format("mean {}, longest {} (rank {})",
                           core::FormatSeconds(step.overshoot),
                           core::FormatSeconds(summary.overshoot_max.value),
                           summary.overshoot_max.rank));
  text += Line(
      "client CPU",
      fmt::format("{:.1f} % of all cores, {:.2f} GiB per core-second",
                  summary.client_cpu_percent, summary.gib_per_core_second));
  text += Line("CPU time",
               fmt::format("reading {}, checking {}, rest {}",
                           core::FormatSeconds(core::Seconds(cpu.reading)),
                           core::FormatSeconds(core::Seconds(cpu.checking)),
                           core::FormatSeconds(core::Seconds(cpu.rest))));
  return text;
}

// The slowest rank of each checkpoint, and the whole checkpoint at its pace.
std::string SaveLine(const RunRecord& record, const RunSummary& summary) {
  if (!summary.saves || !record.facts.checkpoints) return {};
  const metrics::CheckpointSeries& saves = *summary.saves;
  std::string text = fmt::format(
      "{} of {} saved", saves.each.size(),
      core::FormatBytes(static_cast<double>(record.facts.checkpoints->bytes)));
  if (!saves.each.empty()) {
    text += fmt::format(", {} each at the slowest rank, {:.4f} GiB/s",
                        core::FormatSeconds(saves.duration_max_s.mean),
                        core::ToGiB(saves.rate_min.mean));
  }
  return Line("checkpoints", text);
}

std::string VerdictText(const RunRecord& record, const RunSummary& summary) {
  return fmt::format("{}: AU {:.2f} % of {:.2f} % asked",
                     Expectation(summary.train), summary.train.au.mean,
                     record.facts.au_target * 100);
}

std::string BoundText(const RunSummary& summary) {
  const std::string_view name = BoundName(summary.bound);
  return summary.bound == metrics::Bound::kCompute
             ? std::string(name)
             : fmt::format("{} (the ranks wait for rank {})", name,
                           summary.slowest_rank);
}

// Lines that are only there when they have something to say.
std::string OccasionalLines(const RunRecord& record,
                            const RunSummary& summary) {
  std::string text;
  if (!record.facts.storage_notes.empty()) {
    text += Line("storage", fmt::format("{}: not the figures of a device",
                                        record.facts.storage_notes));
  }
  if (record.facts.distinct_contents > 0) {
    text += Line("dataset",
                 fmt::format("{} different contents under {} names: far less "
                             "data than its size says",
                             record.facts.distinct_contents,
                             record.facts.num_files_train));
  }
  if (record.facts.dataset_files_train > record.facts.num_files_train) {
    text += Line("dataset", fmt::format("the first {} of {} files",
                                        record.facts.num_files_train,
                                        record.facts.dataset_files_train));
  }
  if (summary.discarded_bytes > 0) {
    text +=
        Line("read ahead, lost",
             core::FormatBytes(static_cast<double>(summary.discarded_bytes)));
  }
  if (summary.unexpected_sizes > 0) {
    text += Line("odd sizes",
                 fmt::format("{} samples are not of the configured size, so "
                             "that MB/second is off",
                             core::FormatCount(summary.unexpected_sizes)));
  }
  if (summary.reads.errors > 0) {
    text += Line("read errors", core::FormatCount(summary.reads.errors));
  }
  const auto cached = std::ranges::count(summary.hosts.potential_caching, true);
  // Storage that answers by itself is no matter of caching.
  if (cached > 0 && record.facts.backend != "null") {
    text += Line("page cache",
                 fmt::format("{} of {} hosts could hold all of their data in "
                             "memory",
                             cached, summary.hosts.potential_caching.size()));
  }
  return text;
}

}  // namespace

std::string MetricBlock(const RunRecord& record, const RunSummary& summary) {
  const PhaseFigures& train = summary.train;
  std::string text = MetricFrame();
  text += Metric("Number of Simulated Accelerators",
                 fmt::format("{}", record.facts.num_accelerators));
  text += Metric("Training Accelerator Utilization [AU] (%)", Spread(train.au));
  text += Metric("Training Throughput (samples/second)", Spread(train.samples));
  text += Metric("Training I/O Throughput (MB/second)",
                 Spread(train.io_mib_per_second));
  text += Metric("train_au_meet_expectation", Expectation(train));
  if (summary.saves) {
    text += MetricSeries(metrics::CheckpointKind::kSave, *summary.saves);
  }
  if (summary.eval) {
    const PhaseFigures& eval = *summary.eval;
    text += Metric("Eval Accelerator Utilization [AU] (%)", Spread(eval.au));
    text += Metric("Eval Throughput (samples/second)", Spread(eval.samples, 6));
    text += Metric("Eval I/O Throughput (MB/second)",
                   Spread(eval.io_mib_per_second, 6));
    text += Metric("eval_au_meet_expectation", Expectation(eval));
  }
  text += MetricFrame();
  return text;
}

std::string ConsoleReport(const RunRecord& record, const RunSummary& summary,
                          std::string_view folder) {
  std::string text = MetricBlock(record, summary);
  text += Line(
      "payload",
      fmt::format("{:.4f} GiB/s ({:.4f}), {} in {}",
                  summary.train.exact_gib.mean, summary.train.exact_gib.stdev,
                  core::FormatBytes(static_cast<double>(summary.payload_bytes)),
                  core::FormatSeconds(summary.wall_seconds)));
  text +=
      Line("samples, unbiased",
           fmt::format("{} samples/s", Spread(summary.train.unbiased_samples)));
  text += Line("AU by rank",
               fmt::format("{:.2f} % (rank {}) to {:.2f} % (rank {})",
                           summary.au_min.value, summary.au_min.rank,
                           summary.au_max.value, summary.au_max.rank));
  text += SaveLine(record, summary);
  text += TimeLines(summary);
  if (record.ledger) text += LedgerLines(*record.ledger);
  if (record.cache) text += OutcomeLines(*record.cache, summary);
  text += OccasionalLines(record, summary);
  text += Line("bound by", BoundText(summary));
  text += Line("verdict", VerdictText(record, summary));
  text += Line("op stream", record.op_stream_hash);
  text += Line("results", folder);
  return text;
}

}  // namespace stoker::reporting
