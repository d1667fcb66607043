#include "run/internal/training_events.h"

#include <fmt/format.h>

#include <variant>

#include "core/units.h"
#include "reporting/cache_report.h"
#include "reporting/console_report.h"
#include "reporting/json_report.h"

namespace stoker::run::internal {

using reporting::Json;

Event StartEvent(const metrics::RunFacts& facts, std::uint64_t pool_bytes) {
  Event event{.name = "run_start"};
  event.text = fmt::format(
      "{} on {} accelerator(s), {} host(s): {} epochs of {} steps, batch {}, "
      "compute {} s per step\n"
      "reading {}{}{}{}{} with {} / {}, {} read threads{}\n"
      "memory: {} per rank for request buffers, batches ahead and tables",
      facts.model, facts.num_accelerators, facts.num_hosts, facts.epochs,
      facts.steps_per_epoch, facts.batch_size, facts.computation_time,
      facts.storage_uri, facts.storage_notes.empty() ? "" : ", ",
      facts.storage_notes, facts.engine.empty() ? "" : ", engine ",
      facts.engine, facts.loader_model, facts.data_loader, facts.read_threads,
      facts.content_checks ? "" : ", checksums not verified",
      core::FormatBytes(static_cast<double>(pool_bytes)));
  if (facts.checkpoints) {
    const metrics::TrainingCheckpoints& saves = *facts.checkpoints;
    event.text +=
        fmt::format("\ncheckpoints: {} of {} to {}{}", saves.count,
                    core::FormatBytes(static_cast<double>(saves.stored_bytes)),
                    saves.storage_uri, saves.fsync ? ", with fsync" : "");
  }
  event.fields = {{"model", facts.model},
                  {"accelerators", facts.num_accelerators},
                  {"hosts", facts.num_hosts},
                  {"epochs", facts.epochs},
                  {"steps", facts.steps_per_epoch},
                  {"eval_steps", facts.eval_steps},
                  {"batch_size", facts.batch_size},
                  {"computation_time", facts.computation_time},
                  {"storage_uri", facts.storage_uri},
                  {"storage_notes", facts.storage_notes},
                  {"engine", facts.engine},
                  {"loader_model", facts.loader_model},
                  {"data_loader", facts.data_loader},
                  {"read_threads", facts.read_threads},
                  {"content_checks", facts.content_checks},
                  {"pool_bytes_per_rank", pool_bytes}};
  if (facts.checkpoints) {
    event.fields.emplace_back("checkpoints", facts.checkpoints->count);
    event.fields.emplace_back("checkpoint_uri", facts.checkpoints->storage_uri);
    event.fields.emplace_back("checkpoint_stored_bytes",
                              facts.checkpoints->stored_bytes);
  }
  return event;
}

Event ExpectationEvent(const metrics::CacheOutlook& outlook) {
  Event event{.name = "cache_expectation",
              .text = reporting::ExpectationLines(outlook)};
  while (event.text.ends_with('\n')) event.text.pop_back();
  event.fields =
      std::get<Json::Object>(reporting::CacheOutlookJson(outlook).value());
  return event;
}

Event SaveEvent(const metrics::RunFacts& facts, std::uint32_t epoch,
                const metrics::CheckpointOp& save) {
  const double seconds = core::Seconds(save.duration());
  const double rate = core::ToGiB(metrics::CheckpointRate(
      metrics::BytesOfCheckpoint(facts), save.duration()));
  Event event{.name = "checkpoint_end"};
  event.text =
      fmt::format("checkpoint of epoch {}, step {}: {}, {:.2f} GiB/s", epoch,
                  save.step, core::FormatSeconds(seconds), rate);
  event.fields = {{"epoch", epoch},
                  {"step", save.step},
                  {"seconds", seconds},
                  {"gib_per_s", rate}};
  return event;
}

Event EpochEvent(const metrics::RunFacts& facts,
                 std::span<const metrics::EpochSummary> ranks) {
  double au = 0;
  double samples = 0;
  double bytes = 0;
  for (const metrics::EpochSummary& rank : ranks) {
    au += metrics::TrainFigure(rank, metrics::UtilisationPercent);
    samples += metrics::TrainFigure(rank, metrics::CountedSamplesPerSecond);
    bytes += metrics::TrainFigure(rank, metrics::CountedBytesPerSecond);
  }
  au /= static_cast<double>(ranks.size());
  const metrics::EpochSummary& first = ranks.front();
  std::uint64_t steps = 0;
  core::Nanos wall{};
  for (const metrics::BlockSummary& block : first.blocks) {
    steps += block.sums.steps;
    wall += block.sums.wall;
  }
  const double seconds = core::Seconds(wall);
  Event event{.name = "epoch_end"};
  event.text = fmt::format(
      "epoch {}/{}: {} steps in {}, AU {:.2f} %, {:.1f} samples/s, {:.2f} "
      "GiB/s",
      first.epoch, facts.epochs, steps, core::FormatSeconds(seconds), au,
      samples, core::ToGiB(bytes));
  event.fields = {{"epoch", first.epoch},
                  {"epochs", facts.epochs},
                  {"steps", steps},
                  {"wall_s", seconds},
                  {"au_percent", au},
                  {"samples_per_s", samples},
                  {"gib_per_s", core::ToGiB(bytes)}};
  return event;
}

Event SummaryEvent(const metrics::RunRecord& record,
                   const metrics::RunSummary& summary,
                   std::string_view folder) {
  Event event{.name = "summary",
              .text = reporting::ConsoleReport(record, summary, folder)};
  const Json whole = reporting::SummaryJson(record, summary);
  if (const Json* metric = whole.Find("metric")) {
    event.fields = std::get<Json::Object>(metric->value());
  }
  event.fields.emplace_back("op_stream_hash", record.op_stream_hash);
  event.fields.emplace_back("results", folder);
  return event;
}

}  // namespace stoker::run::internal
