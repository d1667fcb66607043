#include "storage/latency_book.h"

#include <bit>

namespace stoker::storage {

std::string_view NameOf(LatencyKind kind) {
  constexpr std::array<std::string_view, kLatencyKinds> kNames{
      "read", "first_byte", "size"};
  return kNames[static_cast<std::size_t>(kind)];
}

// 4 KiB is 2^12, each further class is sixteen times as large.
std::size_t SizeClassOf(std::uint64_t bytes) {
  constexpr int kFirst = 12;
  constexpr int kStep = 4;
  if (bytes <= (1ULL << kFirst)) {
    return 0;
  }
  const int power = static_cast<int>(std::bit_width(bytes - 1));
  const auto size_class =
      static_cast<std::size_t>((power - kFirst + kStep - 1) / kStep);
  return size_class < kSizeClasses ? size_class : kSizeClasses - 1;
}

std::string_view SizeClassName(std::size_t size_class) {
  constexpr std::array<std::string_view, kSizeClasses> kNames{
      "<=4KiB", "<=64KiB", "<=1MiB", "<=16MiB", ">16MiB"};
  return kNames[size_class];
}

void LatencyBook::MergeOne(LatencyKind kind, std::size_t size_class,
                           const core::Histogram& other) {
  std::optional<core::Histogram>& histogram =
      histograms_[static_cast<std::size_t>(kind)][size_class];
  if (!histogram.has_value()) {
    histogram.emplace();
  }
  histogram->Merge(other);
}

void LatencyBook::Merge(const LatencyBook& other) {
  for (std::size_t kind = 0; kind < kLatencyKinds; ++kind) {
    for (std::size_t i = 0; i < kSizeClasses; ++i) {
      if (other.histograms_[kind][i].has_value()) {
        MergeOne(static_cast<LatencyKind>(kind), i,
                 *other.histograms_[kind][i]);
      }
    }
  }
}

core::Histogram LatencyBook::Of(LatencyKind kind) const {
  core::Histogram all;
  for (const auto& one : histograms_[static_cast<std::size_t>(kind)]) {
    if (one.has_value()) {
      all.Merge(*one);
    }
  }
  return all;
}

}  // namespace stoker::storage
