#include "storage/uri_options.h"

#include <fmt/format.h>

#include <string>

#include "core/text.h"

namespace stoker::storage {

namespace {

constexpr std::size_t kMaxDepth = 16384;
constexpr double kMaxSeconds = 1e9;  // 31 years: fits 63 bits of nanoseconds

const std::string* Find(const Uri& uri, std::string_view key) {
  const auto found = uri.options.find(key);
  return found == uri.options.end() ? nullptr : &found->second;
}

}  // namespace

std::string_view TextOption(const Uri& uri, std::string_view key,
                            std::string_view fallback) {
  const std::string* const text = Find(uri, key);
  return text == nullptr ? fallback : std::string_view(*text);
}

core::Result<std::uint64_t> CountOption(const Uri& uri, std::string_view key,
                                        std::uint64_t fallback,
                                        CountRange range) {
  const std::string* const text = Find(uri, key);
  if (text == nullptr) {
    return fallback;
  }
  const core::Result<std::int64_t> value = core::ParseInt(*text);
  if (!value.ok()) {
    return BadOption(uri, key, value.status().message());
  }
  const auto count = static_cast<std::uint64_t>(value.value());
  if (value.value() < 0 || count < range.lowest || count > range.highest) {
    return BadOption(
        uri, key,
        fmt::format("allowed are {} to {}", range.lowest, range.highest));
  }
  return count;
}

core::Result<std::uint64_t> BytesOption(const Uri& uri, std::string_view key,
                                        std::uint64_t fallback) {
  const std::string* const text = Find(uri, key);
  if (text == nullptr) {
    return fallback;
  }
  core::Result<std::uint64_t> bytes = core::ParseBytes(*text);
  if (!bytes.ok()) {
    return BadOption(uri, key, bytes.status().message());
  }
  return bytes;
}

core::Result<core::Nanos> DurationOption(const Uri& uri, std::string_view key,
                                         core::Nanos fallback) {
  const std::string* const text = Find(uri, key);
  if (text == nullptr) {
    return fallback;
  }
  const core::Result<double> seconds = core::ParseSeconds(*text);
  if (!seconds.ok()) {
    return BadOption(uri, key, seconds.status().message());
  }
  if (seconds.value() > kMaxSeconds) {
    return BadOption(uri, key, "it is longer than 1e9 s");
  }
  return core::FromSeconds(seconds.value());
}

core::Result<double> FractionOption(const Uri& uri, std::string_view key,
                                    double fallback) {
  const std::string* const text = Find(uri, key);
  if (text == nullptr) {
    return fallback;
  }
  const core::Result<double> value = core::ParseDouble(*text);
  if (!value.ok()) {
    return BadOption(uri, key, value.status().message());
  }
  if (!(value.value() >= 0 && value.value() <= 1)) {
    return BadOption(uri, key, "allowed are 0 to 1");
  }
  return value;
}

core::Status BadOption(const Uri& uri, std::string_view key,
                       std::string_view reason) {
  return {core::Code::kInvalidArgument,
          fmt::format("storage {}: option {}={}: {}", uri.scheme, key,
                      TextOption(uri, key, ""), reason)};
}

core::Status CheckNoPlace(const Uri& uri) {
  if (uri.place.empty()) {
    return {};
  }
  return {
      core::Code::kInvalidArgument,
      fmt::format("storage {}: '{}' names a place, but {} has none; write "
                  "{}: or {}:?<options>",
                  uri.scheme, uri.place, uri.scheme, uri.scheme, uri.scheme)};
}

core::Status CheckDepth(const QueueOptions& options) {
  if (options.depth >= 1 && options.depth <= kMaxDepth) {
    return {};
  }
  return {core::Code::kInvalidArgument,
          fmt::format("make a read queue: depth {}; allowed are 1 to {}",
                      options.depth, kMaxDepth)};
}

core::Status CheckObjectName(std::string_view name) {
  for (const std::string_view part : core::Split(name, '/')) {
    if (part.empty() || part == "." || part == "..") {
      return {core::Code::kInvalidArgument,
              fmt::format("object name '{}': expected parts separated by "
                          "single slashes, none of them '.' or '..'",
                          name)};
    }
  }
  return {};
}

}  // namespace stoker::storage
