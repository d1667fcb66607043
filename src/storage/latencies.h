#pragma once

// How long operations on a storage took, by what they were and how large.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/histogram.h"

namespace stoker::storage {

// kRead: submission to completion of a read. kFirstByte: submission to the
// first byte of its answer, where a back end can tell. kSize: submission to
// completion of a question for an object's size.
enum class LatencyKind : std::uint8_t { kRead, kFirstByte, kSize };
inline constexpr std::size_t kLatencyKinds = 3;
// "read", "first byte", "size"
std::string_view NameOf(LatencyKind kind);

// By the bytes asked for: up to 4 KiB, 64 KiB, 1 MiB, 16 MiB, more.
enum class SizeClass : std::uint8_t { k4KiB, k64KiB, k1MiB, k16MiB, kLarger };
inline constexpr std::size_t kSizeClasses = 5;
SizeClass SizeClassOf(std::uint64_t bytes);
// "<= 4 KiB", …, "> 16 MiB"
std::string_view NameOf(SizeClass size);

// Histograms in nanoseconds. Takes 29 KiB for a kind and size class when the
// first op of it is added, no memory after that. Not thread-safe.
class Latencies {
 public:
  void Add(LatencyKind kind, std::uint64_t bytes, core::Nanos latency) {
    HistogramOf(kind, SizeClassOf(bytes)).Add(latency.count());
  }
  // As if every op of `other` had been added here.
  void Merge(const Latencies& other);
  // The histogram, made where there is none yet.
  core::Histogram& HistogramOf(LatencyKind kind, SizeClass size);

  // Null where no such op was added.
  const core::Histogram* Find(LatencyKind kind, SizeClass size) const;
  // Those there are: by kind, then by size class.
  void ForEach(const std::function<void(LatencyKind, SizeClass,
                                        const core::Histogram&)>& visit) const;

 private:
  static std::size_t IndexOf(LatencyKind kind, SizeClass size) {
    return static_cast<std::size_t>(kind) * kSizeClasses +
           static_cast<std::size_t>(size);
  }

  // Empty until the first op.
  std::vector<std::optional<core::Histogram>> histograms_;
};

}  // namespace stoker::storage
