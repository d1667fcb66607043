#include "reporting/internal/console_text.h"

#include <fmt/format.h>

#include "core/units.h"
#include "reporting/internal/checkpoint_json.h"

namespace stoker::reporting {

std::string MetricFrame() { return fmt::format("[METRIC] {:=<58}\n", ""); }

std::string Metric(std::string_view name, std::string_view value) {
  return fmt::format("[METRIC] {}: {}\n", name, value);
}

std::string Spread(const metrics::MeanStdev& value, int decimals) {
  return fmt::format("{:.{}f} ({:.{}f})", value.mean, decimals, value.stdev,
                     decimals);
}

metrics::MeanStdev InGib(const metrics::MeanStdev& rate) {
  return {.mean = core::ToGiB(rate.mean), .stdev = core::ToGiB(rate.stdev)};
}

std::string MetricSeries(metrics::CheckpointKind kind,
                         const metrics::CheckpointSeries& series) {
  if (series.each.empty()) return "";
  const std::string_view name = ReferenceKindName(kind);
  return Metric(fmt::format("Checkpoint {} duration (seconds)", name),
                Spread(series.rank0_duration_s)) +
         Metric(fmt::format("Checkpoint {} I/O Throughput (GB/second)", name),
                Spread(InGib(series.rank0_rate)));
}

std::string Line(std::string_view name, std::string_view value) {
  return fmt::format("{:<18}{}\n", name, value);
}

}  // namespace stoker::reporting
