#include "reporting/internal/console_text.h"

#include <fmt/format.h>

namespace stoker::reporting {

std::string MetricFrame() { return fmt::format("[METRIC] {:=<58}\n", ""); }

std::string Metric(std::string_view name, std::string_view value) {
  return fmt::format("[METRIC] {}: {}\n", name, value);
}

std::string Spread(const metrics::MeanStdev& value, int decimals) {
  return fmt::format("{:.{}f} ({:.{}f})", value.mean, decimals, value.stdev,
                     decimals);
}

std::string Line(std::string_view name, std::string_view value) {
  return fmt::format("{:<18}{}\n", name, value);
}

}  // namespace stoker::reporting
