#pragma once

// How long the ops of a queue took, by what they were.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/clock.h"
#include "core/histogram.h"

namespace stoker::storage {

// What is timed, each from the submission of the op.
enum class LatencyKind : std::uint8_t {
  kRead,       // until all of it was there
  kFirstByte,  // of a read, until the first byte of the answer (servers only)
  kSize,       // the answer to a question for the size
};
inline constexpr std::size_t kLatencyKinds = 3;
std::string_view NameOf(LatencyKind kind);  // "read", "first_byte", "size"

// By the bytes delivered: up to 4 KiB, 64 KiB, 1 MiB, 16 MiB, and more.
inline constexpr std::size_t kSizeClasses = 5;
std::size_t SizeClassOf(std::uint64_t bytes);
std::string_view SizeClassName(std::size_t size_class);  // "<=4KiB", …

// A histogram in nanoseconds for each kind and size class; takes its memory
// (29 KiB) when the first op of a class ends. Not safe for concurrent use.
class LatencyBook {
 public:
  void Add(LatencyKind kind, std::uint64_t bytes, core::Nanos latency) {
    std::optional<core::Histogram>& histogram =
        histograms_[static_cast<std::size_t>(kind)][SizeClassOf(bytes)];
    if (!histogram.has_value()) {
      histogram.emplace();
    }
    histogram->Add(latency.count());
  }
  void Merge(const LatencyBook& other);
  void MergeOne(LatencyKind kind, std::size_t size_class,
                const core::Histogram& other);
  // Null where no op was of that kind and class.
  const core::Histogram* Find(LatencyKind kind, std::size_t size_class) const {
    const auto& found = histograms_[static_cast<std::size_t>(kind)][size_class];
    return found.has_value() ? &*found : nullptr;
  }
  // Of all size classes.
  core::Histogram Of(LatencyKind kind) const;

 private:
  std::array<std::array<std::optional<core::Histogram>, kSizeClasses>,
             kLatencyKinds>
      histograms_;
};

}  // namespace stoker::storage
