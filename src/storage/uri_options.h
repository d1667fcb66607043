#pragma once

// Typed options of a storage URI. All errors are kInvalidArgument and name the
// back end, the option, its value and what is allowed.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/clock.h"
#include "core/status.h"
#include "storage/backend.h"
#include "storage/registry.h"

namespace stoker::storage {

struct CountRange {
  std::uint64_t lowest = 0;
  std::uint64_t highest = INT64_MAX;
};

// The value as given, or `fallback`.
std::string_view TextOption(const Uri& uri, std::string_view key,
                            std::string_view fallback);
core::Result<std::uint64_t> CountOption(const Uri& uri, std::string_view key,
                                        std::uint64_t fallback,
                                        CountRange range = {});
core::Result<std::uint64_t> BytesOption(const Uri& uri, std::string_view key,
                                        std::uint64_t fallback);
core::Result<core::Nanos> DurationOption(const Uri& uri, std::string_view key,
                                         core::Nanos fallback);
// 0 to 1, both included.
core::Result<double> FractionOption(const Uri& uri, std::string_view key,
                                    double fallback);
core::Status BadOption(const Uri& uri, std::string_view key,
                       std::string_view reason);

// For back ends that are no place ("null:", wrappers).
core::Status CheckNoPlace(const Uri& uri);
// Queue depths every back end takes: 1 to 16,384.
core::Status CheckDepth(const QueueOptions& options);
// Names are relative, '/' separated, without empty, "." or ".." components.
core::Status CheckObjectName(std::string_view name);

}  // namespace stoker::storage
