#include "run/internal/training_events.h"

#include <fmt/format.h>

#include <variant>

#include "core/units.h"
#include "reporting/console_report.h"
#include "reporting/json_report.h"

namespace stoker::run::internal {

using reporting::Json;

Event StartEvent(const metrics::RunFacts& facts, std::uint64_t pool_bytes) {
  Event event{.name = "run_start"};
  event.text = fmt::format(
      "{} on {} accelerator(s), {} host(s): {} epochs of {} steps, batch {}, "
      "compute {} s per step\n"
      "reading {}{}{} with {} / {}, {} read threads{}\n"
      "memory: {} per rank for request buffers, batches ahead and tables",
      facts.model, facts.num_accelerators, facts.num_hosts, facts.epochs,
      facts.steps_per_epoch, facts.batch_size, facts.computation_time,
      facts.storage_uri, facts.engine.empty() ? "" : ", engine ", facts.engine,
      facts.loader_model, facts.data_loader, facts.read_threads,
      facts.content_checks ? "" : ", checksums not verified",
      core::FormatBytes(static_cast<double>(pool_bytes)));
  event.fields = {{"model", facts.model},
                  {"accelerators", facts.num_accelerators},
                  {"hosts", facts.num_hosts},
                  {"epochs", facts.epochs},
                  {"steps", facts.steps_per_epoch},
                  {"eval_steps", facts.eval_steps},
                  {"batch_size", facts.batch_size},
                  {"computation_time", facts.computation_time},
                  {"storage_uri", facts.storage_uri},
                  {"engine", facts.engine},
                  {"loader_model", facts.loader_model},
                  {"data_loader", facts.data_loader},
                  {"read_threads", facts.read_threads},
                  {"content_checks", facts.content_checks},
                  {"pool_bytes_per_rank", pool_bytes}};
  return event;
}

Event EpochEvent(const metrics::RunFacts& facts,
                 std::span<const metrics::EpochSummary> ranks) {
  double au = 0;
  double samples = 0;
  double bytes = 0;
  for (const metrics::EpochSummary& rank : ranks) {
    const metrics::BlockSums& sums = rank.blocks.front().sums;
    au += metrics::UtilisationPercent(sums);
    samples += metrics::CountedSamplesPerSecond(sums);
    bytes += metrics::CountedBytesPerSecond(sums);
  }
  au /= static_cast<double>(ranks.size());
  const metrics::EpochSummary& first = ranks.front();
  const metrics::BlockSums& block = first.blocks.front().sums;
  const double seconds = core::Seconds(block.wall);
  Event event{.name = "epoch_end"};
  event.text = fmt::format(
      "epoch {}/{}: {} steps in {}, AU {:.2f} %, {:.1f} samples/s, {:.2f} "
      "GiB/s",
      first.epoch, facts.epochs, block.steps, core::FormatSeconds(seconds), au,
      samples, core::ToGiB(bytes));
  event.fields = {{"epoch", first.epoch},
                  {"epochs", facts.epochs},
                  {"steps", block.steps},
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
