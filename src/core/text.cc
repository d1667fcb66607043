#include "core/text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <numeric>
#include <system_error>
#include <utility>

#include "core/units.h"

namespace stoker::core {

namespace {

char Fold(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

// Insertions, deletions, replacements and swaps of neighbours (optimal string
// alignment).
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before;  // row i - 2
  std::vector<std::size_t> last(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::vector<std::size_t> row(b.size() + 1);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = Fold(a[i - 1]) == Fold(b[j - 1]);
      row[j] =
          std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && Fold(a[i - 1]) == Fold(b[j - 2]) &&
          Fold(a[i - 2]) == Fold(b[j - 1])) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before = std::move(last);
    last = std::move(row);
  }
  return last.back();
}

template <class T>
Result<T> ParseNumber(std::string_view text, const char* what) {
  T value{};
  const char* const end = text.data() + text.size();
  // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): `end` bounds it
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stop != end) {
    return Status(Code::kInvalidArgument,
                  "'" + std::string(text) + "' is not " + what);
  }
  return value;
}

// Splits "1.5 GiB" into 1.5 and "GiB".
Result<std::pair<double, std::string_view>> SplitUnit(std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): `end` bounds it
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || !std::isfinite(value) || value < 0) {
    return Status(Code::kInvalidArgument,
                  "'" + std::string(text) + "' does not begin with a number");
  }
  std::string_view unit(stop, static_cast<std::size_t>(end - stop));
  while (!unit.empty() && unit.front() == ' ') {
    unit.remove_prefix(1);
  }
  return std::pair(value, unit);
}

template <std::size_t N>
Result<double> Scaled(
    std::string_view text,
    const std::array<std::pair<std::string_view, double>, N>& units,
    const char* allowed) {
  STOKER_ASSIGN(const auto parts, SplitUnit(text));
  for (const auto& [unit, factor] : units) {
    if (parts.second == unit) {
      return parts.first * factor;
    }
  }
  return Status(
      Code::kInvalidArgument,
      "'" + std::string(text) + "' has an unknown unit; allowed: " + allowed);
}

}  // namespace

std::string_view Nearest(std::string_view word,
                         std::span<const std::string_view> candidates) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string Join(std::span<const std::string_view> parts,
                 std::string_view separator) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) {
      text += separator;
    }
    text += parts[i];
  }
  return text;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  while (true) {
    const std::size_t end = text.find(separator, start);
    if (end == std::string_view::npos) {
      parts.push_back(text.substr(start));
      return parts;
    }
    parts.push_back(text.substr(start, end - start));
    start = end + 1;
  }
}

Result<std::int64_t> ParseInt(std::string_view text) {
  return ParseNumber<std::int64_t>(text, "a whole number");
}

Result<double> ParseDouble(std::string_view text) {
  return ParseNumber<double>(text, "a number");
}

Result<std::uint64_t> ParseBytes(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 10> kUnits{
      {{"", 1.0},
       {"B", 1.0},
       {"KiB", 0x1p10},
       {"MiB", 0x1p20},
       {"GiB", 0x1p30},
       {"TiB", 0x1p40},
       {"kB", 1e3},
       {"MB", 1e6},
       {"GB", 1e9},
       {"TB", 1e12}}};
  STOKER_ASSIGN(const double bytes,
                Scaled(text, kUnits,
                       "B, KiB, MiB, GiB, TiB (2^10n) or kB, MB, GB, TB "
                       "(10^3n)"));
  if (bytes > 0x1p63) {
    return Status(Code::kInvalidArgument,
                  "'" + std::string(text) + "' is more than 2^63 bytes");
  }
  return static_cast<std::uint64_t>(bytes);
}

Result<double> ParseSeconds(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 7> kUnits{
      {{"", 1.0},
       {"s", 1.0},
       {"ms", 1e-3},
       {"us", 1e-6},
       {"ns", 1e-9},
       {"min", 60.0},
       {"h", 3600.0}}};
  return Scaled(text, kUnits, "h, min, s, ms, us, ns");
}

}  // namespace stoker::core
