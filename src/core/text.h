#pragma once

// Small text helpers shared by every layer.

#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace stoker::core {

// The candidate with the smallest edit distance to `word` (case folded, a swap
// of neighbours counts once), if that is at most a third of the word's length,
// and 1 is always near enough; else "".
std::string_view Nearest(std::string_view word,
                         std::span<const std::string_view> candidates);

// "a, b, c"
std::string Join(std::span<const std::string_view> parts,
                 std::string_view separator);

std::vector<std::string_view> Split(std::string_view text, char separator);

// The whole of `text` as a number; kInvalidArgument otherwise.
Result<std::int64_t> ParseInt(std::string_view text);
Result<double> ParseDouble(std::string_view text);

// Sizes with binary units: "64", "4KiB", "1.5 GiB", "100MB" (10^6), "8M" is
// refused as ambiguous. kInvalidArgument names what is allowed.
Result<std::uint64_t> ParseBytes(std::string_view text);
// Durations: "250ns", "10us", "1.5ms", "2s", "5min", "4h"; a bare number is
// seconds.
Result<double> ParseSeconds(std::string_view text);

}  // namespace stoker::core
