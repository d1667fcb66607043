#include "storage/latencies.h"

#include <array>

#include "core/units.h"

namespace stoker::storage {

std::string_view NameOf(LatencyKind kind) {
  constexpr std::array<std::string_view, kLatencyKinds> kNames{
      "read", "first byte", "size"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view NameOf(SizeClass size) {
  constexpr std::array<std::string_view, kSizeClasses> kNames{
      "<= 4 KiB", "<= 64 KiB", "<= 1 MiB", "<= 16 MiB", "> 16 MiB"};
  return kNames[static_cast<std::size_t>(size)];
}

SizeClass SizeClassOf(std::uint64_t bytes) {
  return bytes <= 4 * core::kKiB    ? SizeClass::k4KiB
         : bytes <= 64 * core::kKiB ? SizeClass::k64KiB
         : bytes <= core::kMiB      ? SizeClass::k1MiB
         : bytes <= 16 * core::kMiB ? SizeClass::k16MiB
                                    : SizeClass::kLarger;
}

core::Histogram& Latencies::HistogramOf(LatencyKind kind, SizeClass size) {
  if (histograms_.empty()) {
    histograms_.resize(kLatencyKinds * kSizeClasses);
  }
  std::optional<core::Histogram>& one = histograms_[IndexOf(kind, size)];
  return one.has_value() ? *one : one.emplace();
}

const core::Histogram* Latencies::Find(LatencyKind kind, SizeClass size) const {
  if (histograms_.empty()) {
    return nullptr;
  }
  const std::optional<core::Histogram>& one = histograms_[IndexOf(kind, size)];
  return one.has_value() ? &*one : nullptr;
}

void Latencies::ForEach(
    const std::function<void(LatencyKind, SizeClass, const core::Histogram&)>&
        visit) const {
  for (std::size_t i = 0; i < histograms_.size(); ++i) {
    if (histograms_[i].has_value()) {
      visit(static_cast<LatencyKind>(i / kSizeClasses),
            static_cast<SizeClass>(i % kSizeClasses), *histograms_[i]);
    }
  }
}

void Latencies::Merge(const Latencies& other) {
  other.ForEach([this](LatencyKind kind, SizeClass size,
                       const core::Histogram& histogram) {
    HistogramOf(kind, size).Merge(histogram);
  });
}

}  // namespace stoker::storage
