#include "core/units.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace stoker::core {

std::string FormatBytes(double bytes) {
  static constexpr std::array<const char*, 6> kUnits{"B",   "KiB", "MiB",
                                                     "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  while (std::abs(bytes) >= 1024.0 && unit + 1 < kUnits.size()) {
    bytes /= 1024.0;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes)
                   : fmt::format("{:.2f} {}", bytes, kUnits.at(unit));
}

std::string FormatSeconds(double seconds) {
  if (seconds < 1e-3) {
    return fmt::format("{:.0f} us", seconds * 1e6);
  }
  if (seconds < 1.0) {
    return fmt::format("{:.2f} ms", seconds * 1e3);
  }
  if (seconds < 120.0) {
    return fmt::format("{:.2f} s", seconds);
  }
  const auto whole = std::llround(seconds);
  if (whole < 7200) {
    return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  }
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string FormatCount(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

}  // namespace stoker::core
