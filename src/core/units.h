#pragma once

// Units: GiB is 2^30 bytes, GB is 10^9. Names and labels never mix them.

#include <cstdint>
#include <string>

namespace stoker::core {

inline constexpr std::uint64_t kKiB = 1ULL << 10;
inline constexpr std::uint64_t kMiB = 1ULL << 20;
inline constexpr std::uint64_t kGiB = 1ULL << 30;
inline constexpr std::uint64_t kTiB = 1ULL << 40;

inline double ToMiB(double bytes) { return bytes / static_cast<double>(kMiB); }
inline double ToGiB(double bytes) { return bytes / static_cast<double>(kGiB); }

// "512 B", "1.50 KiB", "139.81 MiB", "2.00 TiB"
std::string FormatBytes(double bytes);
// "350 us", "3.50 ms", "12.30 s", "4 min 05 s", "2 h 03 min"
std::string FormatSeconds(double seconds);
// 1234567 → "1,234,567"
std::string FormatCount(std::uint64_t count);

}  // namespace stoker::core
