#include "run/internal/checkpoint_events.h"

#include <fmt/format.h>

#include "core/units.h"
#include "reporting/checkpoint_report.h"
#include "run/internal/rate.h"

namespace stoker::run::internal {

namespace {

using metrics::CheckpointKind;

std::string_view VerbOf(CheckpointKind kind) {
  return kind == CheckpointKind::kSave ? "save" : "restore";
}

std::string Bytes(std::uint64_t bytes) {
  return core::FormatBytes(static_cast<double>(bytes));
}

}  // namespace

Event CheckpointStartEvent(const metrics::CheckpointFacts& facts,
                           std::uint64_t pool_bytes) {
  Event event{.name = "run_start"};
  event.text = fmt::format(
      "checkpointing: {}, {} processes on {} host(s) as TP {} x PP {} x DP {}, "
      "ZeRO {}{}\n"
      "a checkpoint: {} in {} files, {} on {}{}{}; {} to save, {} to restore\n"
      "{} requests, fsync {}, verify {}, at most {} of memory per rank",
      facts.model, facts.num_processes, facts.num_hosts, facts.tensor,
      facts.pipeline, facts.data, facts.zero_stage,
      facts.subset ? ", subset" : "", Bytes(facts.checkpoint_bytes),
      core::FormatCount(facts.files), facts.format, facts.storage_uri,
      facts.storage_notes.empty() ? "" : ", ", facts.storage_notes, facts.saves,
      facts.restores, facts.io, facts.fsync ? "on" : "off", facts.verify,
      Bytes(pool_bytes));
  event.fields = {{"model", facts.model},
                  {"processes", facts.num_processes},
                  {"hosts", facts.num_hosts},
                  {"checkpoint_bytes", facts.checkpoint_bytes},
                  {"files", facts.files},
                  {"saves", facts.saves},
                  {"restores", facts.restores},
                  {"storage_uri", facts.storage_uri},
                  {"storage_notes", facts.storage_notes}};
  return event;
}

Event CheckpointDoneEvent(const metrics::CheckpointFacts& facts,
                          const metrics::CheckpointOp& op) {
  const core::Nanos span = op.end - op.start;
  const bool save = op.kind == CheckpointKind::kSave;
  Event event{.name = fmt::format("{}_done", VerbOf(op.kind))};
  event.text =
      fmt::format("{} {}/{}: {} on rank 0, {:.2f} GiB/s of the checkpoint",
                  VerbOf(op.kind), op.step, save ? facts.saves : facts.restores,
                  core::FormatSeconds(core::Seconds(span)),
                  GibPerSecond(facts.checkpoint_bytes, span));
  event.fields = {{"step", op.step},
                  {"seconds", core::Seconds(span)},
                  {"gib_per_s", GibPerSecond(facts.checkpoint_bytes, span)}};
  return event;
}

Event CheckpointProgressEvent(const CheckpointProgress& progress) {
  const double share = progress.all > 0 ? static_cast<double>(progress.bytes) /
                                              static_cast<double>(progress.all)
                                        : 1;
  const double rate = GibPerSecond(progress.bytes, progress.elapsed);
  Event event{.name = "progress"};
  event.text = fmt::format(
      "{} {}/{}: rank 0 has {} of {} ({:.0f} %), {:.2f} GiB/s",
      VerbOf(progress.kind), progress.number, progress.count,
      Bytes(progress.bytes), Bytes(progress.all), 100 * share, rate);
  event.fields = {{"phase", VerbOf(progress.kind)}, {"number", progress.number},
                  {"count", progress.count},        {"bytes", progress.bytes},
                  {"bytes_all", progress.all},      {"gib_per_s", rate}};
  return event;
}

Event CheckpointSummaryEvent(
    const metrics::CheckpointRecord& record,
    const metrics::CheckpointSummary& summary,
    const std::optional<metrics::CheckpointEconomics>& economics,
    const std::string& folder) {
  Event event{.name = "summary"};
  event.text = reporting::CheckpointBlock(record, summary, economics, folder);
  const auto series = [&](const metrics::CheckpointSeries& one,
                          std::string_view verb) {
    if (one.each.empty()) {
      return;
    }
    const auto gib = [](double bytes) { return core::ToGiB(bytes); };
    event.fields.emplace_back(fmt::format("{}_max_duration_mean_s", verb),
                              one.duration_max_s.mean);
    event.fields.emplace_back(fmt::format("{}_min_gib_per_s", verb),
                              gib(one.rate_min.mean));
    event.fields.emplace_back(fmt::format("{}_strict_gib_per_s", verb),
                              gib(one.rate_strict.mean));
  };
  series(summary.saves, "save");
  series(summary.restores, "restore");
  event.fields.emplace_back("restored_from_cache", summary.restored_from_cache);
  event.fields.emplace_back("folder", folder);
  return event;
}

}  // namespace stoker::run::internal
