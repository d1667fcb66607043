#include "storage/internal/s3_objects.h"

#include <fmt/format.h>

#include <cerrno>

#include "core/text.h"

namespace stoker::storage::internal {

core::Status S3Object::CheckVersion(std::string_view seen) {
  if (seen.empty()) {
    return {};
  }
  const std::scoped_lock lock(mutex_);
  if (etag_.empty()) {
    etag_ = seen;
  }
  if (etag_ == seen) {
    return {};
  }
  return {core::Code::kCorruption,
          fmt::format("read {}: it was replaced while it was read (its ETag "
                      "was {}, is {}); keep writers away from the dataset",
                      key, etag_, seen),
          EIO};
}

core::Result<ContentRange> ParseContentRange(std::string_view text) {
  const core::Status bad(
      core::Code::kCorruption,
      fmt::format("Content-Range '{}': expected bytes first-last/size", text),
      EIO);
  constexpr std::string_view kUnit = "bytes ";
  const std::size_t slash = text.find('/');
  if (!text.starts_with(kUnit) || slash == std::string_view::npos) {
    return bad;
  }
  const auto total = core::ParseInt(text.substr(slash + 1));
  if (!total.ok() || total.value() < 0) {
    return bad;
  }
  ContentRange range{.total = static_cast<std::uint64_t>(total.value())};
  const std::string_view span = text.substr(kUnit.size(), slash - kUnit.size());
  if (span == "*") {
    return range;
  }
  const std::size_t dash = span.find('-');
  const auto first = core::ParseInt(span.substr(0, dash));
  const auto last = core::ParseInt(
      dash == std::string_view::npos ? "" : span.substr(dash + 1));
  if (!first.ok() || !last.ok() || first.value() < 0 ||
      last.value() < first.value() || last.value() >= total.value()) {
    return bad;
  }
  range.first = static_cast<std::uint64_t>(first.value());
  range.bytes = static_cast<std::uint64_t>(last.value() - first.value()) + 1;
  return range;
}

}  // namespace stoker::storage::internal
